package redisbroker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

// spublish publishes as a backend does where pub/sub is sharded.
func spublish(t testing.TB, s *redistest.Server, addr hub.Address, body string) {
	t.Helper()
	if err := s.Client.SPublish(t.Context(), "roost:"+string(addr), body).Err(); err != nil {
		t.Fatal(err)
	}
}

// awaitGaps waits until exactly these addresses have been named, in any order, and nothing else.
func (p *pod) awaitGaps(t testing.TB, want ...hub.Address) {
	t.Helper()
	slices.Sort(want)
	var got []hub.Address
	redistest.Eventually(t, "gaps", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		got = slices.Clone(p.gaps)
		return len(got) >= len(want)
	})
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("got gaps %q, want %q", got, want)
	}
}

// shardClients counts the links of a pod to a node.
func shardClients(t testing.TB, n *redistest.Node, podID string) int {
	t.Helper()
	list, err := n.Client.ClientList(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(list, "name=roost:"+podID+" ")
}

// TestShardedSlotMoves: when a slot moves to another master, what is subscribed there is subscribed again, and named as a
// gap; nothing else is.
func TestShardedSlotMoves(t *testing.T) {
	c := redistest.StartCluster(t, 0)
	p := start(t, redisbroker.Config{URL: c.URL, ShardedPubSub: true})
	const topics = 300
	addr := func(i int) hub.Address { return hub.TopicAddress(fmt.Sprint(i)) }
	for i := range topics {
		p.subscribe(t, addr(i))
	}
	moving := addr(7)
	slot := c.Slot(t, "roost:"+string(moving))
	fresh := hub.TopicAddress("fresh") // is subscribed anew after every move
	for round := range 5 {
		p.mu.Lock()
		p.gaps = nil
		p.mu.Unlock()
		to := c.Nodes[0]
		if c.Owner(t, slot, c.Nodes[0]) == to {
			to = c.Nodes[1+round%2]
		}
		c.MoveSlot(t, slot, to)
		p.awaitGaps(t, moving)
		p.subscribe(t, fresh)
		for i := range topics {
			spublish(t, &c.Server, addr(i), fmt.Sprint("round ", round))
		}
		for i := range topics {
			p.awaitMessages(t, addr(i), round+1)
			if got, want := p.got(addr(i))[round], fmt.Sprint("round ", round); got != want || len(p.got(addr(i))) != round+1 {
				t.Fatalf("%s got %q, want %q to be the last of %d", addr(i), p.got(addr(i)), want, round+1)
			}
		}
		p.awaitGaps(t, moving)
		p.Unsubscribe(fresh)
	}
	if want := []bool{false}; !slices.Equal(p.ups, want) || p.downs != 0 {
		t.Errorf("got LinkUp with %v and %d times LinkDown, want %v and 0", p.ups, p.downs, want)
	}
}

// TestShardedPublisherFollowsSlots: what this pod publishes while slots move is taken, each message once and in order.
func TestShardedPublisherFollowsSlots(t *testing.T) {
	c := redistest.StartCluster(t, 0)
	p := start(t, redisbroker.Config{URL: c.URL, ShardedPubSub: true})
	const addr = hub.Address("topic:x")
	slot := c.Slot(t, "roost:"+string(addr))
	stop, ended := make(chan struct{}), make(chan int, 1)
	go func() {
		n, failed := 0, 0
		for ; ; n++ {
			select {
			case <-stop:
				if failed > 0 {
					t.Errorf("%d of %d publishes failed", failed, n)
				}
				ended <- n
				return
			default:
			}
			done := make(chan error, 1)
			p.Publish(addr, fmt.Appendf(nil, "%06d", n), func(err error) { done <- err })
			if err := <-done; err != nil {
				t.Logf("message %d: %v", n, err)
				failed++
			}
		}
	}()
	p.subscribe(t, addr)
	for i := range 6 {
		c.MoveSlot(t, slot, c.Nodes[i%3])
		time.Sleep(50 * time.Millisecond) // some more messages
	}
	close(stop)
	n := <-ended
	p.subscribe(t, addr)
	spublish(t, &c.Server, addr, "last")
	redistest.Eventually(t, "last message", func() bool { got := p.got(addr); return len(got) > 0 && got[len(got)-1] == "last" })
	got := p.got(addr)
	if !slices.IsSorted(got[:len(got)-1]) || len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Error("messages came twice or out of order")
	}
	t.Logf("%d of %d messages came, the others fell into %d gaps", len(got)-1, n, len(p.gaps))
}

// TestShardedFailover: a master dies, its replica takes over. What is subscribed in its slots stands again and is named as a
// gap; nothing else is, unless the link for connections was to that master.
func TestShardedFailover(t *testing.T) {
	c := redistest.StartCluster(t, 1)
	p := start(t, redisbroker.Config{URL: c.URL, ShardedPubSub: true})
	const topics = 60
	addr := func(i int) hub.Address { return hub.TopicAddress(fmt.Sprint(i)) }
	for i := range topics {
		p.subscribe(t, addr(i))
	}
	redistest.Eventually(t, "link to every master", func() bool {
		n := 0
		for _, node := range c.Nodes[:3] {
			n += shardClients(t, node, "pod-a")
		}
		return n == 4
	})
	victim := c.Nodes[0]
	if shardClients(t, victim, "pod-a") == 2 { // the link for connections is here
		victim = c.Nodes[1]
	}
	var hurt []hub.Address
	var slots []int
	for i := range topics {
		slots = append(slots, c.Slot(t, "roost:"+string(addr(i))))
		if c.Owner(t, slots[i], victim) == victim {
			hurt = append(hurt, addr(i))
		}
	}
	survivor := c.Nodes[2]
	victim.Kill()
	p.awaitGaps(t, hurt...)
	for i := range topics {
		redistest.Eventually(t, "publish after the failover", func() bool {
			owner := c.Owner(t, slots[i], survivor)
			return owner != nil && owner != victim && owner.Client.SPublish(t.Context(), "roost:"+string(addr(i)), "back").Err() == nil
		})
		p.awaitMessages(t, addr(i), 1)
	}
	if err := survivor.Client.Publish(t.Context(), "roost:"+string(hub.ConnAddress("pod-a.1")), "hello").Err(); err != nil {
		t.Fatal(err)
	}
	p.awaitMessages(t, hub.ConnAddress("pod-a.1"), 1)
	p.awaitGaps(t, hurt...)
	if want := []bool{false}; !slices.Equal(p.ups, want) {
		t.Errorf("got LinkUp with %v, want %v", p.ups, want)
	}
}

// TestShardedSetting: with the setting a plain PUBLISH to a topic is not heard, on one server and in a cluster; one to a
// connection is. Without it things are the other way round.
func TestShardedSetting(t *testing.T) {
	for name, s := range map[string]*redistest.Server{"one server": redistest.Start(t), "cluster": redistest.Cluster(t)} {
		t.Run(name, func(t *testing.T) {
			sharded := start(t, redisbroker.Config{URL: s.URL, ShardedPubSub: true, PodID: "pod-s"})
			plain := start(t, redisbroker.Config{URL: s.URL, PodID: "pod-p"})
			for _, p := range []*pod{sharded, plain} {
				p.subscribe(t, "topic:x")
				p.subscribe(t, "id:y")
			}
			for _, addr := range []hub.Address{"topic:x", "id:y"} {
				publish(t, s, addr, "plain")
				spublish(t, s, addr, "sharded")
				sharded.awaitMessages(t, addr, 1)
				plain.awaitMessages(t, addr, 1)
				if got := sharded.got(addr); !slices.Equal(got, []string{"sharded"}) {
					t.Errorf("with the setting %s got %q, want the sharded one", addr, got)
				}
				if got := plain.got(addr); !slices.Equal(got, []string{"plain"}) {
					t.Errorf("without the setting %s got %q, want the plain one", addr, got)
				}
			}
			for _, pod := range []string{"pod-s", "pod-p"} {
				publish(t, s, hub.ConnAddress(pod+".1"), "hello")
			}
			sharded.awaitMessages(t, hub.ConnAddress("pod-s.1"), 1)
			plain.awaitMessages(t, hub.ConnAddress("pod-p.1"), 1)
		})
	}
}

// TestSlots: a lane is looked for where Redis has the slot.
func TestSlots(t *testing.T) {
	c := redistest.StartCluster(t, 0)
	for _, key := range []string{"roost:topic:x", "a{}b", "a{b", "a}b{c}d", "{}", "a{b}{c}", "\x00\xff{ü}", strings.Repeat("long", 1000)} {
		if got, want := redisbroker.SlotOf(key), c.Slot(t, key); int(got) != want {
			t.Errorf("SlotOf(%.20q) = %d, want %d", key, got, want)
		}
	}
}

// TestShardedStartsLater: a broker does not need the cluster to begin, and what comes and goes before is not kept.
func TestShardedStartsLater(t *testing.T) {
	c := redistest.StartCluster(t, 0)
	for _, n := range c.Nodes {
		n.Pause(t)
	}
	p := run(t, open(t, redisbroker.Config{URL: c.URL, PodID: "pod-a", ShardedPubSub: true}))
	stays := make(chan error, 1)
	p.Subscribe("topic:stays", func(err error) { stays <- err })
	gone := make(chan error, 1000)
	for i := range cap(gone) {
		addr := hub.TopicAddress(fmt.Sprint(i))
		p.Subscribe(addr, func(err error) { gone <- err })
		p.Unsubscribe(addr)
		if err := await(t, gone); err == nil {
			t.Fatal("Subscribe that was taken back: got nil, want an error")
		}
	}
	if len(stays) > 0 {
		t.Fatal("Subscribe was confirmed without Redis")
	}
	for _, n := range c.Nodes {
		n.Resume(t)
	}
	if err := await(t, stays); err != nil {
		t.Errorf("Subscribe while the cluster was away: got %v, want nil", err)
	}
	redistest.Eventually(t, "message", func() bool {
		_ = c.Client.SPublish(t.Context(), "roost:topic:stays", "hello").Err() // the cluster may not be ok yet
		return len(p.got("topic:stays")) > 0
	})
	if n := p.Unplaced(); n > 0 {
		t.Errorf("got %d subscriptions that wait for a link, want none", n)
	}
}

// TestShardedFrozenMaster: a master freezes, its replica takes over, and the old one wakes up as a replica. Every topic is
// subscribed once, where it is published.
func TestShardedFrozenMaster(t *testing.T) {
	c := redistest.StartCluster(t, 1)
	p := start(t, redisbroker.Config{URL: c.URL, ShardedPubSub: true})
	const topics = 30
	addr := func(i int) hub.Address { return hub.TopicAddress(fmt.Sprint(i)) }
	subscribeAll(t, p, topics, addr)
	victim, survivor := c.Nodes[0], c.Nodes[1]
	slot := 0 // its first one
	victim.Pause(t)
	redistest.Eventually(t, "another master", func() bool {
		owner := c.Owner(t, slot, survivor)
		return owner != nil && owner != victim
	})
	victim.Resume(t)
	redistest.Eventually(t, "old master that knows", func() bool {
		owner := c.Owner(t, slot, victim)
		return owner != nil && owner != victim
	})
	for i := range topics {
		done := make(chan error, 1)
		p.Subscribe(addr(i), func(err error) { done <- err })
		if err := await(t, done); err != nil {
			t.Fatal(err)
		}
		redistest.Eventually(t, "message for every topic", func() bool {
			err := c.Owner(t, c.Slot(t, "roost:"+string(addr(i))), survivor).Client.SPublish(t.Context(), "roost:"+string(addr(i)), "x").Err()
			return err == nil && slices.Contains(p.got(addr(i)), "x")
		})
	}
	for i := range topics {
		owner := c.Owner(t, c.Slot(t, "roost:"+string(addr(i))), survivor)
		if err := owner.Client.SPublish(t.Context(), "roost:"+string(addr(i)), "last").Err(); err != nil {
			t.Fatal(err)
		}
		redistest.Eventually(t, "last message", func() bool { return slices.Contains(p.got(addr(i)), "last") })
	}
	for i := range topics {
		if got := p.got(addr(i)); strings.Count(strings.Join(got, " "), "last") != 1 {
			t.Errorf("%s got %q, want the last one once", addr(i), got)
		}
	}
}
