package redistest

import (
	"context"
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
	ctx := t.Context()
	var addrs []string
	var nodes []*redis.Client
	for i := range clusterSize {
		bus := freePort(t)
		p := newProcess(t, "redis-server", "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus), "--cluster-node-timeout", "2000")
		p.start(t)
		node := redis.NewClient(&redis.Options{Addr: p.addr(), Protocol: 2, DisableIdentity: true})
		t.Cleanup(func() { _ = node.Close() })
		nodes, addrs = append(nodes, node), append(addrs, p.addr())
		must(t, node.Do(ctx, "CLUSTER", "ADDSLOTSRANGE", slots*i/clusterSize, slots*(i+1)/clusterSize-1).Err())
		if i > 0 {
			must(t, nodes[0].Do(ctx, "CLUSTER", "MEET", "127.0.0.1", p.port, bus).Err())
		}
	}
	Eventually(t, "cluster that is ok on all nodes", func() bool { return allOK(ctx, nodes) })
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, Protocol: 2, DisableIdentity: true})
	t.Cleanup(func() { _ = client.Close() })
	return &Server{URL: "redis://" + strings.Join(addrs, ","), Client: client}
}

func allOK(ctx context.Context, nodes []*redis.Client) bool {
	for _, node := range nodes {
		info, err := node.ClusterInfo(ctx).Result()
		if err != nil || !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:3") {
			return false
		}
	}
	return true
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
