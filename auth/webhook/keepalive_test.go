package webhook_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"roost/auth/webhook"
)

// counted counts the TCP connections that a listener accepts.
type counted struct {
	net.Listener
	n atomic.Int64
}

func (c *counted) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.n.Add(1)
	}
	return conn, err
}

func TestConnectionsAreKept(t *testing.T) {
	const limit, rounds = 50, 20
	var round sync.WaitGroup // ends when the backend has all calls of a round
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		round.Done()
		round.Wait()
		io.WriteString(w, `{"status":"ok"}`)
	}))
	listener := &counted{Listener: s.Listener}
	s.Listener = listener
	s.Start()
	t.Cleanup(s.Close)
	c := newClient(t, webhook.Config{URL: s.URL, MaxInFlight: limit, Timeout: patience})
	for range rounds {
		round.Add(limit)
		var joins sync.WaitGroup
		for i := range limit {
			joins.Go(func() {
				if _, err := c.Join(t.Context(), joinOf(fmt.Sprint(i))); err != nil {
					t.Errorf("Join: got %v, want nil", err)
				}
			})
		}
		joins.Wait()
	}
	if got := listener.n.Load(); got != limit {
		t.Errorf("connections for %d rounds of %d calls at once: got %d, want %d", rounds, limit, got, limit)
	}
}
