package hub_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"roost/hub"
)

// relinked is a broker whose link the test breaks.
type relinked struct {
	*hub.MemoryPod
	sink chan hub.Sink
}

func (r *relinked) Run(ctx context.Context, sink hub.Sink) error {
	r.sink <- sink
	return r.MemoryPod.Run(ctx, sink)
}

// rejoiner counts how often it is told to join again.
type rejoiner struct {
	sub     hub.Subscription
	id      string
	crashes atomic.Int32
}

func (r *rejoiner) Connection() string { return r.id }
func (r *rejoiner) Deliver(*hub.Batch) {}
func (r *rejoiner) End(crash bool) {
	if crash {
		r.crashes.Add(1)
	}
}

func TestGap(t *testing.T) {
	for name, c := range map[string]struct {
		spread, within time.Duration
		want           int32
	}{
		"spread over time": {10 * time.Second, 10 * time.Second, 1},
		"off":              {-1, time.Minute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				broker := &relinked{hub.NewMemory().Pod("a"), make(chan hub.Sink, 1)}
				h := hub.New(hub.Config{PodID: "a", Broker: broker, Roster: broker, ResyncSpread: c.spread})
				ctx, cancel := context.WithCancel(t.Context())
				stopped := make(chan error, 1)
				go func() { stopped <- h.Run(ctx) }()
				defer func() { cancel(); <-stopped }()
				sink := <-broker.sink

				members := make([]*rejoiner, 100)
				for i := range members {
					members[i] = &rejoiner{id: fmt.Sprintf("a.%d", i)}
					m := hub.Member{Topic: fmt.Sprintf("t%d", i%7), Connection: members[i].id}
					if err := h.Join(ctx, &members[i].sub, members[i], m, true); err != nil {
						t.Fatal(err)
					}
				}
				crashed := func() (n int32) {
					for _, m := range members {
						n += m.crashes.Load()
					}
					return n
				}
				sink.LinkDown(context.DeadlineExceeded)
				sink.LinkUp(true)
				time.Sleep(c.within / 2)
				synctest.Wait()
				if got := crashed(); c.want == 1 && (got < 40 || got > 60) {
					t.Errorf("got %d channels told after half of the time, want about half of 100", got)
				}
				time.Sleep(c.within)
				for _, m := range members {
					if got := m.crashes.Load(); got != c.want {
						t.Errorf("%s was told %d times, want %d", m.id, got, c.want)
					}
				}
			})
		})
	}
}
