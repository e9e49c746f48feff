package gateway

import (
	"net"
	"net/http"
	"strconv"
	"time"
)

// parked is the connection of a poll that waits without a goroutine: it was taken out of the HTTP server's hands, which
// frees what the server held for the request, and goes back when the poll is answered. See
// docs/adr/0010-parked-polls.md.
type parked struct {
	poll   *poll
	nc     net.Conn
	fd     int
	poller *poller // watches for the client's end
	garage *garage // takes the connection back
	ahead  []byte  // what the client sent behind the request
	last   bool    // the connection is not to be used again

	done bool // answered, or the client is gone; guarded by poll.mu
}

var _ watched = (*parked)(nil)

// park takes the connection of a poll that waits out of the server's hands, and tells whether it did. That needs
// HTTP/1.1 over a plain socket; anything else is served by a goroutine that waits.
func (p *poll) park(w http.ResponseWriter, r *http.Request) bool {
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	if server == nil || r.TLS != nil || !r.ProtoAtLeast(1, 1) || r.ProtoAtLeast(2, 0) {
		return false
	}
	if _, plain := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); !plain {
		return false
	}
	nc, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return false
	}
	g := p.session.gw
	c := &parked{poll: p, nc: nc, garage: g.garages.of(server), last: r.Close}
	if n := buffered.Reader.Buffered(); n > 0 {
		c.ahead, _ = buffered.Reader.Peek(n)
		c.ahead = append([]byte(nil), c.ahead...)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if raw, fd := rawConn(nc); raw != nil {
		c.fd, c.poller = fd, g.pollers[fd%len(g.pollers)]
		if c.poller.add(c) != nil {
			c.poller = nil // its end is noticed when it is answered
		}
	}
	p.parked = c
	if p.body != nil {
		c.answer(p.body)
	}
	return true
}

// descriptor implements [watched].
func (c *parked) descriptor() int { return c.fd }

// readable implements [watched]: the client is gone, or sends its next request before it has this one's answer.
func (c *parked) readable([]byte) {
	c.poll.mu.Lock()
	some, gone := false, false
	if !c.done {
		if some, gone = peekFD(c.fd); some || gone {
			c.poller.remove(c)
		}
	}
	if gone {
		c.done = true
		_ = c.nc.Close()
	}
	c.poll.mu.Unlock()
	if gone {
		c.poll.session.abandon(c.poll)
	}
}

// answer sends the answer and gives the connection back. It does not block. The caller holds poll.mu.
func (c *parked) answer(body []byte) {
	if c.done {
		return
	}
	c.done = true
	if c.poller != nil {
		c.poller.remove(c)
	}
	c.last = c.last || c.poll.session.gw.isDraining()
	b := make([]byte, 0, 256+len(body))
	b = append(b, "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nCache-Control: no-store\r\n"+
		"Content-Type: application/json; charset=utf-8\r\nDate: "...)
	b = time.Now().UTC().AppendFormat(b, http.TimeFormat)
	if c.last {
		b = append(b, "\r\nConnection: close"...)
	}
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(append(b, "\r\n\r\n"...), body...)
	if c.poller != nil {
		n, err := writeFD(c.fd, b)
		if err != nil {
			_ = c.nc.Close()
			return
		}
		b = b[n:]
	}
	if len(b) == 0 {
		c.giveBack()
		return
	}
	c.poll.session.gw.work.Go(func() { c.write(b) })
}

// write sends what could not be sent at once.
func (c *parked) write(b []byte) {
	_ = c.nc.SetWriteDeadline(time.Now().Add(c.poll.session.gw.cfg.WriteTimeout))
	if _, err := c.nc.Write(b); err != nil {
		_ = c.nc.Close()
		return
	}
	_ = c.nc.SetWriteDeadline(time.Time{})
	c.giveBack()
}

// giveBack lets the server read the next request.
func (c *parked) giveBack() {
	switch {
	case c.last:
		_ = c.nc.Close()
	case len(c.ahead) > 0:
		c.garage.give(&returnedConn{c.nc, c.ahead})
	default:
		c.garage.give(c.nc)
	}
}
