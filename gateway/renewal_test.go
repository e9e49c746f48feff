package gateway_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"roost/auth"
	"roost/gateway"
)

// askedAgain is a backend that lets in for a second, and then for long; each call after the first waits for an answer of the
// test's.
func askedAgain() (b *backend, calls chan chan error) {
	calls = make(chan chan error)
	var first atomic.Bool
	return &backend{connect: func(ctx context.Context, _ *auth.Client) (*auth.ConnectAnswer, error) {
		if first.CompareAndSwap(false, true) {
			return &auth.ConnectAnswer{ID: "user:1", Expires: time.Now().Add(time.Second)}, nil
		}
		answer := make(chan error)
		select {
		case calls <- answer:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		select {
		case err := <-answer:
			return &auth.ConnectAnswer{ID: "user:1"}, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}, calls
}

const (
	renewal = `[null,"1","phoenix","access_token",{"token":"x"}]`
	renewed = `[null,"1","phoenix","phx_reply",{"status":"ok","response":{}}]`
)

// A client that renews while the backend is asked about what it had before is not closed for that answer.
func TestRenewedWhileAskedAgain(t *testing.T) {
	b, calls := askedAgain()
	p := startPod(t, b)
	c := p.dial()
	about := await(t, "question after a second", calls)
	c.Send(renewal)
	await(t, "question about the new token", calls) <- nil
	c.Want(renewed)
	about <- &auth.Refusal{Code: 403}
	c.Heartbeat()
	c.Quiet()
	p.wantCounter(0, "roost_expiries_total", "result=ended")
	p.wantCounter(1, "roost_token_renewals_total", "result=ok")
}

// A ban that was set while nobody could tell the pod ends a connection at the next question, whoever asks it.
func TestBannedMeanwhile(t *testing.T) {
	ban := func(t *testing.T) (*pod, chan chan error, func()) {
		b, calls := askedAgain()
		list := &bans{}
		p := startPod(t, b, func(c *gateway.Config) { c.Bans = list })
		return p, calls, func() { list.set(func(l *bans) { l.banned = map[string]bool{"user:1": true} }) }
	}
	t.Run("the backend is asked again", func(t *testing.T) {
		p, calls, set := ban(t)
		c := p.dial()
		set()
		await(t, "question after a second", calls) <- nil
		c.WantClose(1008)
	})
	t.Run("the client renews", func(t *testing.T) {
		p, _, set := ban(t)
		c := p.dial()
		set()
		c.Send(renewal)
		c.WantClose(1001)
	})
	t.Run("both at once", func(t *testing.T) {
		p, calls, set := ban(t)
		c := p.dial()
		about := await(t, "question after a second", calls)
		c.Send(renewal)
		await(t, "question about the new token", calls) <- nil
		c.Want(renewed)
		set()
		about <- nil
		c.WantClose(1008)
	})
}
