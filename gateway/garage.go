package gateway

import (
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// garage gives connections that were parked back to the HTTP server they came from: to the server it is one more
// listener, whose connections have had requests before.
type garage struct {
	server *http.Server
	wake   chan struct{}

	mu     sync.Mutex
	idle   map[*parked]struct{} // watched until the client sends something
	opaque bool                 // the server's connections are no plain sockets: nothing more is parked
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

// idleDefault is how long a connection is kept without a request if the server does not say.
const idleDefault = 75 * time.Second

// keep adds an idle connection, unless the garage is closed; forget takes it out.
func (g *garage) keep(c *parked) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.idle[c] = struct{}{}
	}
	return !g.closed
}

func (g *garage) isOpaque() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opaque
}

func (g *garage) setOpaque() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opaque = true
}

// unreturned is nc without what was put around it before and is not needed any more.
func unreturned(nc net.Conn) net.Conn {
	if r, ok := nc.(*returnedConn); ok && len(r.ahead) == 0 {
		return r.Conn
	}
	return nc
}

func (g *garage) forget(c *parked) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.idle, c)
}

// sweep closes connections that have been idle for longer than the server allows, or all.
func (g *garage) sweep(now time.Time, all bool) {
	before := now
	if !all {
		limit := g.server.IdleTimeout
		if limit == 0 {
			limit = idleDefault
		}
		before = now.Add(-limit)
	}
	g.mu.Lock()
	idle := slices.Collect(maps.Keys(g.idle))
	g.mu.Unlock()
	for _, c := range idle {
		c.expire(before)
	}
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
	g.closed = true
	for _, nc := range g.back {
		_ = nc.Close()
	}
	g.back = nil
	g.signal()
	g.mu.Unlock()
	g.sweep(time.Now().Add(time.Hour), true) // a client must not send another request into one
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
	g := &garage{server: server, wake: make(chan struct{}, 1), idle: map[*parked]struct{}{}, closed: gs.closed}
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

// sweep closes connections that have been idle for too long, or all.
func (gs *garages) sweep(now time.Time, all bool) {
	for _, g := range gs.all() {
		g.sweep(now, all)
	}
}

func (gs *garages) all() []*garage {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	return slices.Collect(maps.Values(gs.byHTTP))
}

// close gives nothing back any more, closes what is idle, and waits until the servers know it.
func (gs *garages) close() {
	gs.mu.Lock()
	gs.closed = true
	gs.mu.Unlock()
	for _, g := range gs.all() {
		_ = g.Close()
	}
	gs.serving.Wait()
}
