package redisbroker_test

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

// pod is a running broker, and the hub it believes to serve.
type pod struct {
	*redisbroker.Broker
	stop func() // ends Run and waits for it

	mu       sync.Mutex
	messages map[hub.Address][]string
	oversize []int64
	ups      []bool // the arguments of LinkUp
	downs    int
	gaps     []hub.Address
	members  map[hub.Member]bool
	returned atomic.Int64
}

var (
	_ hub.Census   = (*pod)(nil)
	_ hub.Returner = (*pod)(nil)
)

func (p *pod) Returned() { p.returned.Add(1) }

// run runs b until the test ends.
func run(t testing.TB, b *redisbroker.Broker) *pod {
	t.Helper()
	p := &pod{Broker: b, messages: map[hub.Address][]string{}, members: map[hub.Member]bool{}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := b.Run(ctx, p); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	}()
	p.stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(p.stop)
	return p
}

// start opens and runs a broker, and waits until its link is up.
func start(t testing.TB, cfg redisbroker.Config) *pod {
	t.Helper()
	if cfg.PodID == "" {
		cfg.PodID = "pod-a"
	}
	p := run(t, open(t, cfg))
	p.awaitUps(t, 1)
	return p
}

func (p *pod) Message(addr hub.Address, body []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.messages[addr] = append(p.messages[addr], string(body))
}

func (p *pod) Oversize(_ hub.Address, size int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.oversize = append(p.oversize, size)
}

func (p *pod) LinkUp(lost bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ups = append(p.ups, lost)
}

func (p *pod) Gap(addr hub.Address) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gaps = append(p.gaps, addr)
}

func (p *pod) LinkDown(error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.downs++
}

func (p *pod) Members(yield func(hub.Member) bool) {
	p.mu.Lock()
	members := maps.Clone(p.members)
	p.mu.Unlock()
	for m := range members {
		if !yield(m) {
			return
		}
	}
}

// join enters m as a hub does: in its own list first.
func (p *pod) join(m hub.Member, done func(error)) {
	p.mu.Lock()
	p.members[m] = true
	p.mu.Unlock()
	p.Add(m, done)
}

// leave takes m back as a hub does.
func (p *pod) leave(m hub.Member) {
	p.mu.Lock()
	delete(p.members, m)
	p.mu.Unlock()
	p.Remove(m, nil)
}

func (p *pod) got(addr hub.Address) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.messages[addr]
}

func (p *pod) awaitUps(t testing.TB, n int) {
	t.Helper()
	redistest.Eventually(t, "LinkUp", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.ups) >= n
	})
}

func (p *pod) awaitDown(t testing.TB) {
	t.Helper()
	redistest.Eventually(t, "LinkDown", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.downs > 0
	})
}

func (p *pod) awaitMessages(t testing.TB, addr hub.Address, n int) {
	t.Helper()
	redistest.Eventually(t, "message", func() bool { return len(p.got(addr)) >= n })
}

// subscribe subscribes and waits for the confirmation.
func (p *pod) subscribe(t testing.TB, addr hub.Address) {
	t.Helper()
	done := make(chan error, 1)
	p.Subscribe(addr, func(err error) { done <- err })
	if err := await(t, done); err != nil {
		t.Fatalf("Subscribe: got %v, want nil", err)
	}
}

// await waits for what comes next, a done being called for one.
func await[T any](t testing.TB, done <-chan T) (got T) {
	t.Helper()
	select {
	case got = <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came within 20 s")
	}
	return got
}

// publish publishes as a backend does.
func publish(t testing.TB, s *redistest.Server, addr hub.Address, body string) {
	t.Helper()
	if err := s.Client.Publish(t.Context(), "roost:"+string(addr), body).Err(); err != nil {
		t.Fatal(err)
	}
}
