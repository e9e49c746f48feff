package gateway

import (
	"net"
	"net/http"
	"strconv"
	"time"
)

// parked is the connection of a poll that waits without a goroutine: it was taken out of the HTTP server's hands, which
// frees what the server held for the request, and goes back when the client sends the next one. See
// docs/adr/0010-parked-polls.md.
type parked struct {
	poll   *poll
	nc     net.Conn
	fd     int
	poller *poller // watches for what the client sends, and for its end; nil if there is none that can
	garage *garage // takes the connection back
	ahead  []byte  // what the client sent behind the request
	last   bool    // the connection is not to be used again

	state parkedState // guarded by poll.mu
	since time.Time   // when it became idle; guarded by poll.mu
}

type parkedState uint8

const (
	holding parkedState = iota // the poll is not answered yet
	eager                      // likewise, and the client has sent something already
	writing                    // the answer is on its way
	idle                       // answered: the next request is awaited
	left                       // given back, or closed
)

var _ watched = (*parked)(nil)

// park takes the connection of a poll that waits out of the server's hands, and tells whether it did. That needs
// HTTP/1.1 over a plain socket, and no body, which would be taken for the next request; anything else is served by a goroutine
// that waits. That a listener wraps its connections is found out with the first one.
func (p *poll) park(w http.ResponseWriter, r *http.Request) bool {
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	if server == nil || r.ContentLength != 0 || r.TLS != nil || !r.ProtoAtLeast(1, 1) || r.ProtoAtLeast(2, 0) {
		return false
	}
	if _, plain := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); !plain {
		return false
	}
	home := p.session.gw.garages.of(server)
	if home.isOpaque() {
		return false
	}
	nc, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return false
	}
	g := p.session.gw
	c := &parked{poll: p, nc: nc, garage: home, last: r.Close}
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
	} else {
		home.setOpaque()
	}
	p.parked = c
	if p.body != nil {
		c.answer(p.body)
	}
	return true
}

// descriptor implements [watched].
func (c *parked) descriptor() int { return c.fd }

// readable implements [watched]: the client is gone, or sends its next request.
func (c *parked) readable([]byte) {
	c.poll.mu.Lock()
	some, gone := peekFD(c.fd)
	held := c.state == holding
	switch {
	case !some && !gone, c.state == left:
	case gone && c.state != writing:
		c.leave()
		_ = c.nc.Close()
	case c.state == idle:
		c.leave()
		c.garage.give(c.nc)
	default: // not before this one is answered
		c.poller.remove(c)
		if held {
			c.state = eager
		}
	}
	c.poll.mu.Unlock()
	if gone && held {
		c.poll.session.abandon(c.poll)
	}
}

// leave ends watching. The caller holds poll.mu.
func (c *parked) leave() {
	if c.state == idle {
		c.garage.forget(c)
	}
	c.state = left
	if c.poller != nil {
		c.poller.remove(c)
	}
}

// answer sends the answer, and tells whether there was anybody to send it to. It does not block. The caller holds poll.mu.
func (c *parked) answer(body []byte) bool {
	if c.state == left {
		return false
	}
	c.last = c.last || c.poll.session.gw.retiring.Load()
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
			c.leave()
			_ = c.nc.Close()
			return false
		}
		b = b[n:]
	}
	if len(b) == 0 {
		c.rest()
		return true
	}
	if c.state == eager {
		c.last = true // rare enough not to be worth a state: the client connects again
	}
	c.state = writing
	c.poll.session.gw.work.start(func() { c.write(b) })
	return true
}

// write sends what could not be sent at once.
func (c *parked) write(b []byte) {
	var err error
	for len(b) > 0 && err == nil {
		n := min(len(b), writeChunk)
		_ = c.nc.SetWriteDeadline(time.Now().Add(c.poll.session.gw.cfg.WriteTimeout))
		_, err = c.nc.Write(b[:n])
		b = b[n:]
	}
	_ = c.nc.SetWriteDeadline(time.Time{})
	c.poll.mu.Lock()
	defer c.poll.mu.Unlock()
	if err != nil {
		c.leave()
		_ = c.nc.Close()
		return
	}
	if c.poller != nil {
		c.poller.remove(c)
		c.poller = nil // what came meanwhile is for the server to find
	}
	c.rest()
}

// rest is what follows an answer: the connection is closed, given back because there is something to read, or watched until
// there is. The caller holds poll.mu.
func (c *parked) rest() {
	c.poll.body = nil
	switch {
	case c.last:
		c.leave()
		_ = c.nc.Close()
	case len(c.ahead) > 0:
		c.leave()
		c.garage.give(&returnedConn{unreturned(c.nc), c.ahead})
	case c.poller == nil || c.state == eager:
		c.leave()
		c.garage.give(c.nc)
	default:
		c.state, c.since = idle, time.Now()
		if !c.garage.keep(c) {
			c.leave()
			_ = c.nc.Close()
		}
	}
}

// expire closes the connection if it has been idle since before.
func (c *parked) expire(before time.Time) {
	c.poll.mu.Lock()
	defer c.poll.mu.Unlock()
	if c.state == idle && c.since.Before(before) {
		c.leave()
		_ = c.nc.Close()
	}
}
