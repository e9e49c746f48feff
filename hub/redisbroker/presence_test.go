package redisbroker_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

// shows enters the only member of a pod, which shows the key u, and returns it and the ref that it has.
func shows(t *testing.T, p *pod, connection, adopt string) (hub.Member, string) {
	t.Helper()
	m := hub.Member{Topic: "t", Connection: connection, JoinRef: "null", Tracked: true}
	m.Presence = &hub.Presence{Key: "u", Meta: []byte("{}"), Ref: hub.NewRef(), Adopt: adopt}
	joinAll(t, p, m)
	refs := make(chan string, 1)
	p.Track(m, func(ref string, _ uint64, err error) {
		if err != nil {
			t.Errorf("Track: got %v, want nil", err)
		}
		refs <- ref
	})
	return m, await(t, refs)
}

// lingers ends the connection of m, which is shown still.
func (p *pod) lingers(m hub.Member) hub.Member {
	last := m
	last.Lingers, last.Unlisted = true, true
	p.mu.Lock()
	delete(p.members, m)
	p.members[last] = true
	p.mu.Unlock()
	p.Remove(last, nil)
	return last
}

// compares makes p compare what Redis holds with its own list, and waits until it has.
func (p *pod) compares(t *testing.T, s *redistest.Server) {
	t.Helper()
	mark := hub.Member{Topic: "compared", Connection: "pod-a.mark", JoinRef: "null"}
	p.mu.Lock()
	p.members[mark] = true // only a comparison enters it
	p.mu.Unlock()
	p.Distrust()
	redistest.Eventually(t, "comparison", func() bool { return len(members(t, s, mark.Topic)) == 1 })
}

// shownIn returns the connections that are shown in the topic t.
func shownIn(t *testing.T, s *redistest.Server) []string {
	t.Helper()
	return slices.Sorted(maps.Keys(s.Client.HGetAll(t.Context(), "roost:{t}:presence").Val()))
}

// TestTakenOver: whose place was taken over while it lingered is not shown again when its pod compares, which would take away who
// took over, when its grace ends.
func TestTakenOver(t *testing.T) {
	redistest.Each(t, func(t *testing.T, s *redistest.Server) {
		a, b := start(t, redisbroker.Config{URL: s.URL}), start(t, redisbroker.Config{URL: s.URL, PodID: "pod-b"})
		m, ref := shows(t, a, "pod-a.1", "")
		left := a.lingers(m)
		redistest.Eventually(t, "mark", func() bool {
			return strings.Contains(s.Client.HGet(t.Context(), "roost:{t}:presence", "pod-a.1").Val(), "leaving")
		})
		if _, got := shows(t, b, "pod-b.1", "pod-a.1"); got != ref {
			t.Errorf("got ref %s, want %s taken over", got, ref)
		}
		a.compares(t, s)
		if got := shownIn(t, s); !slices.Equal(got, []string{"pod-b.1"}) {
			t.Errorf("%v are shown, want pod-b.1 only", got)
		}
		left.Lingers = false
		a.Remove(left, nil)
		joinAll(t, a, member("t", 2)) // is written behind it
		if got := shownIn(t, s); !slices.Equal(got, []string{"pod-b.1"}) {
			t.Errorf("%v are shown after the grace, want pod-b.1 only", got)
		}
	})
}

// TestGoneAfterDataLoss: other pods are told of a leave though Redis has lost who left, and if nobody else is shown.
func TestGoneAfterDataLoss(t *testing.T) {
	redistest.Each(t, func(t *testing.T, s *redistest.Server) {
		a, b := start(t, redisbroker.Config{URL: s.URL}), start(t, redisbroker.Config{URL: s.URL, PodID: "pod-b"})
		addr := hub.TopicAddress("t")
		b.subscribe(t, addr)
		m, _ := shows(t, a, "pod-a.1", "")
		left := a.lingers(m)
		b.awaitMessages(t, addr, 2)
		if err := s.Client.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		a.compares(t, s)
		left.Lingers = false
		a.Remove(left, nil)
		b.awaitMessages(t, addr, 3)
		if got := b.got(addr)[2]; !strings.Contains(got, `"n":0,"fresh":true,"set":[],"del":["pod-a.1"]`) {
			t.Errorf("got %s, want the end of pod-a.1", got)
		}
		if keys := s.Client.Keys(t.Context(), "roost:{t}:presence*").Val(); len(keys) > 0 {
			t.Errorf("got keys %q where nobody is shown, want none", keys)
		}
	})
}
