package webhook_test

import (
	"context"
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

	"roost/auth/webhook"
)

func TestInFlightCap(t *testing.T) {
	const limit, total = 3, 20
	var now, most atomic.Int64
	full, proceed := make(chan struct{}), make(chan struct{})
	registry := prometheus.NewRegistry()
	c := newClient(t, webhook.Config{MaxInFlight: limit, Timeout: patience, Registerer: registry, URL: serve(t, func(w http.ResponseWriter, _ *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if n == limit {
			select {
			case <-full:
			default:
				close(full)
			}
		}
		<-proceed
		io.WriteString(w, `{"status":"ok"}`)
	})})
	release := sync.OnceFunc(func() { close(proceed) })
	t.Cleanup(release)
	var joins sync.WaitGroup
	for i := range total {
		joins.Go(func() {
			if _, err := c.Join(t.Context(), joinOf(fmt.Sprint(i))); err != nil {
				t.Errorf("Join: got %v, want nil", err)
			}
		})
	}
	receive(t, full)
	eventually(t, "all others wait in line", func() bool { return gauge(t, registry, "roost_webhook_queued") == total-limit })
	if got := gauge(t, registry, "roost_webhook_in_flight"); got != limit {
		t.Errorf("in flight: got %v, want %v", got, limit)
	}
	release()
	joins.Wait()
	if got := most.Load(); got != limit {
		t.Errorf("calls at the same time: got %d, want %d", got, limit)
	}
	if got := gauge(t, registry, "roost_webhook_queued") + gauge(t, registry, "roost_webhook_in_flight"); got != 0 {
		t.Errorf("queued and in flight in the end: got %v, want 0", got)
	}
}

// transport is a backend without a network, for tests with time that is not real.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestDeadlineCoversTheLine(t *testing.T) {
	for name, c := range map[string]struct {
		hold time.Duration // how long the backend keeps a call, whatever its context says
		want string
	}{
		"a place is free too late to finish": {0, "no answer within the timeout"},
		"no place is free":                   {20 * time.Second, "no place in line within the timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, err := webhook.New(webhook.Config{URL: "http://backend.test", MaxInFlight: 1, Timeout: 5 * time.Second,
					Transport: transport(func(r *http.Request) (*http.Response, error) {
						<-r.Context().Done()
						time.Sleep(c.hold)
						return nil, r.Context().Err()
					})})
				if err != nil {
					t.Fatal(err)
				}
				var first sync.WaitGroup
				first.Go(func() { client.Join(t.Context(), joinOf("t")) })
				time.Sleep(3 * time.Second)
				start := time.Now()
				_, err = client.Join(t.Context(), joinOf("u"))
				wantFailure(t, err, c.want)
				if got := time.Since(start); got != 5*time.Second {
					t.Errorf("failed after %v, want 5s", got)
				}
				first.Wait()
			})
		})
	}
}

func TestCancelInLine(t *testing.T) {
	arrived, proceed := make(chan string, 2), make(chan struct{})
	registry := prometheus.NewRegistry()
	c := newClient(t, webhook.Config{MaxInFlight: 1, Timeout: time.Minute, Registerer: registry, URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- string(body(t, r))
		<-proceed
		io.WriteString(w, `{"status":"ok"}`)
	})})
	release := sync.OnceFunc(func() { close(proceed) })
	t.Cleanup(release)
	var first sync.WaitGroup
	first.Go(func() {
		if _, err := c.Join(t.Context(), joinOf("first")); err != nil {
			t.Errorf("first join: got %v, want nil", err)
		}
	})
	receive(t, arrived)
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() { _, err := c.Join(ctx, joinOf("second")); second <- err }()
	eventually(t, "the second waits in line", func() bool { return gauge(t, registry, "roost_webhook_queued") == 1 })
	cancel()
	if err := receive(t, second); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled in line: got %v, want %v", err, context.Canceled)
	}
	release()
	first.Wait()
	if _, err := c.Join(ctx, joinOf("third")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: got %v, want %v", err, context.Canceled)
	}
	if _, err := c.Join(t.Context(), joinOf("fourth")); err != nil {
		t.Errorf("join after all this: got %v, want nil", err)
	}
	if got := receive(t, arrived); !strings.Contains(got, "fourth") {
		t.Errorf("the backend's second request: got %s, want that of the fourth join", got)
	}
}

func TestCancelReachesTheServer(t *testing.T) {
	arrived, gone := make(chan struct{}), make(chan struct{})
	c := newClient(t, webhook.Config{Timeout: time.Minute, URL: serve(t, func(_ http.ResponseWriter, r *http.Request) {
		body(t, r)
		close(arrived)
		<-r.Context().Done()
		close(gone)
	})})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() { _, err := c.Push(ctx, pushOf("e")); failed <- err }()
	receive(t, arrived)
	cancel()
	receive(t, gone)
	if err := receive(t, failed); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled push: got %v, want %v", err, context.Canceled)
	}
}

func TestNoCallThatWouldBeTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots, takes, timeout = 4, time.Second, 5 * time.Second
		var cut atomic.Int64
		c, err := webhook.New(webhook.Config{URL: "http://backend.test", MaxInFlight: slots, Timeout: timeout,
			Transport: transport(func(r *http.Request) (*http.Response, error) {
				select {
				case <-time.After(takes):
					return answer(http.StatusNoContent, ""), nil
				case <-r.Context().Done():
					cut.Add(1)
					return nil, r.Context().Err()
				}
			})})
		if err != nil {
			t.Fatal(err)
		}
		for range 20 { // it learns how long calls take
			c.Push(t.Context(), pushOf("e"))
		}
		var good, late atomic.Int64
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if _, err := c.Push(t.Context(), pushOf("e")); err == nil {
					good.Add(1)
				} else if strings.Contains(err.Error(), "no place in line") {
					late.Add(1)
				}
			})
		}
		all.Wait()
		if cut.Load() != 0 || good.Load() < slots*2 || good.Load()+late.Load() != 100 {
			t.Errorf("got %d answered, %d given up in line and %d cut at the backend, want some, the rest and none", good.Load(), late.Load(), cut.Load())
		}
	})
}
