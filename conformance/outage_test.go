package conformance_test

import (
	"flag"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roost/internal/redistest"
)

// outageTime is how long Redis is away in TestOutage: -outage 10m.
var outageTime = flag.Duration("outage", 12*time.Second, "how long Redis is away in TestOutage")

// churn lets clients come and go until quit: connect with a socket id, join, push, leave, disconnect. What they are answered is
// counted.
type churn struct {
	pod  *pod
	seen struct{ connects, refused, joined, pushes, errors atomic.Int64 }
	last atomic.Value // the last error
}

func (c *churn) run(quit <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-quit:
			return
		case <-time.After(100 * time.Millisecond):
			if err := c.visit(n%4 == 0); err != nil {
				c.seen.errors.Add(1)
				c.last.Store(err.Error()) // one type
			}
		}
	}
}

// churners is how many clients come and go at once.
const churners = 32

// runFor lets them do so for d.
func (c *churn) runFor(d time.Duration) {
	quit := make(chan struct{})
	defer time.AfterFunc(d, func() { close(quit) }).Stop()
	var all sync.WaitGroup
	for range churners {
		all.Go(func() { c.run(quit) })
	}
	all.Wait()
}

// visit is one client's time with the pod. Not everyone wants to join.
func (c *churn) visit(join bool) error {
	conn, _, err := websocket.DefaultDialer.Dial(c.pod.url("vsn=2.0.0&user_id="+newUser()), nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	c.seen.connects.Add(1)
	ask := func(frame string) (string, error) {
		if err := conn.WriteMessage(websocket.TextMessage, []byte(frame)); err != nil {
			return "", err
		}
		_ = conn.SetReadDeadline(time.Now().Add(joinDeadline))
		_, answer, err := conn.ReadMessage()
		return string(answer), err
	}
	topic := quote(newTopic("churn"))
	if answer, err := ask(`[null,"1","phoenix","heartbeat",{}]`); err != nil || !strings.Contains(answer, `"ok"`) {
		return fmt.Errorf("a heartbeat was answered %q, %w", answer, err)
	}
	if !join {
		return nil
	}
	answer, err := ask(`["1","2",` + topic + `,"phx_join",{}]`)
	switch {
	case err != nil:
		return fmt.Errorf("join: %w", err)
	case strings.Contains(answer, `"join crashed"`):
		c.seen.refused.Add(1)
	case strings.Contains(answer, `"ok"`):
		c.seen.joined.Add(1)
		if answer, err = ask(`["1","4",` + topic + `,"phx_leave",{}]`); err != nil || !strings.Contains(answer, `"ok"`) {
			return fmt.Errorf("a leave was answered %q, %w", answer, err)
		}
	default:
		return fmt.Errorf("a join was answered %q", answer)
	}
	return nil
}

// leave lets clients that have joined push and leave, one after the other.
func (c *churn) leave(clients []*client, within time.Duration) {
	for _, w := range clients {
		time.Sleep(within / time.Duration(len(clients)))
		if err := w.Write(w.expand(`["1","3",$T,"echo",{}]`)); err != nil {
			c.seen.errors.Add(1)
			c.last.Store(err.Error())
		}
		if err := w.Write(w.expand(`["1","4",$T,"phx_leave",{}]`)); err != nil {
			c.seen.errors.Add(1)
			c.last.Store(err.Error())
		}
		c.seen.pushes.Add(1)
	}
}

// TestOutage: while Redis is away clients come and go, and nothing in the pod grows; then everything is as before.
func TestOutage(t *testing.T) {
	t.Parallel()
	for name, hurt := range map[string]struct {
		begin func(*redistest.Server, *redistest.Proxy)
		end   func(*redistest.Server, *redistest.Proxy)
	}{
		"gone":   {func(s *redistest.Server, _ *redistest.Proxy) { s.Stop(t) }, func(s *redistest.Server, _ *redistest.Proxy) { s.Restart(t) }},
		"silent": {func(_ *redistest.Server, p *redistest.Proxy) { p.Swallow(t) }, func(_ *redistest.Server, p *redistest.Proxy) { p.Heal(t) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			proxy := redistest.Between(t, s)
			d := newDrill(t, proxy.URL, settings{"ROOST_IDLE_TIMEOUT": "1h"}).through(s.Client)
			p := d.pods[0]
			c := &churn{pod: p}
			var leavers []*client
			for range 50 {
				leavers = append(leavers, dial(t, p, "vsn=2.0.0").named(newTopic("leaver")).joined())
			}
			c.runFor(time.Second) // connections to the backend stay open for a while, and cost goroutines
			c.seen.connects.Store(0)
			c.seen.joined.Store(0)
			d.goroutines[0] = p.metric(t, "go_goroutines")
			subscriptions := p.metric(t, "roost_redis_subscriptions")
			hurt.begin(s, proxy)
			quit := make(chan struct{})
			var all sync.WaitGroup
			for range churners {
				all.Go(func() { c.run(quit) })
			}
			all.Go(func() { c.leave(leavers, *outageTime/2) })
			live := watchHeap(t, p, *outageTime)
			topics := p.metric(t, "roost_redis_subscriptions")
			close(quit)
			all.Wait()
			t.Logf("%s: %v: %d connects, %d joins refused, %d joined, %d pushes and leaves, %d errors; live heap %v MiB", name, *outageTime,
				c.seen.connects.Load(), c.seen.refused.Load(), c.seen.joined.Load(), c.seen.pushes.Load(), c.seen.errors.Load(), live)
			if c.seen.errors.Load() > 0 {
				t.Errorf("got %d errors, the last one %v", c.seen.errors.Load(), c.last.Load())
			}
			if c.seen.refused.Load() == 0 {
				t.Error("no join was refused")
			}
			if first, last := live[0], live[len(live)-1]; last > first*1.5+8 {
				t.Errorf("the live heap grew from %.1f to %.1f MiB", first, last)
			}
			// Each client has a socket id and a topic for a moment, and the topic stays for 2 s more.
			if most := subscriptions + 2*churners + float64(c.seen.connects.Load())*5/outageTime.Seconds(); topics > most {
				t.Errorf("got %v subscriptions, %v before, want %v at most", topics, subscriptions, most)
			}
			hurt.end(s, proxy)
			d.back(once)
			eventually(t, func() error {
				if got := p.metric(t, "roost_redis_subscriptions"); got > subscriptions {
					return fmt.Errorf("got %v subscriptions, %v before", got, subscriptions)
				}
				return nil
			})
			for _, l := range leavers {
				wantNobody(t, d, l.topic)
			}
			p.loggedAbout(t, `msg="redis link down"`, max(1, int(outageTime.Minutes())), 1+int(outageTime.Minutes()))
		})
	}
}

// wantNobody waits until a topic has no members.
func wantNobody(t *testing.T, d *drill, topic string) {
	t.Helper()
	eventually(t, func() error {
		got, err := d.members(topic)
		if err == nil && len(got) > 0 {
			err = fmt.Errorf("got members %q of %s, want none", got, topic)
		}
		return err
	})
}

// watchHeap returns the least heap of each third of the time, in MiB: what is left behind a collection.
func watchHeap(t *testing.T, p *pod, total time.Duration) (least [3]float64) {
	t.Helper()
	for i := range least {
		least[i] = 1 << 30
		for end := time.Now().Add(total / 3); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			least[i] = min(least[i], p.metric(t, "go_memstats_heap_alloc_bytes")/(1<<20))
		}
	}
	return least
}
