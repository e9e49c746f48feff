package conformance_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/internal/redistest"
)

// once and never say how often every channel is told to join again.
func once(*fan, string) int  { return 1 }
func never(*fan, string) int { return 0 }

// through lets a drill publish and count over a client.
func (d *drill) through(c redis.UniversalClient) *drill {
	d.publish = func(topic, body string) error {
		return c.Publish(context.Background(), "roost:topic:"+topic, body).Err()
	}
	d.members = func(topic string) ([]string, error) {
		return c.SMembers(context.Background(), "roost:{"+topic+"}:members").Result()
	}
	return d
}

// TestDrillRestart: Redis is killed, and comes back empty.
func TestDrillRestart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spread string
		want   func(*fan, string) int
	}{"phx_error": {"1s", once}, "silence": {"off", never}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			d := newDrill(t, s.URL, settings{"ROOST_RESYNC_SPREAD": c.spread}).through(s.Client)
			s.Stop(t)
			d.away()
			s.Restart(t)
			d.back(c.want)
			for _, p := range d.pods {
				p.logged(t, `msg="redis link down"`, 1)
				p.logged(t, `msg="redis link up" away=`, 1)
			}
		})
	}
}

// TestDrillPause: Redis is frozen for 10 s.
func TestDrillPause(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	d := newDrill(t, s.URL, nil).through(s.Client)
	s.Pause(t)
	began := time.Now()
	d.away()
	time.Sleep(time.Until(began.Add(10 * time.Second)))
	s.Resume(t)
	d.back(once)
}

// TestDrillBlackHole: what is sent in either direction vanishes, and connections stay open.
func TestDrillBlackHole(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	proxy := redistest.Between(t, s)
	d := newDrill(t, proxy.URL, nil).through(s.Client)
	proxy.Swallow(t)
	d.away()
	for _, p := range d.pods {
		eventually(t, func() error { return unready(p) })
	}
	proxy.Heal(t)
	d.back(once)
}

// TestDrillLatency: Redis is half a second away. Everything takes longer, and works.
func TestDrillLatency(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	proxy := redistest.Between(t, s)
	d := newDrill(t, proxy.URL, nil).through(s.Client)
	proxy.Delay(t, 500*time.Millisecond)
	for _, w := range d.witnesses {
		w.send(`["2","3",$T,"anything",{"a":1}]`)
		w.want(`[null,null,$T,"anything",{"a":1}]`, `["2","3",$T,"phx_reply",ok{}]`)
		w.another().named(newTopic("late")).joined()
	}
	d.back(never)
}

// TestDrillSentinel: the master dies, and Sentinel makes its replica the master.
func TestDrillSentinel(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t)
	d := newDrill(t, s.URL, nil).through(s.Replica.Client)
	s.Stop(t)
	d.back(once)
}
