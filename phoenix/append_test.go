package phoenix_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"roost/phoenix"
)

// appended is one call of an Append function for text.
type appended struct {
	name   string
	call   func(dst []byte) []byte
	v      phoenix.Version
	want   string
	fields [5]string // join_ref, ref, topic, event, payload as encoding/json must read them; names without quotes
}

// awkward has everything in it that an encoder may be tempted to escape, and what it must.
const awkward = "room:ü/&<>'\u2028\u2029\x7f😀\"\\\n\t\r\b\f\x00\x1f"

// awkwardJSON is awkward as it must be written.
const awkwardJSON = "\"room:ü/&<>'\u2028\u2029\x7f😀" + `\"\\\n\t\r\b\f\u0000\u001f"`

func appends() []appended {
	v1, v2 := phoenix.V1, phoenix.V2
	payload := []byte(`{"x":1}`)
	return []appended{
		{"message, V2", func(d []byte) []byte { return v2.AppendMessage(d, `"11"`, "", "room:a", "pushed", payload) }, v2,
			`["11",null,"room:a","pushed",{"x":1}]`, [5]string{`"11"`, "null", "room:a", "pushed", `{"x":1}`}},
		{"message, V1", func(d []byte) []byte { return v1.AppendMessage(d, `"11"`, "", "room:a", "pushed", payload) }, v1,
			`{"topic":"room:a","event":"pushed","payload":{"x":1},"ref":null}`, [5]string{"", "null", "room:a", "pushed", `{"x":1}`}},
		{"message with refs of other types, V2", func(d []byte) []byte { return v2.AppendMessage(d, "1", `[1, "a"]`, "t", "e", []byte("null")) }, v2,
			`[1,[1, "a"],"t","e",null]`, [5]string{"1", `[1, "a"]`, "t", "e", "null"}},
		{"message without payload, V2", func(d []byte) []byte { return v2.AppendMessage(d, "", "", "", "", nil) }, v2,
			`[null,null,"","",{}]`, [5]string{"null", "null", "", "", "{}"}},
		{"message without payload, V1", func(d []byte) []byte { return v1.AppendMessage(d, "", "7", "", "", []byte{}) }, v1,
			`{"topic":"","event":"","payload":{},"ref":7}`, [5]string{"", "7", "", "", "{}"}},
		{"awkward names, V2", func(d []byte) []byte { return v2.AppendMessage(d, "", "", awkward, awkward, payload) }, v2,
			`[null,null,` + awkwardJSON + `,` + awkwardJSON + `,{"x":1}]`, [5]string{"null", "null", awkward, awkward, `{"x":1}`}},
		{"awkward names, V1", func(d []byte) []byte { return v1.AppendMessage(d, "", "", awkward, awkward, payload) }, v1,
			`{"topic":` + awkwardJSON + `,"event":` + awkwardJSON + `,"payload":{"x":1},"ref":null}`, [5]string{"", "null", awkward, awkward, `{"x":1}`}},
		{"reply, V2", func(d []byte) []byte { return v2.AppendReply(d, `"1"`, `"2"`, "t", phoenix.StatusOK, payload) }, v2,
			`["1","2","t","phx_reply",{"status":"ok","response":{"x":1}}]`, [5]string{`"1"`, `"2"`, "t", "phx_reply", `{"status":"ok","response":{"x":1}}`}},
		{"reply, V1", func(d []byte) []byte { return v1.AppendReply(d, `"1"`, `"2"`, "t", phoenix.StatusOK, payload) }, v1,
			`{"topic":"t","event":"phx_reply","payload":{"status":"ok","response":{"x":1}},"ref":"2"}`, [5]string{"", `"2"`, "t", "phx_reply", `{"status":"ok","response":{"x":1}}`}},
		{"heartbeat reply, V2", func(d []byte) []byte { return v2.AppendReply(d, "", `"1"`, "phoenix", phoenix.StatusOK, nil) }, v2,
			`[null,"1","phoenix","phx_reply",{"status":"ok","response":{}}]`, [5]string{"null", `"1"`, "phoenix", "phx_reply", `{"status":"ok","response":{}}`}},
		{"heartbeat reply, V1", func(d []byte) []byte { return v1.AppendReply(d, "", "", "phoenix", phoenix.StatusOK, nil) }, v1,
			`{"topic":"phoenix","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":null}`, [5]string{"", "null", "phoenix", "phx_reply", `{"status":"ok","response":{}}`}},
		{"reply with another status and response, V2", func(d []byte) []byte { return v2.AppendReply(d, `"1"`, "", "t", "we\"ird&", []byte(`"str"`)) }, v2,
			`["1",null,"t","phx_reply",{"status":"we\"ird&","response":"str"}]`, [5]string{`"1"`, "null", "t", "phx_reply", `{"status":"we\"ird&","response":"str"}`}},
		{"unmatched, V2", func(d []byte) []byte {
			return v2.AppendUnmatched(d, &phoenix.Message{JoinRef: `"1"`, Ref: `"5"`, Topic: "nope", Event: "x"})
		}, v2,
			`[null,"5","nope","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`,
			[5]string{"null", `"5"`, "nope", "phx_reply", `{"status":"error","response":{"reason":"unmatched topic"}}`}},
		{"unmatched, V1", func(d []byte) []byte {
			return v1.AppendUnmatched(d, &phoenix.Message{JoinRef: `"1"`, Ref: `"5"`, Topic: "nope", Event: "x"})
		}, v1,
			`{"topic":"nope","event":"phx_reply","payload":{"status":"error","response":{"reason":"unmatched topic"}},"ref":"5"}`,
			[5]string{"", `"5"`, "nope", "phx_reply", `{"status":"error","response":{"reason":"unmatched topic"}}`}},
		{"broadcast, V2", func(d []byte) []byte { return v2.AppendBroadcast(d, "t", "bcast", payload) }, v2,
			`[null,null,"t","bcast",{"x":1}]`, [5]string{"null", "null", "t", "bcast", `{"x":1}`}},
		{"broadcast, V1", func(d []byte) []byte { return v1.AppendBroadcast(d, "t", "bcast", payload) }, v1,
			`{"topic":"t","event":"bcast","payload":{"x":1},"ref":null}`, [5]string{"", "null", "t", "bcast", `{"x":1}`}},
		{"close, V2", func(d []byte) []byte { return v2.AppendClose(d, `"3"`, "t") }, v2,
			`["3","3","t","phx_close",{}]`, [5]string{`"3"`, `"3"`, "t", "phx_close", "{}"}},
		{"close, V1", func(d []byte) []byte { return v1.AppendClose(d, `"3"`, "t") }, v1,
			`{"topic":"t","event":"phx_close","payload":{},"ref":"3"}`, [5]string{"", `"3"`, "t", "phx_close", "{}"}},
		{"close of a join without join_ref, V2", func(d []byte) []byte { return v2.AppendClose(d, "", "t") }, v2,
			`[null,null,"t","phx_close",{}]`, [5]string{"null", "null", "t", "phx_close", "{}"}},
		{"error, V2", func(d []byte) []byte { return v2.AppendError(d, `"3"`, "t") }, v2,
			`["3","3","t","phx_error",{"reason":"channel_crash"}]`, [5]string{`"3"`, `"3"`, "t", "phx_error", `{"reason":"channel_crash"}`}},
		{"error, V1", func(d []byte) []byte { return v1.AppendError(d, `"3"`, "t") }, v1,
			`{"topic":"t","event":"phx_error","payload":{"reason":"channel_crash"},"ref":"3"}`, [5]string{"", `"3"`, "t", "phx_error", `{"reason":"channel_crash"}`}},
	}
}

// TestAppend compares the frames byte by byte, and with what encoding/json reads in them.
func TestAppend(t *testing.T) {
	for _, c := range appends() {
		t.Run(c.name, func(t *testing.T) {
			const before = "kept as it is"
			got := string(c.call([]byte(before)))
			if got != before+c.want {
				t.Fatalf("got %s, want %s behind %q", got, c.want, before)
			}
			checkFields(t, c.v, got[len(before):], c.fields)
		})
	}
}

// checkFields reads frame with encoding/json.
func checkFields(t *testing.T, v phoenix.Version, frame string, want [5]string) {
	t.Helper()
	var raw [5]json.RawMessage
	if v == phoenix.V2 {
		var elements []json.RawMessage
		if err := json.Unmarshal([]byte(frame), &elements); err != nil || len(elements) != 5 {
			t.Fatalf("%s has %d elements (%v), want 5", frame, len(elements), err)
		}
		raw = [5]json.RawMessage(elements)
	} else {
		var object map[string]json.RawMessage
		if err := json.Unmarshal([]byte(frame), &object); err != nil || len(object) != 4 {
			t.Fatalf("%s has %d keys (%v), want topic, event, payload and ref", frame, len(object), err)
		}
		raw = [5]json.RawMessage{nil, object["ref"], object["topic"], object["event"], object["payload"]}
	}
	var got [5]string
	for i, r := range raw {
		if i != 2 && i != 3 {
			got[i] = string(r)
		} else if err := json.Unmarshal(r, &got[i]); err != nil {
			t.Fatalf("field %d of %s: %v", i, frame, err)
		}
	}
	if got != want {
		t.Errorf("encoding/json reads %q, want %q", got, want)
	}
}

// V1 clients are told apart by these keys in this order, and nothing else.
func TestV1Keys(t *testing.T) {
	for _, c := range appends() {
		if c.v != phoenix.V1 {
			continue
		}
		var keys []string
		decoder := json.NewDecoder(strings.NewReader(string(c.call(nil))))
		if _, err := decoder.Token(); err != nil {
			t.Fatal(err)
		}
		for decoder.More() {
			key, err := decoder.Token()
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, key.(string))
			var value json.RawMessage
			if err := decoder.Decode(&value); err != nil {
				t.Fatal(err)
			}
		}
		if want := []string{"topic", "event", "payload", "ref"}; !slices.Equal(keys, want) {
			t.Errorf("%s: got keys %q, want %q", c.name, keys, want)
		}
	}
}

// The topic of an unmatched message is echoed, whatever it is.
func TestAppendUnmatchedTopic(t *testing.T) {
	for _, topic := range []string{`5`, `null`, `{"a": [1]}`, `true`, `""`, `"r\"<\u2028"`} {
		m, err := phoenix.V2.Decode([]byte(`["9","1",`+topic+`,"phx_join",{}]`), false)
		if err != nil {
			t.Fatal(err)
		}
		want := topic
		if topic == `"r\"<\u2028"` {
			want = "\"r\\\"<\u2028\""
		}
		const reply = `{"status":"error","response":{"reason":"unmatched topic"}}`
		if got, want := string(phoenix.V2.AppendUnmatched(nil, &m)), `[null,"1",`+want+`,"phx_reply",`+reply+`]`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, want := string(phoenix.V1.AppendUnmatched(nil, &m)), `{"topic":`+want+`,"event":"phx_reply","payload":`+reply+`,"ref":"1"}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestPayloadBytesPassThrough: what a client wrote comes out of the encoder as it went into the decoder.
func TestPayloadBytesPassThrough(t *testing.T) {
	payloads := []string{
		`{}`, `{ }`, `null`, `"str"`, `[1,	2]`, "{\"a\" :\n1.0}", `{"big":123456789012345678901234567890,"f":1.0,"e":1E+400}`,
		`{"b":1,"a":2,"b":3}`, `{"html":"</script>&","esc":"\u003c\/\u2028"}`, "{\"raw\":\"\u2028\x7f😀\"}", `{"half":"\ud83d"}`,
		strings.Repeat("[", 500) + strings.Repeat("]", 500),
	}
	refs := []string{`"1"`, `1.0`, `1e2`, `"\u0031"`, `""`, `{"a": 1}`, `true`, "null"}
	for i, payload := range payloads {
		ref := refs[i%len(refs)]
		v2 := `[` + ref + `,` + ref + `,"t","e",` + payload + `]`
		v1 := `{"topic":"t","event":"e","payload":` + payload + `,"ref":` + ref + `}`
		for v, frame := range map[phoenix.Version]string{phoenix.V1: v1, phoenix.V2: v2} {
			m, err := v.Decode([]byte(frame), false)
			if err != nil {
				t.Fatalf("%s: %v", frame, err)
			}
			if got := string(m.Payload); got != payload {
				t.Errorf("got payload %q, want %q", got, payload)
			}
			if got := string(v.AppendMessage(nil, m.JoinRef, m.Ref, m.Topic, m.Event, m.Payload)); got != frame {
				t.Errorf("got %q, want %q", got, frame)
			}
			if got, want := string(v.AppendReply(nil, "", m.Ref, "t", "ok", m.Payload)), `"response":`+payload+`}`; !strings.Contains(got, want) {
				t.Errorf("got %q, want it to have %q", got, want)
			}
		}
	}
}

// TestCompact: the Java client cuts envelopes up at commas and deletes quotes, so there may be nothing else in them.
func TestCompact(t *testing.T) {
	const name = "a/<>&'\u2028b"
	for _, v := range []phoenix.Version{phoenix.V1, phoenix.V2} {
		for _, frame := range [][]byte{
			v.AppendMessage(nil, `"1"`, `"2"`, name, name, nil),
			v.AppendReply(nil, `"1"`, `"2"`, name, phoenix.StatusError, nil),
			v.AppendReply(nil, "", "", name, name, nil),
			v.AppendUnmatched(nil, &phoenix.Message{Topic: name}),
			v.AppendBroadcast(nil, name, name, nil),
			v.AppendClose(nil, `"1"`, name),
			v.AppendError(nil, `"1"`, name),
		} {
			text := strings.ReplaceAll(string(frame), "unmatched topic", "")
			if strings.ContainsAny(text, " \t\r\n\\") {
				t.Errorf("%s has white space or an escape in it", frame)
			}
			if !strings.Contains(text, `"`+name+`"`) {
				t.Errorf("%s does not have %s as it is", frame, name)
			}
		}
	}
}

// TestAppendAllocatesNothing: a dst that is large enough is all an Append function needs. Refs with escapes, which no
// client sends, are decoded for binary frames and not meant here.
func TestAppendAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 4096)
	check := func(name string, call func()) {
		t.Helper()
		if got := testing.AllocsPerRun(100, call); got != 0 {
			t.Errorf("%s: got %v allocations, want 0", name, got)
		}
	}
	for _, c := range appends() {
		check(c.name, func() { c.call(dst) })
	}
	data := []byte("data")
	check("binary push", func() { _, _ = phoenix.AppendBinaryPush(dst, `"1"`, "t", "e", data) })
	check("binary reply", func() { _, _ = phoenix.AppendBinaryReply(dst, `"1"`, "2", "t", "ok", data) })
	check("binary broadcast", func() { _, _ = phoenix.AppendBinaryBroadcast(dst, "t", "e", data) })
}
