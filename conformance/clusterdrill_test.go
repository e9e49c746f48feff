package conformance_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roost/internal/redistest"
)

// clusterDrill runs test with sharded pub/sub off and on.
func clusterDrill(t *testing.T, test func(t *testing.T, sharded bool)) {
	t.Parallel()
	for name, sharded := range map[string]bool{"plain": false, "sharded": true} {
		t.Run(name, func(t *testing.T) { test(t, sharded) })
	}
}

// newClusterDrill starts a drill on c that publishes as a backend does.
func newClusterDrill(t *testing.T, c *redistest.ClusterServer, sharded bool) *drill {
	t.Helper()
	setting := "off"
	if sharded {
		setting = "on"
	}
	d := newDrill(t, c.URL, settings{"ROOST_REDIS_SHARDED_PUBSUB": setting}).through(c.Client)
	d.publish = func(topic, body string) error {
		channel := "roost:topic:" + topic
		if sharded {
			return c.Client.SPublish(context.Background(), channel, body).Err()
		}
		// A client that still knows the dead master would ask it: any node will do.
		for _, n := range slices.Backward(c.Nodes) {
			if err := n.Client.Publish(context.Background(), channel, body).Err(); err == nil {
				return nil
			}
		}
		return fmt.Errorf("no node took a message for %s", topic)
	}
	return d
}

// id is the pod's id.
func (p *pod) id() string {
	for _, v := range p.cmd.Env {
		if id, found := strings.CutPrefix(v, "ROOST_POD_ID="); found {
			return id
		}
	}
	return ""
}

// links counts the links of a pod to a node.
func links(t *testing.T, p *pod, n *redistest.Node) int {
	t.Helper()
	list, err := n.Client.ClientList(context.Background()).Result()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(list, "name=roost:"+p.id()+" ")
}

// TestDrillClusterFailover: a master dies, and its replica takes over. With sharded pub/sub the channels of its slots join
// again, those of the others do not; without, all channels of the pods whose link went to that master.
func TestDrillClusterFailover(t *testing.T) {
	clusterDrill(t, func(t *testing.T, sharded bool) {
		c := redistest.StartCluster(t, 1)
		d := newClusterDrill(t, c, sharded)
		plain := 0 // links to a master that bring what is published to any topic, or to connections
		if sharded {
			plain = 1
		}
		// With sharded pub/sub, a master that has nobody's link for connections: its loss would concern everything.
		victim := c.Nodes[0]
		for sharded && (links(t, d.pods[0], victim) > plain || links(t, d.pods[1], victim) > plain) {
			victim = c.Nodes[slices.Index(c.Nodes, victim)+1]
		}
		want := map[string]int{}
		for _, f := range d.fans {
			for _, topic := range f.topics {
				n := links(t, f.pod, victim)
				if sharded {
					n = 0
					if c.Owner(t, c.Slot(t, "roost:topic:"+topic), victim) == victim {
						n = 1
					}
				}
				want[f.pod.addr+topic] = n
			}
		}
		victim.Kill()
		survivor := c.Nodes[(slices.Index(c.Nodes, victim)+1)%3]
		eventually(t, func() error {
			for _, slot := range []int{0, 6000, 16383} {
				if owner := c.Owner(t, slot, survivor); owner == nil || owner == victim {
					return fmt.Errorf("nobody has taken over")
				}
			}
			return survivor.Client.ClusterInfo(context.Background()).Err()
		})
		d.ask(t)
		d.back(func(f *fan, topic string) int { return want[f.pod.addr+topic] })
	})
}

// ask waits until every pod can join and broadcast on topics in all parts of the cluster.
func (d *drill) ask(t *testing.T) {
	t.Helper()
	for _, p := range d.pods {
		c := dial(t, p, "vsn=2.0.0")
		for range 12 {
			c.named(fmt.Sprint("cast:", topicCount.Add(1)))
			eventually(t, func() error {
				c.send(`["1","1",$T,"phx_join",{}]`)
				if m := c.Next(); !strings.Contains(string(m.Data), `"ok"`) {
					return fmt.Errorf("got %s", m)
				}
				return nil
			})
		}
		c.Drop()
	}
}

// TestDrillSlotMoves: the slots of a topic's channel and of its keys move around the cluster, while a backend publishes all
// the time and clients come and go. Without sharded pub/sub nobody notices. With it, the topic's channels join again after each
// move of the channel's slot, and a member that missed something is always told so.
func TestDrillSlotMoves(t *testing.T) {
	clusterDrill(t, func(t *testing.T, sharded bool) {
		c := redistest.StartCluster(t, 0)
		d := newClusterDrill(t, c, sharded)
		var published atomic.Int64
		stop := make(chan struct{})
		var busy sync.WaitGroup
		defer busy.Wait()
		halt := sync.OnceFunc(func() { close(stop) })
		defer halt()
		busy.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
				}
				n := published.Add(1)
				if err := d.publish(d.room, fmt.Sprintf(`{"event":"e","payload":{"n":%06d}}`, 100_000+n)); err != nil {
					t.Errorf("publish: %v", err)
				}
			}
		})
		const moves = 3
		for i := range moves {
			c.MoveSlot(t, c.Slot(t, "roost:{"+d.room+"}:members"), c.Nodes[(i+1)%3])
			slot := c.Slot(t, "roost:topic:"+d.room)
			to := c.Nodes[i%3]
			if c.Owner(t, slot, to) == to {
				to = c.Nodes[(i+1)%3]
			}
			c.MoveSlot(t, slot, to)
			w := d.witnesses[i%2].another().named(d.room)
			w.send(`["1","1",$T,"phx_join",{}]`)
			w.Drop()
			want := 0
			if sharded {
				want = i + 1
			}
			for _, f := range d.fans {
				eventually(t, func() error {
					if got := f.crashes(d.room); got != want {
						return fmt.Errorf("got %d times phx_error, want %d", got, want)
					}
					return f.allJoined()
				})
			}
		}
		all := published.Load()
		eventually(t, func() error {
			if published.Load() < all+2 { // the last one began after all had joined
				return fmt.Errorf("nothing more was published")
			}
			return nil
		})
		halt()
		busy.Wait()
		last := fmt.Sprintf(`{"n":%06d}`, 100_000+published.Load())
		for _, f := range d.fans {
			eventually(t, func() error {
				if got := f.got(d.room); len(got) == 0 || got[len(got)-1] != last {
					return fmt.Errorf("%d times phx_error, got %d messages, of which the last are %.300q, want %s", f.crashes(d.room), len(got), got[max(0, len(got)-5):], last)
				}
				return nil
			})
			wantNoSilentGap(t, f.got(d.room), sharded)
		}
		d.back(func(_ *fan, topic string) int {
			if sharded && topic == d.room {
				return moves
			}
			return 0
		})
	})
}

// wantNoSilentGap checks that messages came once, in order, and that whoever missed some was told to join again.
func wantNoSilentGap(t *testing.T, got []string, mayMiss bool) {
	t.Helper()
	last, missed := int64(0), 0
	for i, text := range got {
		if text == "crash" {
			missed = 0
			continue
		}
		var n int64
		if _, err := fmt.Sscanf(text, `{"n":%d}`, &n); err != nil {
			t.Fatal(err)
		}
		switch {
		case last == 0 || n == last+1:
		case n <= last:
			t.Errorf("message %d came after %d", n, last)
		case i > 0 && got[i-1] == "crash": // missed between the end of the channel and the next join
		case !mayMiss:
			t.Errorf("message %d came after %d, and nobody was told", n, last)
		default:
			missed++
		}
		last = n
	}
	if missed > 0 {
		t.Errorf("%d times messages were missed and nobody was told", missed)
	}
}
