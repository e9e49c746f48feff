package hubtest

import (
	"context"
	"iter"
	"maps"
	"sync"
	"testing"
	"time"

	"roost/hub"
)

// timeout is how long a test waits for what must happen.
const timeout = 20 * time.Second

// Pod is one pod's end of the broker under test.
type Pod struct {
	Broker hub.Broker
	Roster hub.Roster
	// Members reads the membership set of a topic, as a backend does.
	Members func(topic string) []string
}

// runningPod is a Pod at work.
type runningPod struct {
	Pod
	id   string
	sink *sink
}

// start makes a pod and runs it until the test ends. It returns when the link is up.
func start(t *testing.T, newPod func(t *testing.T, podID string) Pod, id string) *runningPod {
	t.Helper()
	p := &runningPod{Pod: newPod(t, id), id: id, sink: newSink()}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Broker.Run(ctx, p.sink) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run of pod %s = %v, want nil", id, err)
			}
		case <-time.After(timeout):
			t.Errorf("Run of pod %s did not end with its context", id)
		}
	})
	select {
	case <-p.sink.up:
	case <-time.After(timeout):
		t.Fatalf("pod %s got no LinkUp", id)
	}
	return p
}

// subscribe subscribes to addrs and waits until all are confirmed.
func (p *runningPod) subscribe(t *testing.T, addrs ...hub.Address) {
	t.Helper()
	done := make(chan error, len(addrs))
	for _, addr := range addrs {
		p.Broker.Subscribe(addr, func(err error) { done <- err })
	}
	for range addrs {
		wait(t, "Subscribe", done)
	}
}

// publish publishes and waits until the broker has taken it.
func (p *runningPod) publish(t *testing.T, addr hub.Address, body string) {
	t.Helper()
	done := make(chan error, 1)
	p.Broker.Publish(addr, []byte(body), func(err error) { done <- err })
	wait(t, "Publish", done)
}

// add enters a member and waits until it is visible.
func (p *runningPod) add(t *testing.T, m hub.Member) {
	t.Helper()
	done := make(chan error, 1)
	p.addThen(m, func(err error) { done <- err })
	wait(t, "Add", done)
}

func (p *runningPod) addThen(m hub.Member, done func(error)) {
	p.sink.member(m, true)
	p.Roster.Add(m, done)
}

func (p *runningPod) remove(m hub.Member) {
	p.sink.member(m, false)
	p.Roster.Remove(m, nil)
}

// wait fails the test unless nil comes.
func wait(t *testing.T, what string, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		if err != nil {
			t.Fatalf("%s: got %v, want nil", what, err)
		}
	case <-time.After(timeout):
		t.Fatalf("%s: done was not called within %v", what, timeout)
	}
}

// sink records what a broker hands over.
type sink struct {
	up chan struct{} // closed by the first LinkUp

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced with every message
	messages map[hub.Address][]string
	members  map[hub.Member]struct{}
}

var _ hub.Census = (*sink)(nil)

func newSink() *sink {
	return &sink{
		up: make(chan struct{}), changed: make(chan struct{}),
		messages: map[hub.Address][]string{}, members: map[hub.Member]struct{}{},
	}
}

func (s *sink) Message(addr hub.Address, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages[addr] = append(s.messages[addr], string(body))
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *sink) Oversize(hub.Address, int64) {}
func (s *sink) LinkDown(error)              {}
func (s *sink) Gap(hub.Address)             {}

func (s *sink) LinkUp(lost bool) {
	if !lost {
		close(s.up)
	}
}

// Members names those that the test added and did not remove.
func (s *sink) Members(yield func(hub.Member) bool) {
	s.mu.Lock()
	members := maps.Clone(s.members)
	s.mu.Unlock()
	iter.Seq[hub.Member](maps.Keys(members))(yield)
}

func (s *sink) member(m hub.Member, wanted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if wanted {
		s.members[m] = struct{}{}
	} else {
		delete(s.members, m)
	}
}

// await waits until n messages came for addr, and returns all that did.
func (s *sink) await(t *testing.T, addr hub.Address, n int) []string {
	t.Helper()
	deadline := time.After(timeout)
	for {
		s.mu.Lock()
		got, changed := s.messages[addr], s.changed
		s.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("got %d messages for %s within %v, want %d", len(got), addr, timeout, n)
		}
	}
}
