package webhook_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"roost/auth"
	"roost/auth/webhook"
)

// script is a backend without a network whose answers a test sets.
type script struct {
	mu     sync.Mutex
	code   int
	body   string
	err    error
	calls  int
	during func() // while a call is answered
}

func (s *script) set(code int, body string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.code, s.body, s.err = code, body, err
}

func (s *script) RoundTrip(*http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.during != nil {
		s.during()
	}
	if s.err != nil {
		return nil, s.err
	}
	return &http.Response{StatusCode: s.code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(s.body))}, nil
}

// scripted returns a client of a backend that says yes, with cache.
func scripted(t *testing.T, config webhook.Config) (*webhook.Client, *script) {
	t.Helper()
	s := &script{code: 200, body: `{"status":"ok","response":{"r":1},"assigns":{"a":1},"push":[{"event":"p"}],"broadcast":[{"event":"b"}],"cache":"30s"}`}
	config.URL, config.Transport, config.Retries = "http://backend.test", s, -1
	c, err := webhook.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

func (s *script) wantCalls(t *testing.T, want int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls != want {
		t.Errorf("calls: got %d, want %d", s.calls, want)
	}
}

func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		c, s := scripted(t, webhook.Config{Registerer: registry})
		join := func(r *auth.JoinRequest) *auth.Answer {
			t.Helper()
			a, err := c.Join(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		if a := join(joinAs("a", "user:1", "t")); len(a.Broadcasts) != 1 {
			t.Errorf("the first answer: got %d broadcasts, want 1", len(a.Broadcasts))
		}
		a := join(joinAs("b", "user:1", "t"))
		if string(a.Response) != `{"r":1}` || string(a.Assigns) != `{"a":1}` || len(a.Pushes) != 1 || len(a.Broadcasts) != 0 {
			t.Errorf("the same again: got %+v, want response, assigns and push, and no broadcast", a)
		}
		s.wantCalls(t, 1)
		join(joinAs("a", "user:2", "t"))
		join(joinAs("a", "user:1", "u"))
		other := joinAs("a", "user:1", "t")
		other.Payload = []byte(`{"x":1}`)
		join(other)
		s.wantCalls(t, 4)
		time.Sleep(30*time.Second - 1)
		join(joinAs("a", "user:1", "t"))
		s.wantCalls(t, 4)
		time.Sleep(1)
		join(joinAs("a", "user:1", "t"))
		s.wantCalls(t, 5)
		c.Forget("user:1")
		join(joinAs("a", "user:1", "t"))
		s.wantCalls(t, 6)
		if got := gauge(t, registry, "roost_webhook_joins_unasked_total", "cached"); got != 2 {
			t.Errorf("cached: got %v, want 2", got)
		}
	})
}

func TestWhatIsNotCached(t *testing.T) {
	for name, c := range map[string]struct {
		id, body string
	}{
		"without a socket id": {"", `{"status":"ok","cache":"30s"}`},
		"a no":                {"user:1", `{"status":"error","cache":"30s"}`},
		"without cache":       {"user:1", `{"status":"ok","cache":null}`},
		"for no time":         {"user:1", `{"status":"ok","cache":"0s"}`},
	} {
		t.Run(name, func(t *testing.T) {
			client, s := scripted(t, webhook.Config{})
			s.set(200, c.body, nil)
			for range 2 {
				if _, err := client.Join(t.Context(), joinAs("a", c.id, "t")); err != nil {
					t.Fatal(err)
				}
			}
			s.wantCalls(t, 2)
		})
	}
	for _, body := range []string{`{"status":"ok","cache":30}`, `{"status":"ok","cache":"soon"}`, `{"status":"ok","cache":"-1s"}`} {
		client, s := scripted(t, webhook.Config{})
		s.set(200, body, nil)
		_, err := client.Join(t.Context(), joinAs("a", "user:1", "t"))
		wantFailure(t, err, "cache: not a")
	}
}

func TestNothingOutlivesItsExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(t, webhook.Config{Rules: auth.Rules{{Pattern: "t", Stale: time.Hour}}})
		s.set(200, `{"status":"ok","cache":"1h","expires_at":"`+time.Now().Add(10*time.Second).Format(time.RFC3339)+`"}`, nil)
		join := func() error { _, err := c.Join(t.Context(), joinOf("t")); return err }
		join()
		time.Sleep(9 * time.Second)
		join()
		s.wantCalls(t, 1)
		time.Sleep(time.Second)
		s.set(503, "", nil)
		if err := join(); err == nil {
			t.Error("got nil, want an error: what was allowed has expired")
		}
		s.wantCalls(t, 2)
	})
}

func TestForgottenWhileItIsAsked(t *testing.T) {
	c, s := scripted(t, webhook.Config{})
	s.during = func() { c.Forget("user:1") }
	for range 2 {
		c.Join(t.Context(), joinAs("a", "user:1", "t"))
	}
	s.wantCalls(t, 2)
}

func TestMemoryIsBounded(t *testing.T) {
	const limit = 16 << 10
	registry := prometheus.NewRegistry()
	var watched atomic.Int64
	c, s := scripted(t, webhook.Config{Registerer: registry, MemoryLimit: limit, Watch: func(string, func()) func() {
		watched.Add(1)
		return func() { watched.Add(-1) }
	}})
	s.set(200, `{"status":"ok","cache":"1h","response":"`+strings.Repeat("x", 1000)+`"}`, nil)
	for i := range 100 {
		c.Join(t.Context(), joinAs("a", fmt.Sprint("user:", i), "t"))
	}
	entries, bytes := gauge(t, registry, "roost_webhook_remembered"), gauge(t, registry, "roost_webhook_remembered_bytes")
	if bytes > limit || entries < 5 || entries > 16 || entries+gauge(t, registry, "roost_webhook_remembered_evicted_total") != 100 {
		t.Errorf("got %v entries of %v bytes, want a few within %d, and the rest of 100 evicted", entries, bytes, limit)
	}
	if got := watched.Load(); got != int64(entries) {
		t.Errorf("watched: got %d, want %v", got, entries)
	}
	s.set(200, `{"status":"ok","cache":"1h","response":"`+strings.Repeat("x", limit)+`"}`, nil)
	for range 2 {
		c.Join(t.Context(), joinAs("a", "big", "t"))
	}
	s.wantCalls(t, 102)
}

func TestWatchDropsWhatIsRemembered(t *testing.T) {
	ended := map[string]func(){}
	stopped := 0
	c, s := scripted(t, webhook.Config{Watch: func(id string, f func()) func() {
		ended[id] = f
		return func() { stopped++ }
	}})
	join := func() { c.Join(t.Context(), joinAs("a", "user:1", "t")) }
	join()
	join()
	s.wantCalls(t, 1)
	ended["user:1"]()
	join()
	s.wantCalls(t, 2)
	if stopped != 1 {
		t.Errorf("watches stopped: got %d, want 1", stopped)
	}
}

func TestStale(t *testing.T) {
	rules := auth.Rules{{Pattern: "t", Stale: time.Minute}, {Pattern: "*"}}
	yes := `{"status":"ok","response":{"r":1},"assigns":{"a":1},"push":[{"event":"p"}],"broadcast":[{"event":"b"}],"presence":{"key":"k"}}`
	for name, c := range map[string]struct {
		between func(t *testing.T, c *webhook.Client, s *script) // after a yes, before the backend is asked again
		code    int
		body    string
		err     error
		again   *auth.JoinRequest
		want    bool
	}{
		"5xx":             {code: 503, want: true},
		"unreachable":     {err: errors.New("refused"), want: true},
		"other payload":   {code: 503, want: true, again: &auth.JoinRequest{Client: someone(), Topic: "t", Payload: []byte(`{"other":1}`)}},
		"other topic":     {code: 503, again: joinOf("u")},
		"other socket id": {code: 503, again: joinAs("a", "user:9", "t")},
		"4xx":             {code: 403},
		"not JSON":        {code: 200, body: "<html>"},
		"too old":         {code: 503, between: func(*testing.T, *webhook.Client, *script) { time.Sleep(time.Minute) }},
		"forgotten":       {code: 503, between: func(_ *testing.T, c *webhook.Client, _ *script) { c.Forget("user:42") }},
		"after a 4xx": {code: 503, between: func(t *testing.T, c *webhook.Client, s *script) {
			s.set(403, "", nil)
			c.Join(t.Context(), joinOf("t"))
		}},
		"after an error": {code: 503, between: func(t *testing.T, c *webhook.Client, s *script) {
			s.set(200, `{"status":"error"}`, nil)
			c.Join(t.Context(), joinOf("t"))
		}},
		"after a mere 5xx": {code: 503, want: true, between: func(t *testing.T, c *webhook.Client, s *script) {
			s.set(500, "", nil)
			c.Join(t.Context(), joinOf("t"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				registry := prometheus.NewRegistry()
				client, s := scripted(t, webhook.Config{Rules: rules, Registerer: registry})
				s.set(200, yes, nil)
				if _, err := client.Join(t.Context(), joinOf("t")); err != nil {
					t.Fatal(err)
				}
				if c.between != nil {
					c.between(t, client, s)
				}
				s.set(c.code, c.body, c.err)
				if c.again == nil {
					c.again = joinOf("t")
				}
				before := gauge(t, registry, "roost_webhook_joins_unasked_total", "stale")
				a, err := client.Join(t.Context(), c.again)
				if (err == nil) != c.want {
					t.Fatalf("got %v, want success: %v", err, c.want)
				}
				if got := gauge(t, registry, "roost_webhook_joins_unasked_total", "stale") - before; (got == 1) != c.want {
					t.Errorf("counted %v, want 1: %v", got, c.want)
				}
				if c.want && (string(a.Response) != `{"r":1}` || string(a.Assigns) != `{"a":1}` || a.Presence == nil || len(a.Pushes)+len(a.Broadcasts) > 0) {
					t.Errorf("got %+v, want response, assigns and presence only", a)
				}
			})
		})
	}
}

// A join for which no older answer counts asks, whatever is remembered or under way.
func TestFresh(t *testing.T) {
	fresh := joinOf("t")
	fresh.Fresh = true
	t.Run("cache", func(t *testing.T) {
		c, s := scripted(t, webhook.Config{})
		for _, r := range []*auth.JoinRequest{joinOf("t"), fresh, joinOf("t")} {
			if _, err := c.Join(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		s.wantCalls(t, 2)
	})
	t.Run("stale", func(t *testing.T) {
		c, s := scripted(t, webhook.Config{Rules: auth.Rules{{Pattern: "t", Stale: time.Minute}}})
		s.set(200, `{"status":"ok"}`, nil)
		c.Join(t.Context(), joinOf("t"))
		s.set(503, "", nil)
		if _, err := c.Join(t.Context(), joinOf("t")); err != nil {
			t.Errorf("another join: got %v, want the older answer", err)
		}
		if _, err := c.Join(t.Context(), fresh); err == nil {
			t.Error("got an older answer, want an error")
		}
	})
	t.Run("under way", func(t *testing.T) {
		h, url := hold(t, `{"status":"ok"}`)
		c := newClient(t, webhook.Config{URL: url, Timeout: patience})
		var joins sync.WaitGroup
		for _, r := range []*auth.JoinRequest{joinOf("t"), fresh} {
			joins.Go(func() { c.Join(t.Context(), r) })
		}
		receive(t, h.arrived)
		receive(t, h.arrived)
		close(h.let)
		joins.Wait()
	})
}
