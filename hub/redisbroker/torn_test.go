package redisbroker_test

import (
	"testing"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

// shown is m with a presence of its own.
func shown(m hub.Member) hub.Member {
	m.Tracked, m.Presence = true, &hub.Presence{Key: m.Connection, Meta: []byte("{}"), Ref: m.Connection}
	return m
}

// TestTakes: only a cluster refuses topics, and only those whose keys it has in different slots.
func TestTakes(t *testing.T) {
	for _, c := range []struct {
		url, topic string
		want       bool
	}{
		{"redis://a,b", "t", true},
		{"redis://a,b", "x}", true},
		{"redis://a,b", "a {b} c", true},
		{"redis://a,b", "}x", false},
		{"redis://a,b", "}", false},
		{"redis://a,b", "", false},
		{"redis://a", "}x", true},
		{"redis://a", "", true},
	} {
		if got := open(t, redisbroker.Config{URL: c.url, PodID: "pod-a"}).Takes(c.topic); got != c.want {
			t.Errorf("Takes(%q) with %s: got %v, want %v", c.topic, c.url, got, c.want)
		}
	}
	if b := open(t, redisbroker.Config{URL: "redis://a,b", PodID: "pod-a", Prefix: "{app}:"}); !b.Takes("}x") {
		t.Error("a topic is refused where all keys are in one slot")
	}
}

// TestTornTopicIsSwept: a dead pod with a member in a topic that a cluster cannot change is swept like any other.
func TestTornTopicIsSwept(t *testing.T) {
	s := redistest.Cluster(t)
	announce(t, s, "pod-x", 1, hub.Member{Topic: "}x", Connection: "pod-x.1", JoinRef: "null"},
		hub.Member{Topic: "", Connection: "pod-x.2", JoinRef: "null"}, hub.Member{Topic: "t", Connection: "pod-x.3", JoinRef: "null"})
	start(t, redisbroker.Config{URL: s.URL, PodID: "pod-a", Lease: shortLease})
	redistest.Eventually(t, "end of the sweep", func() bool { return lease(t, s, "pod-x") == 0 })
	for _, topic := range []string{"}x", "", "t"} {
		if got := members(t, s, topic); len(got) > 0 {
			t.Errorf("got members %q in %q, want none", got, topic)
		}
	}
}

// TestTopicsThatCannotBeChanged: what is wrong with one topic is its own affair, in a write and in a comparison.
func TestTopicsThatCannotBeChanged(t *testing.T) {
	onReal(t, func(t *testing.T, s *redistest.Server) {
		if err := s.Client.Set(t.Context(), "roost:{taken}:presence", "x", 0).Err(); err != nil {
			t.Fatal(err)
		}
		cut := `{"order":1,"phx_ref":"x","leaving":true,` // the script wants a key in it
		if err := s.Client.HSet(t.Context(), "roost:{junk}:presence", "pod-x.1", cut).Err(); err != nil {
			t.Fatal(err)
		}
		p := start(t, redisbroker.Config{URL: s.URL, PodID: "pod-a"})
		for _, topic := range []string{"}x", "taken", "junk"} {
			m := shown(hub.Member{Topic: topic, Connection: "pod-a.1", JoinRef: "null"})
			m.Presence.Adopt = "pod-x.1"
			p.join(m, func(error) {})
			tracked := make(chan error, 1)
			p.Track(m, func(_ string, _ uint64, err error) { tracked <- err })
			if err := await(t, tracked); topic != "}x" && err == nil {
				t.Errorf("Track in %q: got nil, want an error", topic)
			}
		}
		p.Distrust()
		joinAll(t, p, hub.Member{Topic: "t", Connection: "pod-a.2", JoinRef: "null"})
		joinAll(t, p, hub.Member{Topic: "t", Connection: "pod-a.3", JoinRef: "null"})
		if got := members(t, s, "t"); len(got) != 2 {
			t.Errorf("got members %q, want two", got)
		}
	})
}
