package redistest

import (
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// Server is one Redis of the test's own. It is gone when the test ends.
type Server struct {
	// URL is the server's address as a setting: "redis://127.0.0.1:6379".
	URL string
	// Client is for raw commands. It does not know a password.
	Client redis.UniversalClient

	mini *miniredis.Miniredis
	real *process
}

// Each runs test on miniredis and on a real redis-server, as two subtests.
func Each(t *testing.T, test func(t *testing.T, s *Server)) {
	t.Run("miniredis", func(t *testing.T) { test(t, Mini(t)) })
	t.Run("redis-server", func(t *testing.T) { test(t, Start(t)) })
}

// Mini starts a miniredis.
func Mini(t testing.TB) *Server {
	t.Helper()
	m := miniredis.NewMiniRedis()
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return &Server{URL: "redis://" + m.Addr(), Client: newClient(t, m.Addr()), mini: m}
}

// Start starts a real redis-server without persistence. More settings are given as on its command line:
// "--requirepass", "secret".
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	p := newProcess(t, "redis-server", settings...)
	p.start(t)
	return &Server{URL: "redis://" + p.addr(), Client: newClient(t, p.addr()), real: p}
}

// IsReal tells whether it is a redis-server, and not miniredis.
func (s *Server) IsReal() bool { return s.real != nil }

// Addr is host:port.
func (s *Server) Addr() string {
	if s.mini != nil {
		return s.mini.Addr()
	}
	return s.real.addr()
}

// Stop ends the server as a crash does: kill -9, data lost. Miniredis keeps its data.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if s.mini != nil {
		s.mini.Close()
		return
	}
	s.real.kill()
}

// Restart starts a stopped server on the same port.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if s.mini != nil {
		if err := s.mini.Restart(); err != nil {
			t.Fatal(err)
		}
		return
	}
	s.real.start(t)
}

// Pause stops a real server's process with SIGSTOP: its connections stay open and nobody answers.
func (s *Server) Pause(t testing.TB) {
	t.Helper()
	s.real.signal(t, stopSignal)
}

// Resume lets a paused server go on.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	s.real.signal(t, contSignal)
}

func newClient(t testing.TB, addr string) redis.UniversalClient {
	c := redis.NewClient(&redis.Options{Addr: addr, Protocol: 2, DisableIdentity: true})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Eventually waits until ok, for 10 s at most.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("got no %s within a minute", what)
		}
	}
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
