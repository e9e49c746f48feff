package redisbroker_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

// deadMembers are n members of pod-x in ten topics, t0 to t9.
func deadMembers(n int) []hub.Member {
	dead := make([]hub.Member, n)
	for i := range dead {
		dead[i] = hub.Member{Topic: fmt.Sprint("t", i%10), Connection: fmt.Sprint("pod-x.", i), JoinRef: `"1"`}
	}
	return dead
}

// startThree starts pods that survive pod-x, each with one member in t0.
func startThree(t *testing.T, s *redistest.Server) []*prometheus.Registry {
	t.Helper()
	var all []*prometheus.Registry
	for _, id := range []string{"pod-a", "pod-b", "pod-c"} {
		reg := prometheus.NewRegistry()
		p := start(t, redisbroker.Config{URL: s.URL, PodID: id, Lease: shortLease, Registerer: reg})
		joinAll(t, p, hub.Member{Topic: "t0", Connection: id + ".1", JoinRef: "null"})
		all = append(all, reg)
	}
	return all
}

// count adds up a counter over registries; result "" is for one without the label.
func count(t testing.TB, regs []*prometheus.Registry, name, result string) (n int) {
	t.Helper()
	for _, reg := range regs {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == name && (result == "" || m.GetLabel()[0].GetValue() == result) {
					n += int(m.GetCounter().GetValue())
				}
			}
		}
	}
	return n
}

// awaitSwept waits until nothing of pod-x is left, and only the survivors' members.
func awaitSwept(t *testing.T, s *redistest.Server) {
	t.Helper()
	redistest.Eventually(t, "end of the sweep", func() bool {
		return lease(t, s, "pod-x") == 0 && !exists(t, s, "roost:pod:pod-x:sweep")
	})
	for _, key := range []string{"roost:pod:pod-x:members", "roost:pod:pod-x:url"} {
		if exists(t, s, key) {
			t.Errorf("got %s after the sweep, want no such key", key)
		}
	}
	got := members(t, s, "t0")
	slices.Sort(got)
	if want := []string{"pod-a.1", "pod-b.1", "pod-c.1"}; !slices.Equal(got, want) {
		t.Errorf("got members %.200q, want %q", got, want)
	}
	for i := 1; i < 10; i++ {
		if got := members(t, s, fmt.Sprint("t", i)); len(got) > 0 {
			t.Errorf("got %d members in t%d, want none", len(got), i)
		}
	}
}

// TestSweep: of three pods that see a fourth die one takes back all that it entered, however much and whatever it is.
func TestSweep(t *testing.T) {
	onEach(t, func(t *testing.T, s *redistest.Server) {
		const many = 20_000
		regs := startThree(t, s)
		if err := s.Client.Set(t.Context(), "roost:{taken}:members", "x", 0).Err(); err != nil {
			t.Fatal(err)
		}
		if err := s.Client.Set(t.Context(), "roost:pod:pod-x:url", "http://x", 0).Err(); err != nil {
			t.Fatal(err)
		}
		for _, field := range []string{"junk", "pod-x.1 taken"} {
			if err := s.Client.HSet(t.Context(), "roost:pod:pod-x:members", field, "null").Err(); err != nil {
				t.Fatal(err)
			}
		}
		dead := append(deadMembers(many), hub.Member{Topic: "a topic {x} of words", Connection: "pod-x.1", JoinRef: "null"})
		announce(t, s, "pod-x", now(t, s)+100, dead...)
		awaitSwept(t, s)
		if got := members(t, s, "a topic {x} of words"); len(got) > 0 {
			t.Errorf("got members %q, want none", got)
		}
		redistest.Eventually(t, "count of the sweep", func() bool { return count(t, regs, "roost_sweeps_total", "") > 0 })
		if n, want := count(t, regs, "roost_swept_members_total", ""), many+3; n != want {
			t.Errorf("got %d members swept, want %d", n, want)
		}
		if n := count(t, regs, "roost_sweeps_total", "ok"); n != 1 {
			t.Errorf("got %d finished sweeps, want 1", n)
		}
	})
}

// TestSweepIsResumed: where a sweeper died another one goes on, once the claim has ended.
func TestSweepIsResumed(t *testing.T) {
	onEach(t, func(t *testing.T, s *redistest.Server) {
		dead := deadMembers(2000)
		till := now(t, s) + 1500
		if err := s.Client.Set(t.Context(), "roost:pod:pod-x:sweep", fmt.Sprint(till, " pod-y x"), 10*time.Second).Err(); err != nil {
			t.Fatal(err)
		}
		announce(t, s, "pod-x", 1, dead...)
		for _, m := range dead[:700] { // in the index still, out of the sets
			if err := s.Client.SRem(t.Context(), "roost:{"+m.Topic+"}:members", m.Connection).Err(); err != nil {
				t.Fatal(err)
			}
		}
		regs := startThree(t, s)
		var began int64
		redistest.Eventually(t, "first removal", func() bool {
			began = now(t, s)
			return len(members(t, s, "t9")) < 130
		})
		if began < till-100 {
			t.Errorf("another sweeper began %d ms before the end of the claim", till-began)
		}
		awaitSwept(t, s)
		redistest.Eventually(t, "count of the sweep", func() bool { return count(t, regs, "roost_sweeps_total", "ok") == 1 })
		if n := count(t, regs, "roost_swept_members_total", ""); n != len(dead) {
			t.Errorf("got %d members swept, want %d", n, len(dead))
		}
	})
}

// TestSweepLosesItsClaim: what a sweeper asks for after the end of its claim is not done.
func TestSweepLosesItsClaim(t *testing.T) {
	onEach(t, func(t *testing.T, s *redistest.Server) {
		p := start(t, redisbroker.Config{URL: s.URL, PodID: "pod-a"})
		announce(t, s, "pod-x", 1<<50, deadMembers(1)...)
		fromSets, fromIndex := p.RemoveBefore(t.Context(), now(t, s), "pod-x", "pod-x.0 t0")
		if fromSets == nil || fromIndex == nil {
			t.Errorf("removal after the end of the claim: got %v and %v, want errors", fromSets, fromIndex)
		}
		if got := members(t, s, "t0"); len(got) != 1 {
			t.Errorf("got members %q, want one", got)
		}
		if !exists(t, s, "roost:pod:pod-x:members") {
			t.Error("the index lost its entry after the end of the claim")
		}
		fromSets, fromIndex = p.RemoveBefore(t.Context(), now(t, s)+60_000, "pod-x", "pod-x.0 t0")
		if fromSets != nil || fromIndex != nil {
			t.Errorf("removal before the end of the claim: got %v and %v, want nil", fromSets, fromIndex)
		}
		if got := members(t, s, "t0"); len(got) != 0 || exists(t, s, "roost:pod:pod-x:members") {
			t.Errorf("got members %q, want none, and no index", got)
		}
	})
}

// TestSweepIsLate: what a dead pod wrote when its sweep was about to end is swept, too.
func TestSweepIsLate(t *testing.T) {
	onEach(t, func(t *testing.T, s *redistest.Server) {
		p := start(t, redisbroker.Config{URL: s.URL, PodID: "pod-a", Lease: time.Minute})
		announce(t, s, "pod-x", 1)
		if err := p.Bury(t.Context(), "pod-x"); err != nil || lease(t, s, "pod-x") != 0 {
			t.Errorf("got %v and a lease until %d with nothing left, want nil and none", err, lease(t, s, "pod-x"))
		}
		for _, leave := range []func(){
			func() { s.Client.HSet(t.Context(), "roost:pod:pod-x:members", "pod-x.1 t", "null") },
			func() {
				s.Client.Del(t.Context(), "roost:pod:pod-x:members")
				s.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "roost:pod:pod-x:notices", Values: []string{"record", "x"}})
			},
		} {
			announce(t, s, "pod-x", 1)
			leave()
			if err := p.Bury(t.Context(), "pod-x"); err != nil || lease(t, s, "pod-x") != 1 {
				t.Errorf("got %v and a lease until %d with something left, want nil and one that has run out", err, lease(t, s, "pod-x"))
			}
		}
	})
}

// TestSweepOfMany: a topic of 100,000 leaves in commands of a batch each, so that Redis answers others meanwhile. The slowest is
// logged.
func TestSweepOfMany(t *testing.T) {
	const many, most = 100_000, 1100 // of a batch: fields and values, and what a script takes besides
	s := redistest.Start(t, "--slowlog-log-slower-than 0", "--slowlog-max-len 1000000")
	dead := make([]hub.Member, many)
	for i := range dead {
		dead[i] = hub.Member{Topic: "t0", Connection: fmt.Sprint("pod-x.", i), JoinRef: `"1"`}
	}
	for batch := range slices.Chunk(dead, 10_000) {
		announce(t, s, "pod-x", 1<<50, batch...)
	}
	startThree(t, s)
	if err := s.Client.Do(t.Context(), "SLOWLOG", "RESET").Err(); err != nil {
		t.Fatal(err)
	}
	announce(t, s, "pod-x", 1)
	awaitSwept(t, s)
	commands := s.Client.SlowLogGet(t.Context(), -1).Val()
	batches := 0
	var slowest time.Duration
	for _, c := range commands {
		n := len(c.Args)
		if _, err := fmt.Sscanf(c.Args[n-1], "... (%d more arguments)", &n); err == nil {
			n += len(c.Args) - 1
		}
		if n > most {
			t.Errorf("%s had %d arguments, want %d at most", c.Args[0], n, most)
		}
		if n > most/3 {
			batches++
		}
		if name := c.Args[0]; name != "smembers" && name != "SLOWLOG" { // those are the test's
			slowest = max(slowest, c.Duration)
		}
	}
	if batches < many/most {
		t.Errorf("saw %d batches, want %d at least", batches, many/most)
	}
	t.Logf("%d commands, %d batches, the slowest took %v", len(commands), batches, slowest)
}
