package redisbroker_test

import (
	"testing"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

// tap taps a topic, and returns when it does: what comes, and how it ended.
func tap(t *testing.T, b *redisbroker.Broker, topic string) (bodies chan string, ended chan error) {
	t.Helper()
	bodies, ended = make(chan string, 100), make(chan error, 1)
	ready := make(chan struct{})
	go func() {
		ended <- b.Tap(t.Context(), hub.TopicMatch{Text: topic}, func() { close(ready) }, func(_ string, body []byte) { bodies <- string(body) })
	}()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	return bodies, ended
}

// TestTapSlotMoves: a tap ends when its topic is not at its server any more.
func TestTapSlotMoves(t *testing.T) {
	c := redistest.StartCluster(t, 0)
	b := run(t, open(t, redisbroker.Config{URL: c.URL, PodID: "pod-a", ShardedPubSub: true}))
	slot := c.Slot(t, "roost:topic:x")
	bodies, ended := tap(t, b.Broker, "x")
	spublish(t, &c.Server, "topic:x", "one")
	if got := await(t, bodies); got != "one" {
		t.Errorf("got %q, want what was published", got)
	}
	to := c.Nodes[0]
	if c.Owner(t, slot, to) == to {
		to = c.Nodes[1]
	}
	c.MoveSlot(t, slot, to)
	if err := await(t, ended); err == nil {
		t.Error("the tap ended without an error, want one")
	}
}

// TestTapOfFrozenServer: a tap ends when its server says nothing any more, and not before, however quiet the topic is.
func TestTapOfFrozenServer(t *testing.T) {
	s := redistest.Start(t)
	b := run(t, open(t, redisbroker.Config{URL: s.URL, PodID: "pod-a"}))
	bodies, ended := tap(t, b.Broker, "x")
	redistest.Eventually(t, "pings of more than two periods", func() bool { return calls(t, s, "ping") > 4 }) // one is the link's
	publish(t, s, "topic:x", "still here")
	if got := await(t, bodies); got != "still here" || len(ended) > 0 {
		t.Errorf("got %q, ended: %v, want what was published", got, len(ended) > 0)
	}
	s.Pause(t)
	if err := await(t, ended); err == nil {
		t.Error("the tap ended without an error, want one")
	}
	s.Resume(t)
}
