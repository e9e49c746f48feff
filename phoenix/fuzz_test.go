package phoenix_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	"roost/phoenix"
)

// Frames as phoenix.js wrote them (1.8.16, and 1.2.1 for V1), and as the clients of section 9 do.
var (
	seedsV2 = []string{
		`["3","3","rooms:lobby","phx_join",{}]`,
		`[null,"4","phoenix","heartbeat",{}]`,
		"[\"3\",\"5\",\"rooms:lobby\",\"new:msg\",{\"user\":\"ü\",\"body\":\"</script>& \u2028 \\u0001 😀\"}]",
		`["3","6","rooms:lobby","phx_leave",{}]`,
		`["","1","phoenix","heartbeat",null]`,
		`[1, 2.0, "\u0074\ud83d\ude00", ["e"], {"a": [1, -2e+3, true, false, null]}, "more"]`,
	}
	seedsV1 = []string{
		`{"topic":"rooms:lobby","event":"phx_join","payload":{},"ref":"1"}`,
		`{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"2"}`,
		`{"topic":"rooms:lobby","event":"new:msg","payload":{"user":"ü","body":"hi"},"ref":"3"}`,
		`{"topic":"realtime:x","event":"phx_leave","payload":{},"ref":"5","join_ref":"7"}`,
		`{"ref":null,"payload":null,"event":5,"topic":{},"\u0074opic":"t"}`,
	}
	seedsBinary = []string{
		"\x00\x01\x01\x0b\x0337rooms:cafébin\x01\x02\xff",
		"\x00\x04\x01\x01\x01null8te", // what phoenix.js makes of a null join_ref
		"\x00\x02\x01\x08\x03112room:binbin\x01\x02",
		"\x00\x00\x01\x07\x099phoenixheartbeat",
		"\x00\x05\x05\x05\x05abc",
	}
)

func seed(f *testing.F, frames []string) {
	for _, frame := range frames {
		f.Add([]byte(frame))
	}
}

// differs tells whether raw is JSON that Decode refuses on purpose: half a surrogate where a name is, or deep nesting.
// It may say so too often, never too seldom.
func differs(raw []byte) bool {
	return bytes.Contains(bytes.ToLower(raw), []byte(`\ud`)) || bytes.Count(raw, []byte("["))+bytes.Count(raw, []byte("{")) >= 1000
}

// checkNames compares the refs and names of m with the fields that encoding/json cut out: join_ref, ref, topic, event.
func checkNames(t *testing.T, m phoenix.Message, fields [4]json.RawMessage) {
	t.Helper()
	for i, got := range []phoenix.Ref{m.JoinRef, m.Ref} {
		if want := string(fields[i]); got.JSON() != want && !(want == "" && got == "") {
			t.Errorf("got ref %s, want %s", got.JSON(), want)
		}
	}
	checkName := func(got string, isName bool, raw json.RawMessage) {
		t.Helper()
		if isName != (raw[0] == '"') {
			t.Fatalf("%s is a name: got %v", raw, isName)
		}
		var want string
		if !isName {
			return
		}
		if err := json.Unmarshal(raw, &want); err != nil || got != want {
			t.Errorf("got %q, want %q (%v)", got, want, err)
		}
	}
	checkName(m.Topic, m.NoTopic == nil, fields[2])
	checkName(m.Event, !m.NoEvent, fields[3])
}

func FuzzDecodeV2(f *testing.F) {
	seed(f, seedsV2)
	f.Fuzz(func(t *testing.T, frame []byte) {
		m, err := phoenix.V2.Decode(frame, false)
		if !utf8.Valid(frame) {
			return // the transport has refused it
		}
		var fields []json.RawMessage
		valid := json.Unmarshal(frame, &fields) == nil && len(fields) >= 5
		if err != nil {
			if valid && !differs(frame) && len(fields[0]) <= phoenix.MaxRefSize && len(fields[1]) <= phoenix.MaxRefSize {
				t.Fatalf("Decode(%q) = %v, want a message", frame, err)
			}
			return
		}
		if !valid {
			t.Fatalf("Decode(%q) = %+v, want an error: encoding/json finds %d elements", frame, m, len(fields))
		}
		checkNames(t, m, [4]json.RawMessage(fields))
		if !bytes.Equal(m.Payload, fields[4]) {
			t.Errorf("got payload %s, want %s", m.Payload, fields[4])
		}
		if m.NoTopic != nil || m.NoEvent {
			if answer := phoenix.V2.AppendUnmatched(nil, &m); !json.Valid(answer) {
				t.Errorf("%s is not JSON", answer)
			}
			return
		}
		again, err := phoenix.V2.Decode(phoenix.V2.AppendMessage(nil, m.JoinRef, m.Ref, m.Topic, m.Event, m.Payload), false)
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("got %+v, %v the second time, want %+v", again, err, m)
		}
	})
}

func FuzzDecodeV1(f *testing.F) {
	seed(f, seedsV1)
	f.Fuzz(func(t *testing.T, frame []byte) {
		m, err := phoenix.V1.Decode(frame, false)
		if !utf8.Valid(frame) {
			return
		}
		var object map[string]json.RawMessage
		valid := json.Unmarshal(frame, &object) == nil
		for _, key := range []string{"topic", "event", "payload", "ref"} {
			_, found := object[key]
			valid = valid && found
		}
		if err != nil {
			if valid && !differs(frame) && len(object["ref"]) <= phoenix.MaxRefSize && len(object["join_ref"]) <= phoenix.MaxRefSize {
				t.Fatalf("Decode(%q) = %v, want a message", frame, err)
			}
			return
		}
		if !valid {
			t.Fatalf("Decode(%q) = %+v, want an error: encoding/json finds %q", frame, m, object)
		}
		checkNames(t, m, [4]json.RawMessage{object["join_ref"], object["ref"], object["topic"], object["event"]})
		if !bytes.Equal(m.Payload, object["payload"]) {
			t.Errorf("got payload %s, want %s", m.Payload, object["payload"])
		}
		if m.NoTopic != nil || m.NoEvent {
			return
		}
		m.JoinRef = "" // which servers never send in V1
		again, err := phoenix.V1.Decode(phoenix.V1.AppendMessage(nil, "", m.Ref, m.Topic, m.Event, m.Payload), false)
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("got %+v, %v the second time, want %+v", again, err, m)
		}
	})
}

func FuzzDecodeBinary(f *testing.F) {
	seed(f, seedsBinary)
	f.Fuzz(func(t *testing.T, frame []byte) {
		m, err := phoenix.V2.Decode(frame, true)
		if err != nil {
			return
		}
		if !m.Binary || !json.Valid([]byte(m.Ref)) || !json.Valid([]byte(m.JoinRef)) {
			t.Errorf("got %+v, want a binary message with refs that are JSON", m)
		}
		// A reply has the layout of a client's push, with the status where the event is.
		again, err := phoenix.AppendBinaryReply(nil, m.JoinRef, m.Ref, m.Topic, m.Event, m.Payload)
		if err != nil {
			t.Fatal(err)
		}
		again[0] = 0
		if !bytes.Equal(again, frame) {
			t.Errorf("got %q, want %q", again, frame)
		}
	})
}
