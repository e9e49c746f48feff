package redistest

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// clusterSize is how many masters a cluster has.
const clusterSize = 3

// slots is how many hash slots a cluster shares out.
const slots = 16384

// Cluster starts three masters with cluster mode on. Stop, Restart, Pause and Resume do not work on it.
func Cluster(t testing.TB) *Server {
	t.Helper()
	c := StartCluster(t, 0)
	return &c.Server
}

// ClusterServer is a Cluster whose nodes can be killed, and whose slots can be moved.
type ClusterServer struct {
	Server
	Nodes []*Node // the masters first
}

// Node is one server of a cluster.
type Node struct {
	Client *redis.Client
	ID     string

	real *process
}

// Addr is host:port.
func (n *Node) Addr() string { return n.real.addr() }

// Kill ends the node as a crash does.
func (n *Node) Kill() { n.real.kill() }

// Restart starts a killed node on the same port.
func (n *Node) Restart(t testing.TB) {
	t.Helper()
	n.real.start(t)
}

// Pause stops the node with SIGSTOP.
func (n *Node) Pause(t testing.TB) {
	t.Helper()
	n.real.signal(t, stopSignal)
}

// Resume lets a paused node go on.
func (n *Node) Resume(t testing.TB) {
	t.Helper()
	n.real.signal(t, contSignal)
}

// StartCluster starts three masters and so many replicas of each.
func StartCluster(t testing.TB, replicas int) *ClusterServer {
	t.Helper()
	ctx := t.Context()
	c := &ClusterServer{}
	var addrs []string
	for i := range clusterSize * (1 + replicas) {
		bus := freePort(t)
		p := newProcess(t, "redis-server", "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus), "--cluster-node-timeout", "2000",
			"--repl-diskless-sync-delay", "0")
		p.start(t)
		n := &Node{real: p, Client: redis.NewClient(&redis.Options{Addr: p.addr(), Protocol: 2, DisableIdentity: true, MaxRetries: -1})}
		t.Cleanup(func() { _ = n.Client.Close() })
		n.ID = n.Client.Do(ctx, "CLUSTER", "MYID").Val().(string)
		c.Nodes, addrs = append(c.Nodes, n), append(addrs, p.addr())
		if i < clusterSize {
			must(t, n.Client.Do(ctx, "CLUSTER", "ADDSLOTSRANGE", slots*i/clusterSize, slots*(i+1)/clusterSize-1).Err())
		}
		if i > 0 {
			must(t, c.Nodes[0].Client.Do(ctx, "CLUSTER", "MEET", "127.0.0.1", p.port, bus).Err())
		}
	}
	Eventually(t, "cluster that is ok on all nodes", func() bool { return c.allOK(ctx) })
	for i := clusterSize; i < len(c.Nodes); i++ {
		must(t, c.Nodes[i].Client.ClusterReplicate(ctx, c.Nodes[i%clusterSize].ID).Err())
	}
	if replicas > 0 {
		Eventually(t, "replicas of all masters", func() bool { return c.allReplicated(ctx, replicas) })
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, Protocol: 2, DisableIdentity: true})
	t.Cleanup(func() { _ = client.Close() })
	c.URL, c.Client = "redis://"+strings.Join(addrs, ","), client
	return c
}

func (c *ClusterServer) allOK(ctx context.Context) bool {
	for _, n := range c.Nodes {
		info, err := n.Client.ClusterInfo(ctx).Result()
		if err != nil || !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d", len(c.Nodes))) {
			return false
		}
	}
	return true
}

// allReplicated tells whether every node knows, and every master has, all replicas.
func (c *ClusterServer) allReplicated(ctx context.Context, replicas int) bool {
	for i, n := range c.Nodes {
		nodes := n.Client.ClusterNodes(ctx).Val()
		if strings.Count(nodes, "slave ")-strings.Count(nodes, "fail") < clusterSize*replicas {
			return false
		}
		info := n.Client.Info(ctx, "replication").Val()
		if i < clusterSize && strings.Count(info, "state=online") < replicas || i >= clusterSize && !strings.Contains(info, "master_link_status:up") {
			return false
		}
	}
	return true
}

// Slot returns the slot of a key or channel.
func (c *ClusterServer) Slot(t testing.TB, key string) int {
	t.Helper()
	slot, err := c.Nodes[0].Client.ClusterKeySlot(t.Context(), key).Result()
	must(t, err)
	return int(slot)
}

// Owner returns the master of a slot, as the node asked knows it; nil if nobody is.
func (c *ClusterServer) Owner(t testing.TB, slot int, asked *Node) *Node {
	t.Helper()
	ranges, err := asked.Client.ClusterSlots(t.Context()).Result()
	must(t, err)
	for _, r := range ranges {
		if slot < r.Start || slot > r.End || len(r.Nodes) == 0 {
			continue
		}
		for _, n := range c.Nodes {
			if n.ID == r.Nodes[0].ID {
				return n
			}
		}
	}
	return nil
}

// MoveSlot moves a slot and its keys to another master, as redis-cli --cluster reshard does, and waits until all nodes know.
func (c *ClusterServer) MoveSlot(t testing.TB, slot int, to *Node) {
	t.Helper()
	ctx := t.Context()
	from := c.Owner(t, slot, to)
	if from == to {
		return
	}
	// A node that does not know of the latest epoch would take the slot with one that another node's old claim beats.
	Eventually(t, "epoch that all nodes know", func() bool { return c.inStep(ctx) })
	must(t, to.Client.Do(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", from.ID).Err())
	must(t, from.Client.Do(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", to.ID).Err())
	host, port, _ := net.SplitHostPort(to.Addr())
	for {
		keys, err := from.Client.ClusterGetKeysInSlot(ctx, slot, 100).Result()
		must(t, err)
		if len(keys) == 0 {
			break
		}
		args := []any{"MIGRATE", host, port, "", 0, 5000, "REPLACE", "KEYS"}
		for _, key := range keys {
			args = append(args, key)
		}
		must(t, from.Client.Do(ctx, args...).Err())
	}
	for _, n := range []*Node{to, from} {
		must(t, n.Client.Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", to.ID).Err())
	}
	for _, n := range c.Nodes {
		if n != to && n != from && n.real.cmd != nil {
			_ = n.Client.Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", to.ID).Err() // replicas refuse it, and hear of it
		}
	}
	Eventually(t, "node that all agree has the slot", func() bool {
		for _, n := range c.Nodes {
			if n.real.cmd != nil && c.Owner(t, slot, n) != to {
				return false
			}
		}
		return true
	})
}

// inStep tells whether all nodes that run know the same epoch.
func (c *ClusterServer) inStep(ctx context.Context) bool {
	epochs := map[string]bool{}
	for _, n := range c.Nodes {
		if n.real.cmd == nil {
			continue
		}
		_, rest, _ := strings.Cut(n.Client.ClusterInfo(ctx).Val(), "cluster_current_epoch:")
		epoch, _, _ := strings.Cut(rest, "\r")
		epochs[epoch] = true
	}
	return len(epochs) == 1
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
