package gateway

import (
	"context"
	"net/http"
	"sync"
	"time"

	"roost/auth"
)

// banTimeout bounds how long the list of bans is asked.
const banTimeout = time.Second

// errBanned is the answer to a client whose socket id is on the list.
var errBanned = &rejection{status: http.StatusForbidden, reason: "banned"}

// unproven are connections that were let in while the list of bans could not be read.
type unproven struct {
	mu      sync.Mutex
	conns   []*conn
	proving bool
}

// banned tells whether a client's socket id may not connect. It is asked when the socket id is subscribed already: who bans
// it first and disconnects it then meets every connection, here or there. While the list cannot be read c is let in, and
// looked up later.
func (g *Gateway) banned(ctx context.Context, c *conn) bool {
	if g.cfg.Bans == nil || c.client().ID == "" {
		return false
	}
	if !g.cfg.Hub.Ready() {
		g.doubt(c)
		return false
	}
	banned, err := g.lookUpBan(ctx, c.client())
	if err != nil {
		g.doubt(c)
		return false
	}
	return banned
}

// lookUpBan asks whether a client is banned. It blocks, for banTimeout at most.
func (g *Gateway) lookUpBan(ctx context.Context, client *auth.Client) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, banTimeout)
	defer cancel()
	banned, err := g.cfg.Bans.Banned(ctx, client.ID)
	if err != nil {
		g.cfg.Logger.Warn("bans unknown", "connection", client.Connection, "err", err)
	}
	if banned {
		g.cfg.Logger.Warn("banned socket id refused", "id", client.ID, "connection", client.Connection)
	}
	return banned, err
}

// doubt puts off the question about c.
func (g *Gateway) doubt(c *conn) {
	g.unproven.mu.Lock()
	defer g.unproven.mu.Unlock()
	g.unproven.conns = append(g.unproven.conns, c)
}

// prove looks up those who were let in unproven, if the link is back. It does not block.
func (g *Gateway) prove() {
	u := &g.unproven
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.conns) == 0 || u.proving || !g.cfg.Hub.Ready() || g.leaving.Err() != nil {
		return
	}
	conns := u.conns
	u.conns, u.proving = nil, true
	g.work.start(func() {
		for _, c := range conns {
			if c.hasEnded() {
				continue
			}
			if banned, err := g.lookUpBan(g.leaving, c.client()); err != nil {
				g.doubt(c)
			} else if banned {
				c.Disconnect()
			}
		}
		u.mu.Lock()
		defer u.mu.Unlock()
		u.proving = false
	})
}

// hasEnded tells whether the connection is closed.
func (c *conn) hasEnded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}
