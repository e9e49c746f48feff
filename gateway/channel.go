package gateway

import (
	"encoding/json"
	"slices"

	"roost/auth"
	"roost/hub"
	"roost/phoenix"
)

// channel is one join of one topic on one connection.
type channel struct {
	sub       hub.Subscription
	conn      *conn
	rule      *auth.Rule
	topic     string
	joinRef   phoenix.Ref // as the client sent it, maybe null
	ref       phoenix.Ref // of the join; what is pushed carries it if joinRef is null
	assigns   json.RawMessage
	reason    auth.Reason // why it ended
	number    uint32      // among all joins of the connection, from 1
	state     channelState
	again     *rejoin       // when the backend is asked again, or nil; guarded by conn.mu
	presence  *hub.Presence // what it shows, or nil; guarded by conn.mu
	early     *early        // what waits for its first presence_state; nil when that has been sent, or none will be
	entering  bool          // the hub is asked, or has been
	kicked    bool          // the backend ended it before it was joined
	announced bool          // it should be in the roster
}

type channelState uint8

const (
	joining channelState = iota // the join is not answered yet
	joined
	ended
)

var _ hub.Listener = (*channel)(nil)

// Connection implements [hub.Listener].
func (ch *channel) Connection() string { return ch.conn.client().Connection }

// Deliver implements [hub.Listener]. Until the join reply is sent the gate is closed.
func (ch *channel) Deliver(b *hub.Batch) {
	c := ch.conn
	frames := b.Encode(c.enc)
	c.mu.Lock()
	switch {
	case ch.state != joined:
	case ch.early != nil:
		c.putSome(ch.early.hold(b, c.enc))
	default:
		c.putSome(len(b.Broadcasts), frames)
	}
	c.unlock()
}

// End implements [hub.Listener].
func (ch *channel) End(crash bool) {
	c := ch.conn
	c.revoked()
	c.mu.Lock()
	defer c.unlock()
	c.kick(ch, crash, auth.ReasonKicked)
}

// kick ends a joined channel from this side and tells the client. The caller holds mu.
func (c *conn) kick(ch *channel, crash bool, reason auth.Reason) {
	if ch.state == joining && ch.entering {
		ch.kicked, ch.reason = true, reason // whoever joins it finds out
	}
	if ch.state != joined {
		return
	}
	c.say(ch, reason, c.enc.farewell(ch.joinRef, ch.topic, crash))
}

// say takes ch off the connection and sends last words when it is out of the roster, before anything else of the topic is
// looked at. The caller holds mu.
func (c *conn) say(ch *channel, reason auth.Reason, words []byte) {
	out := make(chan error, 1)
	c.drop(ch, reason, func(err error) { out <- err })
	l := c.line(ch.topic)
	if l == nil {
		l = c.begin(ch.topic)
	} else if l.pushing {
		l.cancel(reason) // a join under way is another channel's
	}
	l.jobs = slices.Insert(l.jobs, 0, job{words: words, out: out})
}

// drop takes ch off the connection. done, unless it is nil, is told when it is out of the roster. The caller holds mu.
func (c *conn) drop(ch *channel, reason auth.Reason, done func(error)) {
	for i, other := range c.channels {
		if other == ch {
			c.channels[i] = c.channels[len(c.channels)-1]
			c.channels[len(c.channels)-1] = nil
			c.channels = c.channels[:len(c.channels)-1]
			break
		}
	}
	c.end(ch, reason, done)
}

// end ends ch. One that is still joining is cleaned up by the goroutine that joins it. The caller holds mu.
func (c *conn) end(ch *channel, reason auth.Reason, done func(error)) {
	was := ch.state
	ch.state, ch.reason = ended, reason
	if was == joined {
		ch.announced = false
		c.gw.cfg.Hub.Leave(&ch.sub, ch.last(), done)
		c.tell(ch)
		if reason == auth.ReasonLeft || reason == auth.ReasonDuplicateJoin {
			c.depart(ch.topic)
		}
	}
}

// leave answers phx_leave. The caller holds mu.
func (c *conn) leave(m *phoenix.Message) {
	ch := c.find(m.Topic)
	switch {
	case ch == nil:
		c.depart(m.Topic) // it may have left before it heard that the channel had ended
		c.put(c.enc.reply(m.JoinRef, m.Ref, m.Topic, phoenix.StatusOK, nil))
	case m.JoinRef != "" && !m.JoinRef.Equal(ch.joinRef):
		c.gw.metrics.stale.Inc()
	default:
		words := c.enc.reply(ch.joinRef.Or(ch.ref), m.Ref, m.Topic, phoenix.StatusOK, nil)
		c.say(ch, auth.ReasonLeft, c.enc.join(words, c.enc.farewell(ch.joinRef, ch.topic, false)))
	}
}

// accept returns the channel that m is for, or answers m and returns nil. The caller holds mu.
func (c *conn) accept(m *phoenix.Message) *channel {
	ch := c.find(m.Topic)
	switch {
	case ch == nil:
		c.unmatched(m)
	case m.JoinRef != "" && !m.JoinRef.Equal(ch.joinRef):
		c.gw.metrics.stale.Inc()
	case m.NoEvent:
		c.refuse(ch.joinRef.Or(ch.ref), m, "event is not a string")
	case len(m.Event) > c.gw.cfg.Limits.MaxEvent:
		c.gw.limited(limitEvent, "connection", c.client().Connection)
		c.refuse(ch.joinRef.Or(ch.ref), m, "event too long")
	case ch.rule.Push == auth.PushDeny:
		c.refuse(ch.joinRef.Or(ch.ref), m, "forbidden")
	default:
		return ch
	}
	return nil
}
