package hub_test

import (
	"testing"

	"roost/hub"
	"roost/hub/hubtest"
)

// TestBroker runs the contract of the seams on Memory.
func TestBroker(t *testing.T) {
	memory := hub.NewMemory()
	hubtest.TestBroker(t, func(_ *testing.T, podID string) hubtest.Pod {
		p := memory.Pod(podID)
		return hubtest.Pod{Broker: p, Roster: p, Members: memory.MembersOf}
	})
}

// Publish tells how many pods get it; a pod that has stopped is not among them, and cannot publish.
func TestMemoryPublish(t *testing.T) {
	memory := hub.NewMemory()
	a, b := startPod(t, memory, "a", hub.Config{}), newPod(memory, "b", hub.Config{})
	stop := b.start()
	a.join(t, "t", "a.1")
	b.join(t, "t", "b.1")
	if got := memory.Publish("topic:t", []byte(`{"event":"x"}`)); got != 2 {
		t.Errorf("Publish reached %d pods, want 2", got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if got := memory.Publish("topic:t", []byte(`{"event":"x"}`)); got != 1 {
		t.Errorf("Publish reached %d pods, want 1", got)
	}
	if err := b.Broadcast(t.Context(), "t", "x", nil); err == nil {
		t.Error("Broadcast of a stopped pod = nil, want an error")
	}
}

// Memory takes a copy of what is published.
func TestMemoryCopies(t *testing.T) {
	memory := hub.NewMemory()
	p := startPod(t, memory, "a", hub.Config{})
	m := p.join(t, "t", "a.1")
	body := []byte(`{"event":"x","payload":{"n":1}}`)
	memory.Publish("topic:t", body)
	clear(body)
	m.expect(t, `t x {"n":1}`)
}
