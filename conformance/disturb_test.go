package conformance_test

import (
	"context"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/internal/redistest"
)

// A disturbance is something that happens to a pod, its link or Redis.
type disturbance func(*chaos)

// any picks a pod, and for how long something happens to it.
func (c *chaos) any() (n int, p *randomPod, pause time.Duration) {
	n = c.random.IntN(len(c.pods))
	return n, c.pods[n], time.Duration(c.random.IntN(4000)) * time.Millisecond
}

// away takes a pod out of the service, or brings it back.
func (c *chaos) away(p *randomPod, away bool) {
	p.frozen = away
	c.ready()
}

// kill kills a pod, and starts another one in its place.
func (c *chaos) kill() {
	n, p, pause := c.any()
	c.t.Logf("kill -9 %s", p.id)
	p.signal(c.t, syscall.SIGKILL)
	p.cmd.Wait()
	c.away(p, true)
	c.later(pause)
	c.startPod(n)
	c.away(p, false)
}

// freeze stops a pod for a while.
func (c *chaos) freeze() {
	_, p, pause := c.any()
	pause += leaseTime / 2
	c.t.Logf("SIGSTOP of %s for %v", p.id, pause)
	p.signal(c.t, syscall.SIGSTOP)
	c.away(p, true)
	c.later(pause)
	p.signal(c.t, syscall.SIGCONT)
	c.away(p, false)
}

// restart is a rolling restart of one pod.
func (c *chaos) restart() {
	n, p, _ := c.any()
	c.t.Logf("restart of %s", p.id)
	c.away(p, true)
	p.signal(c.t, syscall.SIGTERM)
	p.ended(c.t)
	c.startPod(n)
	c.away(p, false)
}

// cutLinks lets everything vanish for a while that a pod and Redis send each other.
func cutLinks(proxies []*redistest.Proxy) disturbance {
	return func(c *chaos) {
		n, p, pause := c.any()
		c.t.Logf("the link of %s is cut for %v", p.id, pause)
		proxies[n].Swallow(c.t)
		c.later(pause)
		proxies[n].Heal(c.t)
	}
}

// Redis alone knows what a dead pod had entered until that is told, and a pod alone what it has yet to enter again after Redis lost
// it. Who loses both loses notices, so nothing is flushed before the former is done (told), nor is a pod killed before the latter
// is (entered, rest).

// flush empties Redis.
func (c *chaos) flush() {
	c.told()
	c.t.Log("FLUSHALL")
	if err := c.redis.FlushAll(context.Background()).Err(); err != nil {
		c.t.Fatal(err)
	}
	for _, p := range c.pods {
		c.await("lease of "+p.id, func() bool { return c.redis.ZScore(context.Background(), "roost:pods", p.id).Err() == nil })
	}
	c.later(500 * time.Millisecond)
}

// told goes on with clients until there is nothing of dead pods in Redis.
func (c *chaos) told() {
	ctx := context.Background()
	c.await("end of the sweep of dead pods", func() bool { return c.redis.ZCard(ctx, "roost:pods").Val() == int64(len(c.pods)) })
	for _, p := range c.pods {
		c.await("end of the notices of "+p.id, func() bool { return c.redis.XLen(ctx, "roost:pod:"+p.id+":notices").Val() == 0 })
	}
}

// await goes on with clients until something is so.
func (c *chaos) await(what string, so func() bool) {
	for end := time.Now().Add(calmTime); !so(); c.later(100 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("got no %s within %v", what, calmTime)
		}
	}
}

// later goes on with clients for a while.
func (c *chaos) later(wait time.Duration) {
	for end := time.Now().Add(wait); time.Now().Before(end); {
		c.act(randomTopics)
		time.Sleep(time.Duration(c.random.IntN(100)) * time.Millisecond)
	}
}

// is tells whether a node of a cluster is a master, or a replica in step.
func is(n *redistest.Node, role string) bool {
	info := n.Client.Info(context.Background(), "replication").Val()
	return strings.Contains(info, "role:"+role) && (role == "master" || strings.Contains(info, "master_link_status:up"))
}

// oneOf picks a node of a role.
func (c *chaos) oneOf(s *redistest.ClusterServer, role string) *redistest.Node {
	var found []*redistest.Node
	for _, n := range s.Nodes {
		if is(n, role) {
			found = append(found, n)
		}
	}
	if len(found) == 0 {
		c.t.Fatalf("the cluster has no %s", role)
	}
	return found[c.random.IntN(len(found))]
}

// moveSlots moves the slot of a topic's keys, and that of its channel, to a random master.
func moveSlots(s *redistest.ClusterServer) disturbance {
	return func(c *chaos) {
		topic := c.pick(randomTopics)
		for _, key := range []string{"roost:{" + topic + "}:members", "roost:topic:" + topic} {
			to := c.oneOf(s, "master")
			c.t.Logf("the slot of %s moves to %s", key, to.Addr())
			s.MoveSlot(c.t, s.Slot(c.t, key), to)
			c.later(200 * time.Millisecond)
		}
	}
}

// failOver has a replica take its master's place, in order.
func failOver(s *redistest.ClusterServer) disturbance {
	return func(c *chaos) {
		n := c.oneOf(s, "slave")
		c.t.Logf("failover to %s", n.Addr())
		c.await("new master", func() bool {
			_ = n.Client.Do(context.Background(), "CLUSTER", "FAILOVER").Err() // the cluster gives up after some seconds, if it is busy
			c.later(time.Second)
			return is(n, "master")
		})
	}
}

// flushOne empties one master.
func flushOne(s *redistest.ClusterServer) disturbance {
	return func(c *chaos) {
		c.told()
		n := c.oneOf(s, "master")
		c.t.Logf("FLUSHALL of %s", n.Addr())
		if err := n.Client.FlushAll(context.Background()).Err(); err != nil {
			c.t.Fatal(err)
		}
		c.rest()
	}
}

// crash kills a master that has a replica in step.
func (c *chaos) crash(s *redistest.ClusterServer) {
	c.told()
	replica := c.oneOf(s, "slave")
	addr := replica.Client.Info(context.Background(), "replication").Val()
	for _, n := range s.Nodes {
		if _, port, _ := strings.Cut(n.Addr(), ":"); strings.Contains(addr, "master_port:"+port+"\r") {
			c.t.Logf("kill -9 of the master %s", n.Addr())
			n.Kill()
			c.await("new master", func() bool { return is(replica, "master") })
			c.rest()
			return
		}
	}
	c.t.Fatal("the replica names no master of ours")
}

// promote has a sentinel make the replica the master.
func promote(sentinel string) disturbance {
	return func(c *chaos) {
		c.told()
		s := redis.NewSentinelClient(&redis.Options{Addr: sentinel})
		defer s.Close()
		before := s.GetMasterAddrByName(context.Background(), "main").Val()
		c.t.Logf("Sentinel replaces %v", before)
		c.await("new master", func() bool {
			if after, err := s.GetMasterAddrByName(context.Background(), "main").Result(); err == nil && !slices.Equal(after, before) {
				return true
			}
			_ = s.Failover(context.Background(), "main").Err() // refused while one is under way, or the replica is not known
			return false
		})
		c.rest()
	}
}
