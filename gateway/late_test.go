package gateway_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"roost/auth"
	"roost/gateway"
	"roost/phoenix/phoenixtest"
)

// An answer that nobody wants any more is undone: no reply, no member, and the backend is told once.
func TestLateAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		end    func(c *client)
		reason string
	}{
		"after a leave":      {func(c *client) { c.Send(frame("1", "2", "a", "phx_leave", "{}")) }, "left"},
		"after a close":      {func(c *client) { c.CloseWith(1000) }, "closed"},
		"after a disconnect": {func(c *client) { c.pod.publish("id:user:1", `{"event":"disconnect"}`) }, "disconnected"},
	} {
		t.Run(name, func(t *testing.T) {
			b, calls := slowBackend(true)
			b.connect = func(context.Context, *auth.Client) (*auth.ConnectAnswer, error) {
				return &auth.ConnectAnswer{ID: "user:1"}, nil
			}
			p := startPod(t, b)
			client := &client{p.dial(), p}
			client.Send(join("1", "a"))
			pending := next(t, calls, `join a "1"`)
			c.end(client)
			cancelled(t, pending, c.reason)
			pending.ok()
			b.wantLeft(t, `a "1" `+c.reason)
			if got := p.members("a"); got != nil {
				t.Errorf("got members %v, want none", got)
			}
			if c.reason == "left" {
				client.Want(okay("1", "2", "a", "{}"))
				p.publish("topic:a", `{"event":"e"}`)
				client.Quiet()
				b.wantGone(t)
			} else {
				b.wantGone(t, c.reason)
			}
			b.wantLeft(t, `a "1" `+c.reason)
			p.wantCounter(0, "roost_joins_total", "result=ok")
		})
	}
}

func TestLateAnswerDoesNotActOnANewerJoin(t *testing.T) {
	b, calls := slowBackend(true)
	p := startPod(t, b)
	c := p.dial()
	c.Send(join("1", "a"), join("2", "a"))
	first := next(t, calls, `join a "1"`)
	cancelled(t, first, "duplicate_join")
	first.answer <- &auth.Answer{Status: "ok", Response: []byte(`{"late":1}`), Pushes: []auth.Push{{Event: "p"}}, Broadcasts: []auth.Broadcast{{Event: "b"}}}
	second := next(t, calls, `join a "2"`)
	b.wantLeft(t, `a "1" duplicate_join`)
	second.ok()
	c.Want(joined("2", "a"))
	c.Quiet()
	if got := p.members("a"); len(got) != 1 {
		t.Errorf("got members %v, want one", got)
	}
}

// The connection may end at any time, also while an answer that came too late is undone.
func TestConnectionEndsWhileAnAnswerIsUndone(t *testing.T) {
	b, calls := slowBackend(true)
	p := startPod(t, b)
	c := p.dial()
	b.leave = func() {
		c.Drop()
		if !holds(func() bool { return p.counter("roost_connections") == 0 }) {
			t.Error("got a connection, want it gone")
		}
	}
	c.Send(join("1", "a"), frame("1", "2", "a", "phx_leave", "{}"))
	pending := next(t, calls, `join a "1"`)
	cancelled(t, pending, "left")
	pending.ok()
	b.wantLeft(t, `a "1" left`)
	b.wantGone(t, "closed")
	if got := p.members("a"); got != nil {
		t.Errorf("got members %v, want none", got)
	}
}

func TestInboxLimit(t *testing.T) {
	b, calls := slowBackend(false)
	p := startPod(t, b, func(c *gateway.Config) { c.InboxLimit = 2000 })
	c := p.dial()
	c.Send(join("1", "a"))
	first := next(t, calls, `join a "1"`)
	big := fmt.Sprintf(`{"x":%q}`, strings.Repeat("x", 900))
	c.Send(frame("1", "2", "a", "say", big), frame("1", "3", "a", "say", big), join("4", "b"))
	c.Want(refused("1", "3", "a", "too many messages waiting"))
	// The limit is the connection's, but a heartbeat always has room.
	next(t, calls, `join b "4"`).ok()
	c.Want(joined("4", "b"))
	c.Heartbeat()
	p.wantCounter(1, "roost_limited_total", "kind=inbox")
	first.ok()
	c.Want(joined("1", "a"))
	next(t, calls, `push a "2"`).ok()
	c.Want(okay("1", "2", "a", "{}"))
	// What was worked off makes room again.
	c.Send(frame("1", "5", "a", "say", big))
	next(t, calls, `push a "5"`).ok()
	c.Want(okay("1", "5", "a", "{}"))
}

// client is a client and the pod it is connected to.
type client struct {
	*phoenixtest.Client
	pod *pod
}
