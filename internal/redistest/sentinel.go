package redistest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// SentinelServer is a master named "main" with a replica, and one sentinel that watches them.
type SentinelServer struct {
	Server          // the master
	Replica *Server // takes over when the master has been silent for a second
}

// Sentinel starts a master named "main" and one sentinel that watches it. Stop, Restart, Pause and Resume are the master's.
func Sentinel(t testing.TB) *Server {
	t.Helper()
	s := Start(t)
	watch(t, s, "")
	return s
}

// StartSentinel starts a master, a replica and a sentinel.
func StartSentinel(t testing.TB) *SentinelServer {
	t.Helper()
	s := &SentinelServer{Server: *Start(t), Replica: Start(t, "--repl-diskless-sync-delay", "0")}
	host, port, _ := strings.Cut(s.Addr(), ":")
	must(t, s.Replica.Client.Do(t.Context(), "REPLICAOF", host, port).Err())
	watch(t, &s.Server, "sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n")
	Eventually(t, "replica in step", func() bool {
		return strings.Contains(s.Replica.Client.(*redis.Client).Info(context.Background(), "replication").Val(), "master_link_status:up")
	})
	return s
}

// watch starts a sentinel for s, whose URL from then on leads there.
func watch(t testing.TB, s *Server, settings string) {
	t.Helper()
	p := &process{binary: find(t, "redis-server"), dir: t.TempDir(), port: freePort(t)}
	config := filepath.Join(p.dir, "sentinel.conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor main 127.0.0.1 %d 1\n%s", p.port, p.dir, s.real.port, settings)
	must(t, os.WriteFile(config, []byte(text), 0o600))
	p.args = []string{config, "--sentinel"}
	t.Cleanup(p.kill)
	p.start(t)

	sentinel := redis.NewSentinelClient(&redis.Options{Addr: p.addr(), Protocol: 2, DisableIdentity: true})
	t.Cleanup(func() { _ = sentinel.Close() })
	Eventually(t, "master, and the replica, known to the sentinel", func() bool {
		addr, err := sentinel.GetMasterAddrByName(context.Background(), "main").Result()
		if settings != "" && err == nil {
			replicas, err := sentinel.Replicas(context.Background(), "main").Result()
			return err == nil && len(replicas) == 1
		}
		return err == nil && len(addr) == 2
	})
	s.URL = "redis+sentinel://" + p.addr() + "/main"
}
