package webhook_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"roost/auth/webhook"
)

// slots is a backend without a network that works on so many calls at once.
type slots struct {
	takes time.Duration

	now, peak, calls, cut atomic.Int64
}

func (s *slots) RoundTrip(r *http.Request) (*http.Response, error) {
	s.calls.Add(1)
	n := s.now.Add(1)
	defer s.now.Add(-1)
	for m := s.peak.Load(); n > m && !s.peak.CompareAndSwap(m, n); m = s.peak.Load() {
	}
	select {
	case <-time.After(s.takes):
		return saying(`{"status":"ok"}`), nil
	case <-r.Context().Done():
		s.cut.Add(1)
		return nil, r.Context().Err()
	}
}

// rejoin is how long phoenix.js waits before it joins again.
func rejoin(tries int) time.Duration {
	return []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second}[min(tries, 3)]
}

// TestJoinStorm lets 20,000 clients join at once that join again as phoenix.js does, at a backend of 50 places.
func TestJoinStorm(t *testing.T) {
	const joins, places = 20_000, 50
	for _, c := range []struct {
		name   string
		each   int // connections of one user
		takes  time.Duration
		off    bool
		calls  int64
		within time.Duration
		errors bool
	}{
		{"everyone for himself", 1, 5 * time.Millisecond, false, joins, 2 * time.Second, false},
		{"four connections each", 4, 5 * time.Millisecond, false, joins / 4, 500 * time.Millisecond, false},
		{"four connections each, not coalesced", 4, 5 * time.Millisecond, true, joins, 2 * time.Second, false},
		// 8 s of work and a deadline of 5 s: some are told to come back, and the last of them waits for its turn at most once.
		{"more than the deadline allows", 1, 20 * time.Millisecond, false, joins, 8*time.Second + rejoin(0), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				backend := &slots{takes: c.takes}
				client, err := webhook.New(webhook.Config{URL: "http://backend.test", MaxInFlight: places, NoCoalescing: c.off, Transport: backend})
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				var failed atomic.Int64
				var all sync.WaitGroup
				waits := make([]time.Duration, joins)
				for i := range joins {
					all.Go(func() {
						r := joinAs(fmt.Sprint(i), fmt.Sprint("user:", i/c.each), "rooms:lobby")
						for tries := 0; ; tries++ {
							if _, err := client.Join(t.Context(), r); err == nil {
								break
							}
							failed.Add(1)
							time.Sleep(rejoin(tries))
						}
						waits[i] = time.Since(start)
					})
				}
				all.Wait()
				slices.Sort(waits)
				t.Logf("%d calls, peak %d, %d told to come back, p50 %v, p99 %v, last %v", backend.calls.Load(), backend.peak.Load(),
					failed.Load(), waits[joins/2], waits[joins*99/100], waits[joins-1])
				if got := backend.calls.Load(); got != c.calls || backend.cut.Load() != 0 {
					t.Errorf("calls: got %d, of which %d were cut, want %d and none", got, backend.cut.Load(), c.calls)
				}
				if got := backend.peak.Load(); got != places {
					t.Errorf("peak: got %d, want %d", got, places)
				}
				if got := waits[joins-1]; got > c.within {
					t.Errorf("last join: got %v, want within %v", got, c.within)
				}
				if got := failed.Load(); (got > 0) != c.errors {
					t.Errorf("told to come back: got %d, want some: %v", got, c.errors)
				}
			})
		})
	}
}
