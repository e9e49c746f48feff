package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"roost/auth"
	"roost/gateway"
	"roost/hub"
	"roost/phoenix/phoenixtest"
)

// ruled starts a pod with one topic of each kind, and a backend that must not be asked.
func ruled(t *testing.T) *pod {
	b := &backend{
		join: func(_ context.Context, r *auth.JoinRequest) (*auth.Answer, error) {
			t.Errorf("the backend was asked about %s, want the rule to decide", r.Topic)
			return nil, errors.New("unasked")
		},
		push: func(_ context.Context, r *auth.PushRequest) (*auth.Answer, error) {
			t.Errorf("the backend was asked about %s on %s, want the rule to decide", r.Event, r.Topic)
			return nil, errors.New("unasked")
		},
	}
	return startPod(t, b, func(c *gateway.Config) {
		c.Rules = auth.Rules{
			{Pattern: "closed:*", Join: auth.JoinDeny},
			{Pattern: "all:*", Join: auth.JoinAllow, Push: auth.PushBroadcast, Members: true},
			{Pattern: "others:*", Join: auth.JoinAllow, Push: auth.PushBroadcastFrom},
			{Pattern: "stream:*", Join: auth.JoinAllow, Push: auth.PushStream, Members: true},
			{Pattern: "read:*", Join: auth.JoinAllow, Push: auth.PushDeny},
		}
	})
}

func TestJoinRules(t *testing.T) {
	p := ruled(t)
	c := p.dial()
	c.Send(join("1", "closed:1"), join("2", "nowhere"), join("3", "all"))
	c.WantAll(refused("1", "1", "closed:1", "forbidden"), refused("", "2", "nowhere", "unmatched topic"), refused("", "3", "all", "unmatched topic"))
	long := "all:" + strings.Repeat("x", 1021)
	c.Send(join("4", long))
	c.Want(refused("4", "4", long, "topic too long"))
	joins(c, "all:", "others:1", "stream:1", "read:1")
	for topic, want := range map[string]int{"all:": 1, "stream:1": 1, "others:1": 0, "read:1": 0} {
		if got := len(p.members(topic)); got != want {
			t.Errorf("got %d members of %s, want %d", got, topic, want)
		}
	}
	c.Drop()
	p.backend.wantLeft(t, `all: "1" closed`, `others:1 "2" closed`, `stream:1 "3" closed`, `read:1 "4" closed`)
}

// choosy is a broker that takes no topic that begins with }.
type choosy struct{ hub.Broker }

func (choosy) Takes(topic string) bool { return !strings.HasPrefix(topic, "}") }

// TestTopicsTheBrokerRefuses: nobody is asked about them.
func TestTopicsTheBrokerRefuses(t *testing.T) {
	p := startPod(t, &backend{}, func(c *gateway.Config) {
		c.Hub = hub.New(hub.Config{PodID: "pod-b", Broker: choosy{hub.NewMemory().Pod("pod-b")}})
		c.Rules = auth.Rules{{Pattern: "*", Join: auth.JoinAllow}}
	})
	c := p.dial()
	c.Send(join("1", "}x"))
	c.Want(refused("", "1", "}x", "unmatched topic"))
}

func TestPushRules(t *testing.T) {
	p := ruled(t)
	one, two := p.dial(), p.dial()
	for _, c := range []*phoenixtest.Client{one, two} {
		joins(c, "all:1", "others:1", "stream:1", "read:1")
	}
	one.Send(frame("1", "5", "all:1", "say", `{"a":1.0}`))
	one.Want(frame("", "", "all:1", "say", `{"a":1.0}`), okay("1", "5", "all:1", "{}"))
	two.Want(frame("", "", "all:1", "say", `{"a":1.0}`))
	one.Send(frame("2", "6", "others:1", "say", `{}`))
	one.Want(okay("2", "6", "others:1", "{}"))
	two.Want(frame("", "", "others:1", "say", `{}`))
	one.Send(frame("4", "7", "read:1", "say", `{}`))
	one.Want(refused("4", "7", "read:1", "forbidden"))
	one.SendBinary([]byte("\x00\x01\x01\x05\x0318all:1say\xff\x00"))
	one.WantBinary([]byte("\x02\x05\x03all:1say\xff\x00"))
	one.Want(okay("1", "8", "all:1", "{}"))
	two.WantBinary([]byte("\x02\x05\x03all:1say\xff\x00"))
	one.Quiet()
	two.Quiet()
}

func TestUnfitEvents(t *testing.T) {
	p := ruled(t)
	one, two := p.dial(), p.dial()
	for _, c := range []*phoenixtest.Client{one, two} {
		joins(c, "all:1", "others:1")
	}
	for i, topic := range []string{"all:1", "others:1"} {
		joinRef := fmt.Sprint(i + 1)
		for event, reason := range map[string]string{
			"phx_close": "event is reserved", "phx_error": "event is reserved", "phx_reply": "event is reserved", "phx_": "event is reserved",
			"presence_state": "event is reserved", "presence_diff": "event is reserved", "presence_count": "event is reserved", "presence_": "event is reserved",
			"": "event is empty",
		} {
			one.Send(frame(joinRef, "5", topic, event, "{}"))
			one.Want(refused(joinRef, "5", topic, reason))
		}
		for _, payload := range []string{`null`, `[1]`, `"text"`, `1`} {
			one.Send(frame(joinRef, "6", topic, "say", payload))
			one.Want(refused(joinRef, "6", topic, "payload is not an object"))
		}
		event := strings.Repeat("e", 1025)
		one.Send(frame(joinRef, "7", topic, event, "{}"), fmt.Sprintf(`["%s","8",%q,5,{}]`, joinRef, topic))
		one.Want(refused(joinRef, "7", topic, "event too long"), refused(joinRef, "8", topic, "event is not a string"))
		one.Send(frame(joinRef, "9", topic, "disconnect", "{}")) // an ordinary event here
		if topic == "all:1" {
			one.Want(frame("", "", topic, "disconnect", "{}"))
		}
		one.Want(okay(joinRef, "9", topic, "{}"))
		two.Want(frame("", "", topic, "disconnect", "{}"))
	}
	two.Quiet()
}

func TestStreamRule(t *testing.T) {
	p := ruled(t)
	c := p.dial()
	joins(c, "stream:1")
	c.Send(frame("1", "2", "stream:1", "phx_close", `[1, 2]`), `[null,7,"stream:1","say",null]`)
	c.Want(okay("1", "2", "stream:1", "{}"), `["1",7,"stream:1","phx_reply",{"status":"ok","response":{}}]`)
	c.SendBinary([]byte("\x00\x01\x01\x08\x0313stream:1say\xff"))
	c.Want(okay("1", "3", "stream:1", "{}"))
	connection := p.members("stream:1")[0]
	want := []hub.StreamEntry{
		{Connection: connection, Topic: "stream:1", JoinRef: `"1"`, Ref: `"2"`, Event: "phx_close", Payload: []byte(`[1, 2]`)},
		{Connection: connection, Topic: "stream:1", JoinRef: `"1"`, Ref: `7`, Event: "say", Payload: []byte(`null`)},
		{Connection: connection, Topic: "stream:1", JoinRef: `"1"`, Ref: `"3"`, Event: "say", Payload: []byte{0xff}, Binary: true},
	}
	got := p.memory.Entries()
	if !slices.EqualFunc(got, want, func(a, b hub.StreamEntry) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
		t.Errorf("got entries %+v\nwant %+v", got, want)
	}
}

func TestTooManyChannels(t *testing.T) {
	p := startPod(t, &backend{}, func(c *gateway.Config) { c.MaxChannels = 2 })
	c := p.dial()
	joins(c, "a", "b")
	c.Send(join("3", "c"))
	c.Want(refused("3", "3", "c", "too many channels joined"))
	c.Send(join("4", "b")) // a rejoin takes the place of the old one
	c.Want(joined("4", "b"), closed("2", "b"))
	c.Send(frame("1", "5", "a", "phx_leave", "{}"))
	c.Want(okay("1", "5", "a", "{}"), closed("1", "a"))
	c.Send(join("6", "c"))
	c.Want(joined("6", "c"))
	p.wantCounter(1, "roost_limited_total", "kind=channels")
}

// Without rules that ask it, a gateway needs no backend.
func TestNoBackend(t *testing.T) {
	p := startPod(t, nil, func(c *gateway.Config) {
		c.Rules = auth.Rules{{Pattern: "*", Join: auth.JoinAllow, Push: auth.PushBroadcast, Members: true}}
	})
	c := p.dial()
	joins(c, "a")
	c.Send(frame("1", "2", "a", "phx_leave", "{}"))
	c.Want(okay("1", "2", "a", "{}"), closed("1", "a"))
	c.CloseWith(1000)
	p.wantCounter(0, "roost_connections")
	if _, err := gateway.New(gateway.Config{Hub: p.hub}); err == nil {
		t.Error("New without a backend, but with rules that ask it = nil, want an error")
	}
	if _, err := gateway.New(gateway.Config{}); err == nil {
		t.Error("New without a hub = nil, want an error")
	}
}
