package webhook_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
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

func TestFlush(t *testing.T) {
	const total = 100
	var got atomic.Int64
	fail := int64(3)
	c, err := webhook.New(webhook.Config{Events: allEvents, FlushTimeout: patience, URL: serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if got.Add(1) <= fail {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})})
	if err != nil {
		t.Fatal(err)
	}
	for i := range total {
		c.Leave(leaveOf(fmt.Sprint(i), "t"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Run(ctx); err != nil {
		t.Errorf("Run: got %v, want nil", err)
	}
	if got := got.Load(); got != total+fail {
		t.Errorf("requests until Run returned: got %d, want %d", got, total+fail)
	}
	if err := c.Run(ctx); err == nil {
		t.Error("second Run: got nil, want an error")
	}
}

func TestFlushGivesUp(t *testing.T) {
	for name, handle := range map[string]http.HandlerFunc{
		"the backend fails": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"the backend hangs": func(_ http.ResponseWriter, r *http.Request) { body(t, r); <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			registry := prometheus.NewRegistry()
			c, err := webhook.New(webhook.Config{
				Events: allEvents, FlushTimeout: 50 * time.Millisecond, Timeout: time.Minute, URL: serve(t, handle),
				Breaker: webhook.BreakerConfig{Ratio: -1}, Registerer: registry, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 30 {
				c.Leave(leaveOf(fmt.Sprint(i%20), "t"))
			}
			if got := gauge(t, registry, "roost_webhook_notices_pending"); got != 30 {
				t.Errorf("pending: got %v, want 30", got)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			c.Run(ctx)
			c.Leave(leaveOf("late", "t"))
			if got := gauge(t, registry, "roost_webhook_notices_dropped_total", "stopped"); got != 31 {
				t.Errorf("dropped: got %v, want 31", got)
			}
			if got := gauge(t, registry, "roost_webhook_notices_pending"); got != 0 {
				t.Errorf("pending in the end: got %v, want 0", got)
			}
			if got := log.String(); !strings.Contains(got, "count=30") || strings.Count(got, "\n") != 1 {
				t.Errorf("log: got %q, want one line with count=30", got)
			}
		})
	}
}

func TestFlushDoesNotWaitForTheNextTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var healed, taken atomic.Int64
		var tries []time.Duration
		start := time.Now()
		c, err := webhook.New(webhook.Config{Events: allEvents, URL: "http://backend.test", MaxInFlight: 1,
			Transport: transport(func(*http.Request) (*http.Response, error) {
				tries = append(tries, time.Since(start))
				if healed.Load() == 0 {
					return nil, io.ErrUnexpectedEOF
				}
				taken.Add(1)
				return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}, nil
			})})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { c.Run(ctx) })
		c.Leave(leaveOf("a", "t"))
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		for i := 1; i < len(tries); i++ {
			if wait := tries[i] - tries[i-1]; wait < 125*time.Millisecond || wait > 45*time.Second {
				t.Errorf("wait before try %d: got %v, want 0.25s to 30s, give or take a half", i+1, wait)
			}
		}
		if got := len(tries); got < 10 || got > 40 {
			t.Errorf("tries in five minutes: got %d, want about 15", got)
		}
		healed.Store(1)
		cancel()
		ended := time.Now()
		run.Wait()
		if got := time.Since(ended); got != 0 || taken.Load() != 1 {
			t.Errorf("flush: got %d taken after %v, want 1 at once", taken.Load(), got)
		}
	})
}
