package redisbroker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

// shortLease makes tests quick. A pod that misses a beat because the machine is busy takes its lease again.
const shortLease = 600 * time.Millisecond

// onEach runs test on every kind of Redis but Sentinel's.
func onEach(t *testing.T, test func(t *testing.T, s *redistest.Server)) {
	redistest.Each(t, test)
	t.Run("cluster", func(t *testing.T) { test(t, redistest.Cluster(t)) })
}

// announce writes what a pod leaves in Redis when it dies: entries, and a lease until till, in ms by Redis's clock.
func announce(t testing.TB, s *redistest.Server, pod string, till int64, entries ...hub.Member) {
	t.Helper()
	pipe := s.Client.Pipeline()
	for _, m := range entries {
		pipe.HSet(t.Context(), "roost:pod:"+pod+":members", m.Connection+" "+m.Topic, m.JoinRef)
		pipe.SAdd(t.Context(), "roost:{"+m.Topic+"}:members", m.Connection)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Client.Do(t.Context(), "ZADD", "roost:pods", till, pod).Err(); err != nil {
		t.Fatal(err)
	}
}

// lease returns the end of a pod's lease in ms, or 0 if it has none.
func lease(t testing.TB, s *redistest.Server, pod string) int64 {
	t.Helper()
	for _, z := range s.Client.ZRangeWithScores(t.Context(), "roost:pods", 0, -1).Val() {
		if z.Member == pod {
			return int64(z.Score)
		}
	}
	return 0
}

// now is the time of the server in ms.
func now(t testing.TB, s *redistest.Server) int64 {
	t.Helper()
	at, err := s.Client.Time(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixMilli()
}

// exists tells whether there is a key.
func exists(t testing.TB, s *redistest.Server, key string) bool {
	t.Helper()
	n, err := s.Client.Exists(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	return n > 0
}

// TestLease: the lease is there before the first entry, ends when the setting says, and is renewed.
func TestLease(t *testing.T) {
	onEach(t, func(t *testing.T, s *redistest.Server) {
		before := now(t, s)
		p := start(t, redisbroker.Config{URL: s.URL, Lease: 2 * time.Second})
		joinAll(t, p, member("t", 1))
		first, after := lease(t, s, "pod-a"), now(t, s)
		if first < before+2000 || first > after+2000 {
			t.Errorf("got a lease until %d between %d and %d, want 2000 ms later", first, before, after)
		}
		redistest.Eventually(t, "renewal", func() bool { return lease(t, s, "pod-a") > first })
	})
}

// TestCleanEnd: a pod that ends leaves no key, even if members did not leave.
func TestCleanEnd(t *testing.T) {
	onEach(t, func(t *testing.T, s *redistest.Server) {
		p := start(t, redisbroker.Config{URL: s.URL, AdvertiseURL: "http://a"})
		joinAll(t, p, member("t", 1), member("t", 2), member("u", 3))
		p.leave(member("t", 1))
		p.stop()
		for _, key := range []string{"roost:pods", index, "roost:pod:pod-a:sweep", "roost:pod:pod-a:url", "roost:{t}:members", "roost:{u}:members"} {
			if exists(t, s, key) {
				t.Errorf("got %s after a clean end, want no such key", key)
			}
		}
	})
}

// TestFlush: a Redis that is emptied under running pods is filled again, though no link broke and no write failed.
func TestFlush(t *testing.T) {
	redistest.Each(t, func(t *testing.T, s *redistest.Server) {
		p := start(t, redisbroker.Config{URL: s.URL, Lease: shortLease})
		other := start(t, redisbroker.Config{URL: s.URL, PodID: "pod-b", Lease: shortLease})
		joinAll(t, p, member("t", 1), member("t", 2))
		joinAll(t, other, hub.Member{Topic: "t", Connection: "pod-b.1", JoinRef: "null"})
		if err := s.Client.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		redistest.Eventually(t, "roster as it was", func() bool {
			return len(members(t, s, "t")) == 3 && len(inIndex(t, s)) == 2 && lease(t, s, "pod-a") > 0 && lease(t, s, "pod-b") > 0
		})
	})
}

// TestEntryBringsTheLeaseBack: the first entry after Redis lost everything is covered by a lease at once, and the rest
// follows without a beat.
func TestEntryBringsTheLeaseBack(t *testing.T) {
	onEach(t, func(t *testing.T, s *redistest.Server) {
		p := start(t, redisbroker.Config{URL: s.URL, Lease: time.Hour})
		joinAll(t, p, member("t", 1))
		for _, key := range []string{"roost:pods", index, "roost:{t}:members"} {
			if err := s.Client.Del(t.Context(), key).Err(); err != nil {
				t.Fatal(err)
			}
		}
		joinAll(t, p, member("t", 2))
		if got := lease(t, s, "pod-a"); got == 0 {
			t.Error("got an entry without a lease")
		}
		redistest.Eventually(t, "older member", func() bool { return len(members(t, s, "t")) == 2 && len(inIndex(t, s)) == 2 })
	})
}

// TestPodComesBackDuringItsSweep: a pod that was taken for dead enters everything again once its sweeper's claim has ended,
// and not before.
func TestPodComesBackDuringItsSweep(t *testing.T) {
	onEach(t, func(t *testing.T, s *redistest.Server) {
		p := start(t, redisbroker.Config{URL: s.URL, Lease: shortLease})
		joinAll(t, p, member("t", 1), member("t", 2))
		till := now(t, s) + 1500
		claim := fmt.Sprint(till, " pod-z x")
		if err := s.Client.Set(t.Context(), "roost:pod:pod-a:sweep", claim, 10*time.Second).Err(); err != nil {
			t.Fatal(err)
		}
		announce(t, s, "pod-a", 1) // its lease has run out
		if err := s.Client.SRem(t.Context(), "roost:{t}:members", "pod-a.1").Err(); err != nil {
			t.Fatal(err)
		}
		var back int64
		redistest.Eventually(t, "member", func() bool {
			back = now(t, s)
			return len(members(t, s, "t")) == 2
		})
		if back < till-100 {
			t.Errorf("entered again %d ms before the end of the claim", till-back)
		}
		got := members(t, s, "t")
		slices.Sort(got)
		if want := "pod-a.1 pod-a.2"; strings.Join(got, " ") != want || len(inIndex(t, s)) != 2 {
			t.Errorf("got members %q and index %q, want %s", got, inIndex(t, s), want)
		}
	})
}
