package gateway_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roost/auth"
	"roost/gateway"
	"roost/phoenix/phoenixtest"
)

// tokens is a verifier of texts such as "good-1", and says when such a token ends.
type tokens func(text string) time.Time

func (ends tokens) Verify(_ context.Context, text string) (*auth.Token, error) {
	if !strings.HasPrefix(text, "good") {
		return nil, &auth.Refusal{Code: 403}
	}
	return &auth.Token{Subject: "42", ID: "user:42", Claims: json.RawMessage(`{"t":"` + text + `"}`), Expires: ends(text)}, nil
}

func never(string) time.Time { return time.Time{} }

// startTokenPod starts a pod that wants tokens. On topics that begin with all: everybody may do everything.
func startTokenPod(t *testing.T, b *backend, ends tokens) *pod {
	t.Helper()
	return startPod(t, b, func(c *gateway.Config) {
		c.Tokens, c.IdleTimeout = ends, 10*time.Second
		c.Rules = auth.Rules{
			{Pattern: "all:*", Join: auth.JoinAllow, Push: auth.PushBroadcast, Members: true},
			{Pattern: "deny:*", Join: auth.JoinAllow, Push: auth.PushDeny},
			{Pattern: "asks:*", Join: auth.JoinAllow, Push: auth.PushWebhook},
			{Pattern: "*", Join: auth.JoinWebhook, Push: auth.PushWebhook, Members: true},
		}
	})
}

// with connects a client with a token as a param.
func (p *pod) with(token string) *phoenixtest.Client {
	p.tb.Helper()
	return phoenixtest.Dial(p.tb, p.url("?vsn=2.0.0&token="+token), nil)
}

// accessToken is how a client renews its token on a topic.
func accessToken(joinRef, ref, topic, token string) string {
	return frame(joinRef, ref, topic, "access_token", `{"token":"`+token+`"}`)
}

// A token that is sent right behind a join is a renewal, whoever may push to the topic, and no member sees it.
func TestRenewalBehindAJoin(t *testing.T) {
	p := startTokenPod(t, &backend{}, never)
	for _, topic := range []string{"all:1", "deny:1", "asks:1"} {
		other, c := p.with("good-1"), p.with("good-2")
		joins(other, topic)
		c.Send(join("1", topic), accessToken("1", "2", topic, "good-3"))
		c.Want(joined("1", topic), okay("1", "2", topic, "{}"))
		other.Heartbeat()
		other.Quiet()
	}
	p.wantCounter(3, "roost_token_renewals_total", "result=ok")
}

// An end that is centuries away is no end, and a client is told of it in a form that it can read.
func TestFarEnds(t *testing.T) {
	last := time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)
	var asked atomic.Int64
	b := &backend{join: func(context.Context, *auth.JoinRequest) (*auth.Answer, error) {
		asked.Add(1)
		return &auth.Answer{Status: "ok", Expires: last}, nil
	}}
	p := startTokenPod(t, b, func(text string) time.Time {
		if text == "good-short" {
			return time.Now().Add(time.Second)
		}
		return last.Add(5 * time.Second)
	})
	c := p.with("good-1")
	joins(c, "web:1")
	c.Send(accessToken("1", "2", "web:1", "good-2"))
	c.Want(okay("1", "2", "web:1", `{"expires_at":"9999-12-31T23:59:59Z"}`))
	p.with("good-short").WantClose(1008) // after a look at all connections
	c.Heartbeat()
	if got := asked.Load(); got != 1 {
		t.Errorf("the backend was asked %d times about the channel, want once", got)
	}
}

// rejoining is a backend that lets members in for a second, and says when it is asked again, which it does not answer.
func rejoining() (b *backend, again chan string) {
	var mu sync.Mutex
	known := map[string]bool{}
	again = make(chan string, 100)
	return &backend{join: func(ctx context.Context, r *auth.JoinRequest) (*auth.Answer, error) {
		mu.Lock()
		first := !known[r.Topic]
		known[r.Topic] = true
		mu.Unlock()
		if !first {
			again <- r.Topic
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return &auth.Answer{Status: "ok", Expires: time.Now().Add(time.Second)}, nil
	}}, again
}

// While the backend is asked about one channel, others are looked at, and none is asked about twice.
func TestChannelsExpireSideBySide(t *testing.T) {
	b, again := rejoining()
	p := startTokenPod(t, b, never)
	c := p.with("good-1")
	asked := map[string]int{}
	var want []string
	for _, topic := range []string{"web:1", "web:2", "web:3"} {
		c.Send(join("1", topic))
		c.Want(joined("1", topic))
		if want = append(want, topic); topic != "web:2" { // the second and the third together
			for range want[len(asked):] {
				asked[await(t, "question about "+topic, again)]++
			}
		}
	}
	for _, topic := range want {
		if asked[topic] != 1 {
			t.Errorf("%s was asked about %d times, want once", topic, asked[topic])
		}
	}
}

// A token's end is not put off by questions about channels.
func TestTokenEndsWhileTheBackendIsAsked(t *testing.T) {
	b, again := rejoining()
	end := time.Now().Add(3 * time.Second)
	p := startTokenPod(t, b, func(string) time.Time { return end })
	c := p.with("good-1")
	joins(c, "web:1")
	await(t, "question about web:1", again)
	c.WantClose(1008)
	p.wantCounter(1, "roost_expiries_total", "of=connection", "result=ended")
}

// Where the rule does not ask the backend about joins, a push's answer cannot make it ask.
func TestExpiresWithoutAJoin(t *testing.T) {
	var asked atomic.Bool
	soon := func() *auth.Answer { return &auth.Answer{Status: "ok", Expires: time.Now().Add(time.Second)} }
	again := make(chan struct{})
	b := &backend{
		push: func(context.Context, *auth.PushRequest) (*auth.Answer, error) { return soon(), nil },
		join: func(_ context.Context, r *auth.JoinRequest) (*auth.Answer, error) {
			if r.Topic == "asks:1" {
				asked.Store(true)
			} else if r.Fresh {
				close(again)
				return &auth.Answer{Status: "ok"}, nil
			}
			return soon(), nil
		},
	}
	p := startTokenPod(t, b, never)
	c := p.with("good-1")
	joins(c, "asks:1")
	c.Send(frame("1", "2", "asks:1", "hi", "{}"))
	c.Want(okay("1", "2", "asks:1", "{}"))
	c.Send(join("3", "web:1"))
	c.Want(joined("3", "web:1"))
	await(t, "question about a channel that may be asked about, and that ends later", again)
	if asked.Load() {
		t.Error("the backend was asked about a topic that is not its business")
	}
	p.wantCounter(1, "roost_undeliverable_total", "reason=no_join")
}
