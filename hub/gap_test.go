package hub_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"roost/hub"
)

// gapped runs a hub with a member of each of five topics on each of four connections. The connections 0 and 1 have the
// socket id "u". It returns the members by topic and connection, and the broker's sink.
func gapped(t *testing.T, run func(sink hub.Sink, members [5][4]*rejoiner)) {
	synctest.Test(t, func(t *testing.T) {
		broker := &relinked{hub.NewMemory().Pod("a"), make(chan hub.Sink, 1)}
		h := hub.New(hub.Config{PodID: "a", Broker: broker, Roster: broker})
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan error, 1)
		go func() { stopped <- h.Run(ctx) }()
		defer func() { cancel(); <-stopped }()
		sink := <-broker.sink
		var members [5][4]*rejoiner
		for c := range 4 {
			id := fmt.Sprintf("a.%d", c)
			if c < 2 {
				h.Attach(ctx, newPeer(id), "u")
			}
			for topic := range members {
				r := &rejoiner{id: id}
				m := hub.Member{Topic: fmt.Sprintf("t%d", topic), Connection: id}
				if err := h.Join(ctx, &r.sub, r, m, topic%2 == 0); err != nil {
					t.Fatal(err)
				}
				members[topic][c] = r
			}
		}
		run(sink, members)
	})
}

// wantCrashes checks how often each member was told to join again.
func wantCrashes(t *testing.T, members [5][4]*rejoiner, want func(topic, connection int) int32) {
	t.Helper()
	for topic := range members {
		for c, m := range members[topic] {
			if got := m.crashes.Load(); got != want(topic, c) {
				t.Errorf("topic %d, connection %d: told %d times to join again, want %d", topic, c, got, want(topic, c))
			}
		}
	}
}

// TestGapOfSome: only the channels of the topics and socket ids that are named join again.
func TestGapOfSome(t *testing.T) {
	gapped(t, func(sink hub.Sink, members [5][4]*rejoiner) {
		sink.Gap("topic:t1")
		sink.Gap("topic:t3")
		sink.Gap("topic:nobody has joined")
		sink.Gap("id:u")
		sink.Gap("id:nobody")
		time.Sleep(11 * time.Second)
		synctest.Wait()
		wantCrashes(t, members, func(topic, c int) int32 {
			if topic == 1 || topic == 3 || c < 2 {
				return 1
			}
			return 0
		})
	})
}

// TestGapsMeet: who waits to be told is not told twice, whatever else is missed meanwhile; a gap later on is another one.
func TestGapsMeet(t *testing.T) {
	gapped(t, func(sink hub.Sink, members [5][4]*rejoiner) {
		for range 20 {
			sink.Gap("topic:t1")
			sink.Gap("topic:t2")
		}
		sink.LinkUp(true)
		time.Sleep(11 * time.Second)
		synctest.Wait()
		wantCrashes(t, members, func(int, int) int32 { return 1 })
		sink.Gap("topic:t4")
		time.Sleep(11 * time.Second)
		synctest.Wait()
		wantCrashes(t, members, func(topic, _ int) int32 {
			if topic == 4 {
				return 2
			}
			return 1
		})
	})
}

// TestGapTellsWatchers: who watches a socket id learns that something may have been missed, and nobody else does.
func TestGapTellsWatchers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := &relinked{hub.NewMemory().Pod("a"), make(chan hub.Sink, 1)}
		h := hub.New(hub.Config{PodID: "a", Broker: broker, Roster: broker, ResyncSpread: -1})
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan error, 1)
		go func() { stopped <- h.Run(ctx) }()
		defer func() { cancel(); <-stopped }()
		sink := <-broker.sink
		var told [2]int
		for i := range told {
			defer h.Watch(fmt.Sprint("user:", i), func() { told[i]++ })()
		}
		sink.Gap("id:user:1")
		sink.Gap("topic:user:0")
		if want := [2]int{0, 1}; told != want {
			t.Errorf("after a gap of one: told %v times, want %v", told, want)
		}
		sink.LinkUp(true)
		if want := [2]int{1, 2}; told != want {
			t.Errorf("after a gap of all: told %v times, want %v", told, want)
		}
	})
}
