package webhook_test

import (
	"context"
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

	"roost/auth/webhook"
)

// answer is an HTTP answer of a backend without a network.
func answer(code int, body string) *http.Response {
	return &http.Response{StatusCode: code, Body: http.NoBody, Header: http.Header{}, ContentLength: int64(len(body))}
}

func TestBreakerOpensAndCloses(t *testing.T) {
	for name, bad := range map[string]transport{
		"5xx":         func(*http.Request) (*http.Response, error) { return answer(503, ""), nil },
		"unreachable": func(*http.Request) (*http.Response, error) { return nil, fmt.Errorf("refused") },
		"slow": func(*http.Request) (*http.Response, error) {
			time.Sleep(900 * time.Millisecond)
			return answer(200, ""), nil
		},
		"hangs":    func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
		"not JSON": func(*http.Request) (*http.Response, error) { return answer(302, ""), nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int64
				var healed atomic.Bool
				registry := prometheus.NewRegistry()
				c, err := webhook.New(webhook.Config{
					URL: "http://backend.test", Timeout: time.Second, Registerer: registry,
					Breaker: webhook.BreakerConfig{MinCalls: 10, Pause: 2 * time.Second, Window: time.Minute},
					Transport: transport(func(r *http.Request) (*http.Response, error) {
						calls.Add(1)
						if healed.Load() {
							return answer(200, ""), nil
						}
						return bad(r)
					})})
				if err != nil {
					t.Fatal(err)
				}
				state := func() float64 { return gauge(t, registry, "roost_webhook_breaker_state") }
				for range 10 {
					c.Push(t.Context(), pushOf("e"))
				}
				if got := state(); got != 2 {
					t.Fatalf("state after 10 failures: got %v, want 2", got)
				}
				start := time.Now()
				_, err = c.Push(t.Context(), pushOf("e"))
				wantFailure(t, err, "breaker is open")
				if took := time.Since(start); took != 0 || calls.Load() != 10 {
					t.Errorf("while it is open: answered after %v with %d calls, want at once and 10", took, calls.Load())
				}
				time.Sleep(2*time.Second + time.Millisecond)
				c.Push(t.Context(), pushOf("e"))
				if got := state(); got != 2 || calls.Load() != 11 {
					t.Errorf("after a probe that failed: got state %v and %d calls, want 2 and 11", got, calls.Load())
				}
				healed.Store(true)
				time.Sleep(2*time.Second + time.Millisecond)
				for range 3 {
					if _, err := c.Push(t.Context(), pushOf("e")); err != nil {
						t.Errorf("probe: got %v, want nil", err)
					}
				}
				if got := state(); got != 0 {
					t.Errorf("state after three good probes: got %v, want 0", got)
				}
				if got := gauge(t, registry, "roost_webhook_breaker_opened_total"); got != 1 {
					t.Errorf("opened: got %v, want 1", got)
				}
				if got := gauge(t, registry, "roost_webhook_calls_total", "breaker_open"); got != 1 {
					t.Errorf("calls answered by the breaker: got %v, want 1", got)
				}
			})
		})
	}
}

func TestBreakerStaysClosed(t *testing.T) {
	for name, c := range map[string]struct {
		code  int
		ratio float64
	}{
		"a no is an answer":           {403, 0.5},
		"too few fail":                {0, 0.5},
		"it is off":                   {500, -1},
		"cancelled calls say nothing": {-1, 0.5},
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int64
			var ctx context.Context
			var cancel context.CancelFunc
			client, err := webhook.New(webhook.Config{
				URL: "http://backend.test", Breaker: webhook.BreakerConfig{MinCalls: 5, Ratio: c.ratio},
				Transport: transport(func(r *http.Request) (*http.Response, error) {
					switch {
					case c.code > 0:
						return answer(c.code, ""), nil
					case c.code < 0:
						cancel()
						return nil, r.Context().Err()
					case n.Add(1)%3 == 0:
						return answer(500, ""), nil
					default:
						return answer(200, ""), nil
					}
				})})
			if err != nil {
				t.Fatal(err)
			}
			for range 100 {
				ctx, cancel = context.WithCancel(t.Context())
				_, err := client.Push(ctx, pushOf("e"))
				cancel()
				if err != nil && strings.Contains(err.Error(), "breaker") {
					t.Fatalf("got %v, want a closed breaker", err)
				}
			}
		})
	}
}

func TestBreakerEmptiesTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := webhook.New(webhook.Config{
			URL: "http://backend.test", Timeout: 5 * time.Second, MaxInFlight: 5, Breaker: webhook.BreakerConfig{MinCalls: 5},
			Transport: transport(func(r *http.Request) (*http.Response, error) {
				time.Sleep(time.Second)
				return answer(500, ""), nil
			})})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		var opened atomic.Int64
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if _, err := c.Push(t.Context(), pushOf("e")); strings.Contains(err.Error(), "breaker is open") {
					opened.Add(1)
				}
			})
		}
		all.Wait()
		if took := time.Since(start); took > 2*time.Second || opened.Load() < 90 {
			t.Errorf("got all answered after %v, %d by the breaker, want the line emptied when it opens after 1s", took, opened.Load())
		}
	})
}

// saying returns an answer 200 with a body.
func saying(body string) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}
