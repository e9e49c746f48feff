package redisbroker_test

import (
	"fmt"
	"slices"
	"testing"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

const index = "roost:pod:pod-a:members"

func member(topic string, i int) hub.Member {
	return hub.Member{Topic: topic, Connection: fmt.Sprint("pod-a.", i), JoinRef: fmt.Sprintf(`"%d"`, i)}
}

// joinAll enters members and waits until all are in.
func joinAll(t *testing.T, p *pod, members ...hub.Member) {
	t.Helper()
	done := make(chan error, len(members))
	for _, m := range members {
		p.join(m, func(err error) { done <- err })
	}
	for range members {
		if err := await(t, done); err != nil {
			t.Fatalf("Add: got %v, want nil", err)
		}
	}
}

// inIndex reads the index of pod-a.
func inIndex(t *testing.T, s *redistest.Server) map[string]string {
	t.Helper()
	got, err := s.Client.HGetAll(t.Context(), index).Result()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestIndex: what is in a set is in the index of its pod, with the join ref, and gone from it afterwards.
func TestIndex(t *testing.T) {
	test := func(t *testing.T, s *redistest.Server) {
		p := start(t, redisbroker.Config{URL: s.URL})
		one, two := member("rooms: a b", 1), member("rooms:c", 2)
		joinAll(t, p, one, two)
		got := inIndex(t, s)
		if len(got) != 2 || got["pod-a.1 rooms: a b"] != `"1"` || got["pod-a.2 rooms:c"] != `"2"` {
			t.Errorf("got index %q", got)
		}
		p.leave(one)
		redistest.Eventually(t, "removal", func() bool { return len(inIndex(t, s)) == 1 })
		if got := members(t, s, one.Topic); len(got) != 0 {
			t.Errorf("got members %q, want none: the set is written before the index", got)
		}
	}
	redistest.Each(t, test)
	t.Run("cluster", func(t *testing.T) { test(t, redistest.Cluster(t)) })
}

// TestRosterIsReconciled: after Redis was away, the sets and the index are what they should be.
func TestRosterIsReconciled(t *testing.T) {
	redistest.Each(t, func(t *testing.T, s *redistest.Server) {
		p := start(t, redisbroker.Config{URL: s.URL})
		const many = 2500
		var all []hub.Member
		for i := range many {
			all = append(all, member(fmt.Sprint("t", i%10), i))
		}
		joinAll(t, p, all...)
		s.Stop(t)
		p.awaitDown(t)
		p.leave(all[0])
		late := member("t0", many)
		failure := make(chan error, 1)
		p.join(late, func(err error) { failure <- err })
		if err := await(t, failure); err == nil {
			t.Error("Add without Redis: got nil, want an error")
		}
		p.leave(late)

		s.Restart(t)
		redistest.Eventually(t, "roster as it should be", func() bool {
			return len(inIndex(t, s)) == many-1 && len(members(t, s, "t0")) == many/10-1 && len(members(t, s, "t9")) == many/10
		})
		if got := members(t, s, "t0"); slices.Contains(got, all[0].Connection) || slices.Contains(got, late.Connection) {
			t.Errorf("a member that left while Redis was away is in the set")
		}
		joinAll(t, p, late)
	})
}

// TestRosterAfterDataLoss: a Redis that comes back empty is filled again, though no write failed.
func TestRosterAfterDataLoss(t *testing.T) {
	s := redistest.Start(t)
	p := start(t, redisbroker.Config{URL: s.URL})
	joinAll(t, p, member("t", 1), member("t", 2))
	s.Stop(t)
	p.awaitDown(t)
	s.Restart(t)
	redistest.Eventually(t, "roster as it was", func() bool { return len(members(t, s, "t")) == 2 && len(inIndex(t, s)) == 2 })
}

// TestFormerLife: a pod that comes back under its old name takes back what it left.
func TestFormerLife(t *testing.T) {
	redistest.Each(t, func(t *testing.T, s *redistest.Server) {
		announce(t, s, "pod-a", 1<<50, member("t", 1), member("t", 2))
		again := start(t, redisbroker.Config{URL: s.URL})
		joinAll(t, again, member("t", 3))
		if got, want := members(t, s, "t"), []string{"pod-a.3"}; !slices.Equal(got, want) {
			t.Errorf("got members %q, want %q", got, want)
		}
		if got := inIndex(t, s); len(got) != 1 {
			t.Errorf("got index %q, want one entry", got)
		}
	})
}

// TestRosterKeyOfAnotherType: a key that somebody else uses costs its own topic only.
func TestRosterKeyOfAnotherType(t *testing.T) {
	redistest.Each(t, func(t *testing.T, s *redistest.Server) {
		if err := s.Client.Set(t.Context(), "roost:{taken}:members", "x", 0).Err(); err != nil {
			t.Fatal(err)
		}
		p := start(t, redisbroker.Config{URL: s.URL})
		taken, free := make(chan error, 1), make(chan error, 1)
		p.join(member("taken", 1), func(err error) { taken <- err })
		p.join(member("free", 1), func(err error) { free <- err })
		if err := await(t, taken); err == nil {
			t.Error("Add to a key of another type: got nil, want an error")
		}
		if err := await(t, free); err != nil {
			t.Errorf("Add to another topic: got %v, want nil", err)
		}
	})
}
