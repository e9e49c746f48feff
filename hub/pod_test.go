package hub_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"roost/hub"
)

// timeout is how long a test waits for what must happen.
const timeout = time.Minute

// edge is a pod's end of a Memory, of which a test may replace parts.
type edge struct {
	*hub.MemoryPod
	run       func(ctx context.Context, sink hub.Sink) error
	subscribe func(addr hub.Address, done func(error))
	publish   func(addr hub.Address, body []byte, done func(error))
	add       func(m hub.Member, done func(error))
}

var (
	_ hub.Broker = (*edge)(nil)
	_ hub.Roster = (*edge)(nil)
)

func (e *edge) Run(ctx context.Context, sink hub.Sink) error {
	if e.run != nil {
		return e.run(ctx, sink)
	}
	return e.MemoryPod.Run(ctx, sink)
}

func (e *edge) Subscribe(addr hub.Address, done func(error)) {
	if e.subscribe != nil {
		e.subscribe(addr, done)
		return
	}
	e.MemoryPod.Subscribe(addr, done)
}

func (e *edge) Publish(addr hub.Address, body []byte, done func(error)) {
	if e.publish != nil {
		e.publish(addr, body, done)
		return
	}
	e.MemoryPod.Publish(addr, body, done)
}

func (e *edge) Add(m hub.Member, done func(error)) {
	if e.add != nil {
		e.add(m, done)
		return
	}
	e.MemoryPod.Add(m, done)
}

// pod is a hub at work.
type pod struct {
	*hub.Hub
	memory  *hub.Memory
	edge    *edge
	metrics *prometheus.Registry
}

// newPod returns a hub that does not run yet. Fields of cfg that are not set are filled in.
func newPod(memory *hub.Memory, id string, cfg hub.Config) *pod {
	p := &pod{memory: memory, edge: &edge{MemoryPod: memory.Pod(id)}, metrics: prometheus.NewRegistry()}
	cfg.PodID, cfg.Broker, cfg.Roster, cfg.Registerer = id, p.edge, p.edge, p.metrics
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	p.Hub = hub.New(cfg)
	return p
}

// start runs the hub until stop is called, which waits for it.
func (p *pod) start() (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}
}

// startPod returns a hub that runs until the test ends.
func startPod(t testing.TB, memory *hub.Memory, id string, cfg hub.Config) *pod {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	p := newPod(memory, id, cfg)
	p.startFor(t)
	return p
}

func (p *pod) startFor(t testing.TB) {
	t.Helper()
	stop := p.start()
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
}

// send publishes body to a topic as a backend does.
func (p *pod) send(topic, body string) int {
	return p.memory.Publish(hub.TopicAddress(topic), []byte(body))
}

// listening tells whether a publish to addr reaches a pod.
func (p *pod) listening(addr hub.Address) bool {
	return p.memory.Publish(addr, []byte(`{"event":"probe"}`)) > 0
}

// byHand is a pod for which the test itself does what a Broker's Run does: nothing arrives but by receive.
type byHand struct {
	*pod
	sink hub.Sink
}

// startByHand returns a hub that runs until the test ends, with its link up.
func startByHand(t testing.TB, id string, cfg hub.Config) *byHand {
	t.Helper()
	p := &byHand{pod: newPod(hub.NewMemory(), id, cfg)}
	sinks := make(chan hub.Sink)
	p.edge.run = func(ctx context.Context, sink hub.Sink) error {
		sinks <- sink
		<-ctx.Done()
		return nil
	}
	p.startFor(t)
	p.sink = <-sinks
	p.sink.LinkUp(false)
	return p
}

// receive hands over what was published to a topic, and returns when the hub has queued it for the members.
func (p *byHand) receive(topic, body string) {
	p.sink.Message(hub.TopicAddress(topic), []byte(body))
}
