package gateway_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"roost/auth"
	"roost/hub"
	"roost/phoenix/phoenixtest"
)

// call is one question put to a slowBackend, which answers when the test does.
type call struct {
	what   string // "join topic ref" or "push topic ref"
	ctx    context.Context
	answer chan<- *auth.Answer
}

// ok answers a call.
func (c call) ok() { c.answer <- &auth.Answer{Status: "ok"} }

// slowBackend answers joins and pushes when the test says so. What is deaf to its context answers late.
func slowBackend(deaf bool) (*backend, <-chan call) {
	calls := make(chan call, 100)
	ask := func(ctx context.Context, what string) (*auth.Answer, error) {
		answer := make(chan *auth.Answer, 1)
		calls <- call{what, ctx, answer}
		if deaf {
			return <-answer, nil
		}
		select {
		case a := <-answer:
			return a, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return &backend{
		join: func(ctx context.Context, r *auth.JoinRequest) (*auth.Answer, error) {
			return ask(ctx, "join "+r.Topic+" "+string(r.Ref))
		},
		push: func(ctx context.Context, r *auth.PushRequest) (*auth.Answer, error) {
			return ask(ctx, "push "+r.Topic+" "+string(r.Ref))
		},
	}, calls
}

// next returns the next call, which must be this one.
func next(t *testing.T, calls <-chan call, what string) call {
	t.Helper()
	c := await(t, "call of "+what, calls)
	if c.what != what {
		t.Fatalf("got call %s, want %s", c.what, what)
	}
	return c
}

// none fails the test if there is a call.
func none(t *testing.T, calls <-chan call) {
	t.Helper()
	select {
	case c := <-calls:
		t.Fatalf("got call %s, want none", c.what)
	default:
	}
}

// cancelled waits for the end of a call's context, which must have a cause with this word.
func cancelled(t *testing.T, c call, word string) {
	t.Helper()
	await(t, "end of the context of "+c.what, c.ctx.Done())
	if cause := context.Cause(c.ctx); errors.Is(cause, context.Canceled) || !strings.Contains(cause.Error(), word) {
		t.Errorf("%s: got cause %v, want one with %q", c.what, cause, word)
	}
}

func TestPendingJoinDelaysNobodyElse(t *testing.T) {
	b, calls := slowBackend(false)
	p := startPod(t, b)
	c := p.dial()
	c.Send(join("1", "a"), frame("1", "2", "a", "say", "{}"), join("3", "b"), frame("3", "4", "b", "say", "{}"))
	a, other := await(t, "call", calls), await(t, "call", calls)
	if a.what != `join a "1"` {
		a, other = other, a
	}
	c.Heartbeat()
	other.ok()
	c.Want(joined("3", "b"))
	next(t, calls, `push b "4"`).ok()
	c.Want(okay("3", "4", "b", "{}"))
	c.Heartbeat()
	none(t, calls)
	a.ok()
	c.Want(joined("1", "a"))
	next(t, calls, `push a "2"`).ok()
	c.Want(okay("1", "2", "a", "{}"))
}

func TestQueueBehindAJoin(t *testing.T) {
	b, calls := slowBackend(false)
	p := startPod(t, b)
	c := p.dial()
	c.Send(join("1", "a"), frame("1", "2", "a", "say", "{}"), frame("", "3", "a", "say", "{}"), frame("9", "4", "a", "say", "{}"), frame("9", "5", "a", "phx_leave", "{}"))
	first := next(t, calls, `join a "1"`)
	c.Heartbeat()
	first.answer <- &auth.Answer{Status: "error", Response: []byte(`{"reason":"no"}`)}
	c.Want(refused("1", "1", "a", "no"), refused("", "2", "a", "unmatched topic"), refused("", "3", "a", "unmatched topic"),
		refused("", "4", "a", "unmatched topic"), okay("9", "5", "a", "{}"))
	c.Send(join("6", "a"), frame("6", "7", "a", "say", "{}"), frame("1", "8", "a", "say", "{}"), frame("", "9", "a", "say", "{}"))
	next(t, calls, `join a "6"`).ok()
	c.Want(joined("6", "a"))
	seven := next(t, calls, `push a "7"`)
	c.Heartbeat()
	none(t, calls) // one push of a channel at a time
	seven.answer <- &auth.Answer{}
	next(t, calls, `push a "9"`).ok()
	c.Want(okay("6", "9", "a", "{}"))
	b.wantLeft(t)
	p.wantCounter(1, "roost_messages_stale_total")
}

// What comes before a leave or a join has a moment to finish. On a busy machine a moment may be too short, so some tries
// are given.
func TestGrace(t *testing.T) {
	const tries = 20
	behind := map[string]struct{ then, reason string }{
		"a leave": {frame("1", "2", "a", "phx_leave", "{}"), "left"},
		"a join":  {join("2", "a"), "duplicate_join"},
	}
	for name, c := range behind {
		t.Run(name, func(t *testing.T) {
			b := &backend{}
			p := startPod(t, b)
			for range tries {
				client := p.dial()
				client.Send(join("1", "a"), frame("1", "1b", "a", "say", `{"n":1}`), c.then)
				first := client.Next()
				if !phoenixtest.Same(first, joined("1", "a")) {
					continue // cut
				}
				second := client.Next()
				if !phoenixtest.Same(second, okay("1", "1b", "a", `{"n":1}`)) {
					continue
				}
				if c.reason == "left" {
					client.Want(okay("1", "2", "a", "{}"))
				} else {
					client.Want(joined("2", "a"))
				}
				client.Want(closed("1", "a"))
				eventually(t, "notice", func() bool { return slices.Contains(b.left(), `a "1" `+c.reason) })
				return
			}
			t.Errorf("got nothing answered before %s in %d tries, want one answer", name, tries)
		})
	}
}

func TestLeaveCancelsAPendingJoin(t *testing.T) {
	b, calls := slowBackend(false)
	p := startPod(t, b)
	c := p.dial()
	c.Send(join("1", "a"), frame("1", "2", "a", "say", "{}"), frame("1", "3", "a", "phx_leave", "{}"))
	cancelled(t, next(t, calls, `join a "1"`), "left")
	c.Want(okay("1", "3", "a", "{}"))
	c.Quiet()
	none(t, calls)
	b.wantLeft(t)
	p.wantCounter(1, "roost_joins_total", "result=cancelled")
}

func TestJoinCancelsAPendingJoin(t *testing.T) {
	b, calls := slowBackend(false)
	p := startPod(t, b)
	c := p.dial()
	c.Send(join("1", "a"), join("2", "a"), join("3", "a"))
	cancelled(t, next(t, calls, `join a "1"`), "duplicate_join")
	next(t, calls, `join a "3"`).ok()
	c.Want(joined("3", "a"))
	c.Quiet()
	b.wantLeft(t)
}

func TestStaleLeaveCancelsNothing(t *testing.T) {
	b, calls := slowBackend(false)
	p := startPod(t, b)
	c := p.dial()
	c.Send(join("1", "a"), frame("9", "2", "a", "phx_leave", "{}"))
	pending := next(t, calls, `join a "1"`)
	c.Quiet() // longer than the grace
	if err := pending.ctx.Err(); err != nil {
		t.Fatalf("got %v, want the join to go on", context.Cause(pending.ctx))
	}
	pending.ok()
	c.Want(joined("1", "a"))
	c.Heartbeat()
}

func TestPushCancelled(t *testing.T) {
	for name, c := range map[string]struct {
		then  string // what the client sends behind a push that is under way
		cause string
		want  []string
	}{
		"by a leave": {frame("1", "3", "a", "phx_leave", "{}"), "left", []string{okay("1", "3", "a", "{}"), closed("1", "a")}},
		"by a join":  {join("3", "a"), "duplicate_join", []string{joined("3", "a"), closed("1", "a")}},
	} {
		t.Run(name, func(t *testing.T) {
			b, calls := slowBackend(false)
			p := startPod(t, b)
			client := p.dial()
			client.Send(join("1", "a"))
			next(t, calls, `join a "1"`).ok()
			client.Want(joined("1", "a"))
			client.Send(frame("1", "2", "a", "say", "{}"), c.then)
			cancelled(t, next(t, calls, `push a "2"`), c.cause)
			if c.cause == "duplicate_join" {
				next(t, calls, `join a "3"`).ok()
			}
			client.Want(c.want...)
			b.wantLeft(t, `a "1" `+c.cause)
		})
	}
}

func TestPushCancelledFromOutside(t *testing.T) {
	for cause, end := range map[string]func(p *pod, connection string){
		"kicked":       func(p *pod, _ string) { p.publish("topic:a", `{"event":"phx_error"}`) },
		"disconnected": func(p *pod, connection string) { p.publish(hub.ConnAddress(connection), `{"event":"disconnect"}`) },
	} {
		t.Run(cause, func(t *testing.T) {
			b, calls := slowBackend(false)
			p := startPod(t, b)
			c := p.dial()
			c.Send(join("1", "a"))
			next(t, calls, `join a "1"`).ok()
			c.Want(joined("1", "a"))
			c.Send(frame("1", "2", "a", "say", "{}"))
			pending := next(t, calls, `push a "2"`)
			end(p, p.members("a")[0])
			cancelled(t, pending, cause)
			if cause == "kicked" {
				c.Want(crashed("1", "a"))
				c.Heartbeat()
			} else {
				c.WantClose(1001)
			}
			b.wantLeft(t, `a "1" `+cause)
		})
	}
}
