package hub_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"roost/hub"
)

// What a member's log says when the backend ended its channel.
const (
	closed  = "END phx_close"
	crashed = "END phx_error"
)

// member is a Listener that keeps a log of what it gets.
type member struct {
	entry     hub.Member
	sub       hub.Subscription
	onDeliver func(b *hub.Batch) // called before b is logged

	mu      sync.Mutex
	changed chan struct{} // closed and replaced with every entry
	log     []string
	batches int
}

func newMember(topic, connection string) *member {
	return &member{entry: hub.Member{Topic: topic, Connection: connection, JoinRef: `"1"`}, changed: make(chan struct{})}
}

func (m *member) Connection() string { return m.entry.Connection }

func (m *member) Deliver(b *hub.Batch) {
	if m.onDeliver != nil {
		m.onDeliver(b)
	}
	var lines []string
	for _, c := range b.Broadcasts {
		lines = append(lines, line(c.Topic, c.Event, c.Payload, c.Binary))
	}
	m.write(lines...)
}

func (m *member) End(crash bool) {
	if crash {
		m.write(crashed)
	} else {
		m.write(closed)
	}
}

// line is how a log tells of an event.
func line(topic, event string, payload []byte, binary bool) string {
	s := topic + " " + event + " " + string(payload)
	if binary {
		s += " (binary)"
	}
	return s
}

func (m *member) write(lines ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.batches++
	m.log = append(m.log, lines...)
	close(m.changed)
	m.changed = make(chan struct{})
}

// read returns the log, and what is closed when it grows.
func (m *member) read() ([]string, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.log), m.changed
}

// awaitFor waits until enough says that the log is complete, and returns it as it is then or after the timeout.
func (m *member) awaitFor(enough func(log []string) bool) ([]string, bool) {
	deadline := time.After(timeout)
	for {
		log, changed := m.read()
		if enough(log) {
			return log, true
		}
		select {
		case <-changed:
		case <-deadline:
			return log, false
		}
	}
}

// await waits until the log has n lines.
func (m *member) await(t testing.TB, n int) []string {
	t.Helper()
	log, ok := m.awaitFor(func(log []string) bool { return len(log) >= n })
	if !ok {
		t.Fatalf("%s got %d lines, want %d: %.2000q", m.entry.Connection, len(log), n, log)
	}
	return log
}

// awaitLine waits until the log ends in last.
func (m *member) awaitLine(t testing.TB, last string) []string {
	t.Helper()
	log, ok := m.awaitFor(func(log []string) bool { return len(log) > 0 && log[len(log)-1] == last })
	if !ok {
		t.Fatalf("%s got %.2000q, want the last line to be %q", m.entry.Connection, log, last)
	}
	return log
}

// expect waits until the log is as wanted.
func (m *member) expect(t testing.TB, want ...string) {
	t.Helper()
	if got := m.await(t, len(want)); !slices.Equal(got, want) {
		t.Errorf("%s got %q, want %q", m.entry.Connection, got, want)
	}
}

// enter joins m, which must succeed.
func (p *pod) enter(t testing.TB, m *member) *member {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := p.Join(ctx, &m.sub, m, m.entry, true); err != nil {
		t.Fatalf("Join(%q) = %v, want nil", m.entry.Topic, err)
	}
	return m
}

// join makes a member and joins it.
func (p *pod) join(t testing.TB, topic, connection string) *member {
	t.Helper()
	return p.enter(t, newMember(topic, connection))
}

func (p *pod) leave(m *member) { p.Leave(&m.sub, m.entry, nil) }

// block makes the worker that carries m wait in the next delivery, until release or the end of the test. entered is closed
// when it does.
func (m *member) block(t testing.TB) (entered <-chan struct{}, release func()) {
	in, out := make(chan struct{}), make(chan struct{})
	var once sync.Once
	m.onDeliver = func(*hub.Batch) {
		once.Do(func() {
			close(in)
			<-out
		})
	}
	release = sync.OnceFunc(func() { close(out) })
	t.Cleanup(release)
	return in, release
}

// forget empties the log.
func (m *member) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.log = nil
}
