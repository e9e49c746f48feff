package gateway

import (
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"roost/auth"
	"roost/hub"
	"roost/phoenix"
)

// conn is one connection: its channels, the work waiting for them, and the order of what is sent. A transport embeds it
// and gives it an outbox.
type conn struct {
	gw    *Gateway
	who   atomic.Pointer[auth.Client] // see client; it is changed by become
	enc   *encoding
	out   outbox
	trace *trace.SpanContext // that the client's handshake named, or nil

	index    int           // in Gateway.conns; guarded by Gateway.mu
	heard    atomic.Int64  // when the client was last heard, by Gateway.clock
	patience time.Duration // how long it may be silent
	retires  int32         // when it has to come again, in seconds of Gateway.clock; 0 is never

	due atomic.Int64 // when something of it runs out, in Unix ms; 0 is never

	mu         sync.Mutex
	life       *lifetime   // nil if nothing limits it, and it has no token
	channels   []*channel  // joined, or being joined: one per topic
	lines      []*line     // topics with work under way
	inbox      int         // bytes of messages waiting in lines
	pace       *pace       // how fast the client sends, if that is limited
	joins      uint32      // how many there were
	departures *departures // from topics with presence, or nil
	closed     bool
	overflow   bool                // the outbox was too full for a frame
	reason     auth.Reason         // why it was closed
	notices    []*auth.LeaveNotice // for the backend, which is told at unlock if there is no Recorder
}

// An outbox holds what waits to be sent to one connection. Its methods are called with conn.mu held and do not block.
type outbox interface {
	// put queues frames, or returns false if there is no room. It does not change or keep them once they are sent.
	put(frames []byte) bool
	// waiting is how many bytes are queued.
	waiting() int
	// flush is called when nothing more is put for the moment.
	flush()
	// finish closes the connection with code, behind what is queued; at once if code is closeNone.
	finish(code uint16)
	// ended is called last, without mu, when the connection is out of the gateway and its end has been told.
	ended()
}

var _ hub.Peer = (*conn)(nil)

// client is who the client is by its newest token and the newest answer about it. Its connection and socket id are always the same.
func (c *conn) client() *auth.Client { return c.who.Load() }

// put queues frames of this connection. The caller holds mu and releases it by unlock.
func (c *conn) put(frames []byte) {
	c.putSome(1, frames)
}

// putSome queues frames that are n messages. The caller holds mu.
func (c *conn) putSome(n int, frames []byte) {
	if len(frames) == 0 || c.closed || c.overflow {
		return
	}
	if !c.out.put(frames) {
		c.overflow = true
		return
	}
	c.gw.metrics.putOut(n, len(frames))
}

// unlock releases mu and does what could not be done under it.
func (c *conn) unlock() {
	ended, slow := c.notices, c.overflow && !c.closed
	c.notices = nil
	c.out.flush()
	c.mu.Unlock()
	for _, n := range ended {
		c.gw.cfg.Backend.Leave(n)
	}
	if slow {
		c.close(closeTryLater, auth.ReasonSlow)
	}
}

// find returns the channel of topic, or nil. The caller holds mu.
func (c *conn) find(topic string) *channel {
	for _, ch := range c.channels {
		if ch.topic == topic {
			return ch
		}
	}
	return nil
}

// receive takes one message of the client.
func (c *conn) receive(binary bool, body []byte) violation {
	c.gw.metrics.received(len(body))
	m, err := c.enc.version.Decode(body, binary)
	if err != nil {
		return closeInternalError
	}
	c.mu.Lock()
	defer c.unlock()
	if c.closed {
		return 0
	}
	if ok, v := c.admit(&m); !ok {
		return v
	}
	switch {
	case c.renews(&m):
		c.beginRenewal(&m)
	case m.IsHeartbeat():
		c.put(c.enc.reply("", m.Ref, phoenix.TopicPhoenix, phoenix.StatusOK, nil))
	case m.NoTopic != nil:
		c.unmatched(&m)
	default:
		c.dispatch(&m)
	}
	return 0
}

// dispatch does at once what can be done at once, and puts the rest into the topic's line. The caller holds mu.
func (c *conn) dispatch(m *phoenix.Message) {
	if l := c.line(m.Topic); l != nil {
		c.enqueue(l, m)
		return
	}
	switch m.Event {
	case phoenix.EventLeave:
		c.leave(m)
	case phoenix.EventJoin:
		c.enqueue(nil, m)
	default:
		if c.accept(m) != nil {
			c.enqueue(nil, m)
		}
	}
}

// unmatched answers a message whose topic is not there. The caller holds mu.
func (c *conn) unmatched(m *phoenix.Message) {
	c.gw.metrics.unmatched.Inc()
	c.put(c.enc.unmatched(m))
}

// refuse answers m with an error. The caller holds mu.
func (c *conn) refuse(joinRef phoenix.Ref, m *phoenix.Message, reason string) {
	c.put(c.enc.reply(joinRef, m.Ref, m.Topic, phoenix.StatusError, []byte(`{"reason":"`+reason+`"}`)))
}

// close ends the connection, once: its channels, its work, and its place in the gateway. It does not block.
func (c *conn) close(code uint16, reason auth.Reason) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	if reason == auth.ReasonSlow {
		c.gw.metrics.slow.Inc()
	}
	c.closed, c.reason = true, reason
	for _, ch := range c.channels {
		c.end(ch, reason, nil)
	}
	c.channels = nil
	for _, l := range c.lines {
		l.cancel(reason)
	}
	c.out.finish(code)
	last := len(c.lines) == 0
	c.unlock()
	c.gw.forget(c, code, reason)
	if last { // else the last line does it, so that the notices of its channels come before
		c.gw.disconnected(c.client(), reason)
	}
	c.out.ended()
}

// Connection implements [hub.Peer].
func (c *conn) Connection() string { return c.client().Connection }

// Disconnect implements [hub.Peer].
func (c *conn) Disconnect() {
	c.revoked()
	c.close(closeGoingAway, auth.ReasonDisconnected)
}

// revoked says that the backend ended the connection or a channel: what it said before does not hold any more.
func (c *conn) revoked() {
	if c.gw.forgetter != nil && c.client().ID != "" {
		c.gw.forgetter.Forget(c.client().ID)
	}
}

// Push implements [hub.Peer].
func (c *conn) Push(topic, event string, payload []byte, binary bool) {
	c.mu.Lock()
	defer c.unlock()
	if ch := c.find(topic); ch != nil && ch.state == joined {
		c.put(c.enc.push(ch.joinRef.Or(ch.ref), "", topic, event, payload, binary))
	}
}

// EndChannel implements [hub.Peer].
func (c *conn) EndChannel(topic string, crash bool) {
	c.revoked()
	c.mu.Lock()
	defer c.unlock()
	if ch := c.find(topic); ch != nil {
		c.kick(ch, crash, auth.ReasonKicked)
	}
}

// Members implements [hub.Peer].
func (c *conn) Members(yield func(hub.Member) bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.gw.entry(c.client()); !c.closed && m.Notice.Record != "" && !yield(m) {
		return false
	}
	for _, ch := range c.channels {
		if ch.announced && !yield(ch.member()) {
			return false
		}
	}
	return true
}
