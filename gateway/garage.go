package gateway

import (
	"net"
	"net/http"
	"sync"
)

// garage gives connections that were parked back to the HTTP server they came from: to the server it is one more
// listener, whose connections have had requests before.
type garage struct {
	wake chan struct{}

	mu     sync.Mutex
	back   []net.Conn
	closed bool
}

var _ net.Listener = (*garage)(nil)

// give hands a connection back. It does not block. After Close the connection is closed.
func (g *garage) give(nc net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		_ = nc.Close()
		return
	}
	g.back = append(g.back, nc)
	g.signal()
}

func (g *garage) signal() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// Accept implements [net.Listener].
func (g *garage) Accept() (net.Conn, error) {
	for {
		g.mu.Lock()
		if g.closed {
			g.mu.Unlock()
			return nil, net.ErrClosed
		}
		if n := len(g.back); n > 0 {
			nc := g.back[n-1]
			g.back[n-1] = nil
			g.back = g.back[:n-1]
			g.mu.Unlock()
			return nc, nil
		}
		g.back = nil
		g.mu.Unlock()
		<-g.wake
	}
}

// Close implements [net.Listener].
func (g *garage) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for _, nc := range g.back {
		_ = nc.Close()
	}
	g.back = nil
	g.signal()
	return nil
}

// Addr implements [net.Listener].
func (g *garage) Addr() net.Addr { return garageAddr{} }

type garageAddr struct{}

func (garageAddr) Network() string { return "garage" }
func (garageAddr) String() string  { return "returned connections" }

// returnedConn is a connection from which something was read already.
type returnedConn struct {
	net.Conn
	ahead []byte
}

// Read implements [net.Conn].
func (c *returnedConn) Read(b []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(b, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// garages are the garages of the servers that the gateway is mounted in: one, as a rule.
type garages struct {
	serving sync.WaitGroup

	mu     sync.Mutex
	byHTTP map[*http.Server]*garage
	closed bool
}

// of returns the garage of a server, which is opened on first use.
func (gs *garages) of(server *http.Server) *garage {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if g := gs.byHTTP[server]; g != nil {
		return g
	}
	g := &garage{wake: make(chan struct{}, 1), closed: gs.closed}
	if gs.byHTTP == nil {
		gs.byHTTP = map[*http.Server]*garage{}
	}
	gs.byHTTP[server] = g
	if !gs.closed {
		// It returns when the server is shut down or the garages are closed.
		gs.serving.Go(func() { _ = server.Serve(g) })
	}
	return g
}

// close gives nothing back any more, and waits until the servers know it.
func (gs *garages) close() {
	gs.mu.Lock()
	gs.closed = true
	for _, g := range gs.byHTTP {
		_ = g.Close()
	}
	gs.mu.Unlock()
	gs.serving.Wait()
}
