package redistest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Sentinel starts a master named "main" and one sentinel that watches it. Stop, Restart, Pause and Resume are the master's.
func Sentinel(t testing.TB) *Server {
	t.Helper()
	s := Start(t)
	p := &process{binary: find(t, "redis-server"), dir: t.TempDir(), port: freePort(t)}
	config := filepath.Join(p.dir, "sentinel.conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor main 127.0.0.1 %d 1\n", p.port, p.dir, s.real.port)
	must(t, os.WriteFile(config, []byte(text), 0o600))
	p.args = []string{config, "--sentinel"}
	t.Cleanup(p.kill)
	p.start(t)

	sentinel := redis.NewSentinelClient(&redis.Options{Addr: p.addr(), Protocol: 2, DisableIdentity: true})
	t.Cleanup(func() { _ = sentinel.Close() })
	Eventually(t, "master known to the sentinel", func() bool {
		addr, err := sentinel.GetMasterAddrByName(context.Background(), "main").Result()
		return err == nil && len(addr) == 2
	})
	return &Server{URL: "redis+sentinel://" + p.addr() + "/main", Client: s.Client, real: s.real}
}
