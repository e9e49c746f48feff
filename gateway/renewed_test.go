package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"roost/auth"
)

// seenBy is what a backend is told of a client and of a channel.
func seenBy(kind string, c *auth.Client, assigns json.RawMessage) string {
	token := "none"
	if c.AuthToken != nil {
		token = *c.AuthToken
	}
	return fmt.Sprintf("%s auth_token=%s params=%s assigns=%s", kind, token, c.Params, assigns)
}

// From a renewal on, the backend sees the new token and its claims only, wherever the first one was.
func TestBackendSeesTheRenewedToken(t *testing.T) {
	calls := make(chan string, 100)
	b := &backend{
		connect: func(_ context.Context, c *auth.Client) (*auth.ConnectAnswer, error) {
			calls <- seenBy("connect", c, c.Assigns)
			return &auth.ConnectAnswer{Expires: time.Now().Add(time.Second)}, nil
		},
		join: func(_ context.Context, r *auth.JoinRequest) (*auth.Answer, error) {
			calls <- seenBy("join", r.Client, r.Assigns)
			return &auth.Answer{Status: "ok"}, nil
		},
		push: func(_ context.Context, r *auth.PushRequest) (*auth.Answer, error) {
			calls <- seenBy("push", r.Client, r.Assigns)
			return &auth.Answer{Status: "ok"}, nil
		},
	}
	p := startTokenPod(t, b, never)
	c := p.with("good-1")
	want := func(what ...string) {
		t.Helper()
		for _, w := range what {
			got := await(t, w, calls)
			if got != w {
				t.Errorf("got  %s\nwant %s", got, w)
			}
		}
	}
	want(`connect auth_token=none params={"vsn":"2.0.0","token":"good-1"} assigns={"claims":{"t":"good-1"}}`)
	c.Send(join("1", "web:1"))
	c.Want(joined("1", "web:1"))
	want(`join auth_token=none params={"vsn":"2.0.0","token":"good-1"} assigns={"claims":{"t":"good-1"}}`)
	c.Send(accessToken("", "2", "phoenix", "good-2"))
	c.Next()
	const now = ` auth_token=good-2 params={"vsn":"2.0.0","token":"good-2"} assigns={"claims":{"t":"good-2"}}`
	want("connect" + now)
	c.Send(join("3", "web:2"), frame("1", "4", "web:1", "hi", "{}"))
	c.WantAll(joined("3", "web:2"), okay("1", "4", "web:1", "{}"))
	if got := []string{<-calls, <-calls}; got[0] != "join"+now && got[1] != "join"+now || got[0] != "push"+now && got[1] != "push"+now {
		t.Errorf("got %q, want a join and a push with%s", got, now)
	}
	want("connect" + now) // after a second
	c.Drop()
	b.wantGone(t, "closed")
	b.mu.Lock()
	defer b.mu.Unlock()
	if got := seenBy("disconnect", b.disconnects[0].Client, b.disconnects[0].Client.Assigns); got != "disconnect"+now {
		t.Errorf("got  %s\nwant disconnect%s", got, now)
	}
	for _, l := range b.leaves {
		if got := seenBy("leave", l.Client, l.Assigns); got != "leave"+now {
			t.Errorf("got  %s\nwant leave%s", got, now)
		}
	}
}

// A renewal asks the backend about connections, if there is one, whether or not it set a time.
func TestRenewalIsAskedAbout(t *testing.T) {
	p := startTokenPod(t, &backend{connect: func(_ context.Context, c *auth.Client) (*auth.ConnectAnswer, error) {
		if c.AuthToken != nil && *c.AuthToken == "good-revoked" {
			return nil, &auth.Refusal{Code: 403}
		}
		return &auth.ConnectAnswer{}, nil
	}}, never)
	c := p.with("good-1")
	c.Send(accessToken("", "1", "phoenix", "good-revoked"))
	c.Want(refused("", "1", "phoenix", "unauthorized"))
	c.Send(accessToken("", "2", "phoenix", "good-2"))
	c.Want(okay("", "2", "phoenix", "{}"))
}

// An answer to what was asked before a renewal does not bring the old claims back.
func TestRenewedWhileAnAnswerIsUnderWay(t *testing.T) {
	seen, answers := make(chan string), make(chan *auth.Answer)
	answer := func(ctx context.Context, assigns json.RawMessage) (*auth.Answer, error) {
		select {
		case seen <- string(assigns):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		select {
		case a := <-answers:
			return a, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	p := startTokenPod(t, &backend{
		join: func(ctx context.Context, r *auth.JoinRequest) (*auth.Answer, error) { return answer(ctx, r.Assigns) },
		push: func(ctx context.Context, r *auth.PushRequest) (*auth.Answer, error) { return answer(ctx, r.Assigns) },
	}, never)
	c := p.with("good-1")
	renew := func(token string) {
		c.Send(accessToken("", "9", "phoenix", token))
		c.Want(okay("", "9", "phoenix", "{}"))
	}
	want := func(assigns string) {
		t.Helper()
		if got := await(t, "question", seen); got != assigns {
			t.Errorf("the backend was asked with %s, want %s", got, assigns)
		}
	}
	with := func(claims string) *auth.Answer {
		return &auth.Answer{Status: "ok", Assigns: json.RawMessage(`{"x":1,"claims":{"t":"` + claims + `"}}`)}
	}
	c.Send(join("1", "web:1"))
	want(`{"claims":{"t":"good-1"}}`)
	renew("good-2")
	answers <- with("good-1")
	c.Want(joined("1", "web:1"))
	c.Send(frame("1", "2", "web:1", "hi", "{}"))
	want(`{"x":1,"claims":{"t":"good-2"}}`)
	renew("good-3")
	answers <- with("good-2")
	c.Want(okay("1", "2", "web:1", "{}"))
	c.Send(frame("1", "3", "web:1", "hi", "{}"))
	want(`{"x":1,"claims":{"t":"good-3"}}`)
	answers <- with("mine") // the backend may, if it knows the newest
	c.Want(okay("1", "3", "web:1", "{}"))
	c.Send(frame("1", "4", "web:1", "hi", "{}"))
	want(`{"x":1,"claims":{"t":"mine"}}`)
}

// Joins, pushes and renewals of one connection get on with each other. The race detector has an eye on it.
func TestRenewalsBesideJoins(t *testing.T) {
	assigns := json.RawMessage(`{"claims":{},"x":1}`)
	p := startTokenPod(t, &backend{join: func(context.Context, *auth.JoinRequest) (*auth.Answer, error) {
		time.Sleep(time.Millisecond)
		return &auth.Answer{Status: "ok", Assigns: assigns}, nil
	}}, never)
	c := p.with("good-1")
	for n := range 50 {
		topic := fmt.Sprint("web:", n)
		c.Send(join("1", topic), accessToken("", "2", "phoenix", fmt.Sprint("good-", n)), frame("1", "3", topic, "hi", "{}"))
		c.WantAll(joined("1", topic), okay("", "2", "phoenix", "{}"), okay("1", "3", topic, "{}"))
	}
}
