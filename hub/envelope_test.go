package hub_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"roost/hub"
)

// malformed is every body that means nothing, by the reason it is counted with, published to a topic.
var malformed = []struct{ reason, body string }{
	{"not_utf8", "{\"event\":\"\xff\"}"},
	{"not_utf8", "\xc3"},
	{"not_json", ``},
	{"not_json", `{`},
	{"not_json", `[]`},
	{"not_json", `"event"`},
	{"not_json", `{"event":"x"} x`},
	{"not_json", `{"event":"x","payload":{"a":01}}`},
	{"not_json", `{"event":"x",}`},
	{"not_json", `{"event":"x","payload":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`},
	{"not_a_string", `{"event":5}`},
	{"not_a_string", `{"event":{"a":1},"payload":{}}`},
	{"not_a_string", `{"event":"x","except":["a.1"]}`},
	{"not_a_string", `{"event":"x","topic":true}`},
	{"not_a_string", `{"event":"x","origin":1}`},
	{"not_a_string", `{"event":"\ud800"}`},
	{"no_event", `{}`},
	{"no_event", `{"event":""}`},
	{"no_event", `{"event":null,"payload":{}}`},
	{"no_event", `{"Event":"x"}`},
	{"two_payloads", `{"event":"x","payload":{},"payload_base64":""}`},
	{"bad_base64", `{"event":"x","payload_base64":"!"}`},
	{"bad_base64", `{"event":"x","payload_base64":"_w=="}`},
	{"bad_base64", `{"event":"x","payload_base64":5}`},
	{"bad_base64", `{"event":"x","payload_base64":"\ud800"}`},
	{"payload_not_an_object", `{"event":"x","payload":[1]}`},
	{"payload_not_an_object", `{"event":"x","payload":"{}"}`},
	{"payload_not_an_object", `{"event":"phx_close","payload":1}`},
}

// What means nothing is counted by reason, and nothing else happens.
func TestMalformed(t *testing.T) {
	for _, c := range malformed {
		t.Run(fmt.Sprintf("%s %.40s", c.reason, c.body), func(t *testing.T) {
			p := startPod(t, hub.NewMemory(), "a", hub.Config{})
			m, one := p.join(t, "t", "a.1"), p.attach(t, "a.1", "user:1")
			p.send("t", c.body)
			p.memory.Publish(hub.IDAddress("user:1"), []byte(c.body))
			p.memory.Publish(hub.ConnAddress("a.1"), []byte(c.body))
			p.send("t", `{"event":"after"}`)
			p.memory.Publish(hub.ConnAddress("a.1"), []byte(`{"topic":"t","event":"after"}`))
			m.expect(t, "t after ")
			one.expect(t, "t after ")
			checkMalformed(t, p, map[string]int{c.reason: 3})
		})
	}
}

// Some bodies mean something only in one place.
func TestMalformedAddress(t *testing.T) {
	p := startByHand(t, "a", hub.Config{})
	m, one := p.join(t, "t", "a.1"), p.attach(t, "a.1", "user:1")
	for _, addr := range []hub.Address{hub.IDAddress("user:1"), hub.ConnAddress("a.1")} {
		for _, body := range []string{`{"event":"x"}`, `{"event":"phx_close"}`, `{"event":"x","topic":""}`, `{"event":"x","topic":null}`} {
			p.sink.Message(addr, []byte(body))
		}
	}
	p.sink.Oversize(hub.TopicAddress("t"), 50<<20)
	p.sink.Oversize(hub.ConnAddress("a.1"), 50<<20)
	p.sink.Message(hub.ConnAddress("a.1"), []byte(`{"topic":"t","event":"after"}`))
	p.receive("t", `{"event":"after"}`)
	m.expect(t, "t after ")
	one.expect(t, "t after ")
	checkMalformed(t, p.pod, map[string]int{"no_topic": 8, "too_large": 2})
}

// What is well formed, whatever else is in it.
func TestWellFormed(t *testing.T) {
	p := startByHand(t, "a", hub.Config{})
	m := p.join(t, "t", "a.1")
	var want []string
	for _, c := range []struct{ body, want string }{
		{`{"event":"x"}`, "t x "},
		{" {\r\n\t\"event\" : \"x\" , \"payload\" : { \"n\" : 1.0 } } \n", `t x { "n" : 1.0 }`},
		{`{"payload":{"b":1,"a":2},"event":"x","unknown":[1,{"event":"y"}]}`, `t x {"b":1,"a":2}`},
		{`{"event":"\u0078\n\ud83d\ude00"}`, "t x\n😀 "},
		{`{"event":"x","topic":"ignored","except":null,"origin":null}`, "t x "},
		{`{"event":"x","origin":"a/1"}`, "t x "},
		{`{"event":"x","origin":"a/!"}`, "t x "},
		{`{"event":"x","origin":"nonsense"}`, "t x "},
		{`{"event":"no","event":"x","payload":{"n":1},"payload":{"n":2}}`, `t x {"n":2}`},
		{`{"event":"x","payload_base64":"/w\/A"}`, "t x \xff\x0f\xc0 (binary)"},
		{`{"event":"x","payload_base64":""}`, "t x  (binary)"},
	} {
		p.receive("t", c.body)
		want = append(want, c.want)
	}
	m.expect(t, want...)
	checkMalformed(t, p.pod, nil)
}

// FuzzEnvelope publishes anything: it reaches the member as an event that can be written as a frame, or it ends the
// member, or it is counted.
func FuzzEnvelope(f *testing.F) {
	for _, c := range malformed {
		f.Add([]byte(c.body))
	}
	for _, body := range []string{
		`{"event":"new_msg","payload":{"body":"hi","n":1.0}}`, `{"event":"x","except":"a.1"}`, `{"event":"x","except":"a.2"}`, `{"event":"phx_close"}`,
		`{"event":"phx_error"}`, `{"event":"x","payload_base64":"/wA="}`, `{"event":"\ud83d\ude00","origin":"a/1","topic":"t"}`,
	} {
		f.Add([]byte(body))
	}
	p := startPod(f, hub.NewMemory(), "a", hub.Config{})
	m := p.join(f, "t", "a.1")
	var bad string
	m.onDeliver = func(b *hub.Batch) {
		for _, c := range b.Broadcasts {
			if c.Event == "" || !utf8.ValidString(c.Event) || !c.Binary && len(c.Payload) > 0 && (!json.Valid(c.Payload) || c.Payload[0] != '{') {
				bad = fmt.Sprintf("%+v", c)
			}
		}
	}
	barriers := 0
	f.Fuzz(func(t *testing.T, body []byte) {
		before, _ := m.read()
		dropped := p.metric(t, "roost_publishes_malformed_total")
		p.send("t", string(body))
		barriers++
		barrier := fmt.Sprint("barrier ", barriers)
		p.send("t", fmt.Sprintf(`{"event":%q}`, barrier))
		log := m.awaitLine(t, "t "+barrier+" ")
		if bad != "" {
			t.Fatalf("%q reached the member as %s", body, bad)
		}
		counted := p.metric(t, "roost_publishes_malformed_total") - dropped
		reached := float64(len(log) - len(before) - 1)
		var e struct{ Event, Except any }
		excepted := json.Unmarshal(body, &e) == nil && e.Except == "a.1"
		if counted+reached != 1 && !(excepted && counted+reached == 0) {
			t.Errorf("%q reached the member %v times and was counted %v times, want one of both once", body, reached, counted)
		}
		m.forget()
	})
}
