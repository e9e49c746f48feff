package gateway

import (
	"context"
	"slices"

	"roost/auth"
	"roost/hub"
)

// stateShare is the part of Config.OutboxLimit that a presence_state may take. Of larger ones members get the number only.
const stateShare = 0.75

// Of topics that a client has left, the last few are remembered for a while: see welcome.
const (
	maxDepartures = 8
	departureTime = 60_000 // ms of Gateway.clock
)

// departure is a topic with presence that the client has left or joined anew, and when.
type departure struct {
	topic string
	at    int64
}

// departures are those of one connection, the oldest first. Few have any, so a connection holds a pointer only.
type departures []departure

// depart notes that the client has left a topic, and may join it again. The caller holds mu.
func (c *conn) depart(topic string) {
	if rule := c.gw.cfg.Rules.Match(topic); rule == nil || !rule.Presence || len(topic) > c.gw.cfg.Limits.MaxTopic {
		return
	}
	c.returned(topic)
	if c.departures == nil {
		c.departures = new(departures)
	}
	all := *c.departures
	if len(all) == maxDepartures {
		all = slices.Delete(all, 0, 1)
	}
	*c.departures = append(all, departure{topic, c.gw.clock.Load()})
}

// returned takes out the departure from topic, and tells whether there was one lately. The caller holds mu.
func (c *conn) returned(topic string) bool {
	if c.departures == nil {
		return false
	}
	all := *c.departures
	at := slices.IndexFunc(all, func(d departure) bool { return d.topic == topic })
	if at < 0 {
		return false
	}
	lately := c.gw.clock.Load()-all[at].at < departureTime
	if *c.departures = slices.Delete(all, at, at+1); len(all) == 1 {
		c.departures = nil
	}
	return lately
}

// show does what an answer says about ch's presence, and returns how far that is, or nil if there is nothing to do. The caller
// holds mu.
func (c *conn) show(ch *channel, p *auth.Presence) *hub.Tracking {
	switch {
	case p == nil:
		return nil
	case !ch.rule.Presence:
		c.gw.metrics.undeliverable.WithLabelValues("no_presence").Inc()
		c.gw.cfg.Logger.Warn("presence without a rule", "connection", c.client().Connection, "topic", ch.topic, "rule", ch.rule.Pattern)
		return nil
	case p.None && ch.presence == nil:
		return nil
	case p.None:
		ch.presence = nil
	default:
		next := &hub.Presence{Key: p.Key, Meta: p.Meta, Ref: hub.NewRef()}
		if was := ch.presence; was != nil && was.Key == p.Key {
			next.Prev = was.Ref
		}
		ch.presence = next
	}
	return c.gw.cfg.Hub.Track(&ch.sub, ch.member())
}

// shown waits until what show began is written, and known here.
func (c *conn) shown(ctx context.Context, ch *channel, t *hub.Tracking, p *hub.Presence) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.gw.cfg.CallTimeout)
	defer cancel()
	ref, err := t.Wait(ctx)
	if err != nil {
		if ctx.Err() == nil || context.Cause(ctx) == context.DeadlineExceeded {
			c.gw.metrics.undeliverable.WithLabelValues("presence_failed").Inc()
			c.gw.cfg.Logger.Warn("presence failed", "connection", c.client().Connection, "topic", ch.topic, "err", err)
		}
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p != nil && ch.presence == p && ref != p.Ref {
		adopted := *p
		adopted.Ref = ref
		ch.presence = &adopted
	}
}

// maxEarly is how many bytes of diffs wait for the state of one member. It has in it whatever they say.
const maxEarly = 64 << 10

const eventPresenceDiff = "presence_diff"

// early are the presence_diffs that come before a member has its first state. They are sent behind it: phoenix.js keeps what comes
// before until there is a state, be it that of another connection, where those who had come may have gone.
type early struct {
	frames []byte
	n      int
}

// hold keeps the diffs of b, and returns all else, as e writes it.
func (h *early) hold(b *hub.Batch, e *encoding) (n int, frames []byte) {
	for _, one := range b.Broadcasts {
		if one.Event != eventPresenceDiff {
			n, frames = n+1, e.AppendBroadcast(frames, one)
		} else if h.n, h.frames = h.n+1, e.AppendBroadcast(h.frames, one); len(h.frames) > maxEarly {
			*h = early{}
		}
	}
	return n, frames
}

// welcome sends a member that has joined a topic with presence who is there, once it is shown itself, and then the pushes of
// its join's answer.
//
// A client that left the topic and joins it again gets the state twice. phoenix.js applies what it was told between its join and
// the first state behind that, also what came because of its membership before: there, somebody may have come whose leave
// fell between the two. The second state makes it good.
func (c *conn) welcome(ctx context.Context, ch *channel, answer *auth.Answer) {
	known, cancel := context.WithTimeout(ctx, c.gw.cfg.CallTimeout)
	c.gw.cfg.Hub.AwaitPresence(known, &ch.sub)
	cancel()
	c.mu.Lock()
	var t *hub.Tracking
	if ch.state == joined {
		t = c.show(ch, answer.Presence)
	}
	p := ch.presence
	c.mu.Unlock()
	c.shown(ctx, ch, t, p)
	c.mu.Lock()
	defer c.unlock()
	if ch.state != joined {
		return
	}
	event, payload := c.gw.cfg.Hub.Snapshot(&ch.sub, int(stateShare*float64(c.gw.cfg.OutboxLimit)))
	again := c.returned(ch.topic)
	if event != "" {
		state := c.enc.push(ch.joinRef.Or(ch.ref), "", ch.topic, event, payload, false)
		if c.put(state); again {
			c.put(state)
		}
	}
	c.putSome(ch.early.n, ch.early.frames)
	ch.early = nil
	c.pushes(ch, answer.Pushes)
}

// lingers tells whether a channel whose connection ended so may come back, over another one, without anybody noticing.
func lingers(reason auth.Reason) bool {
	switch reason {
	case auth.ReasonClosed, auth.ReasonInactive, auth.ReasonSlow, auth.ReasonDrained, auth.ReasonError:
		return true
	}
	return false
}
