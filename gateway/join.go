package gateway

import (
	"context"
	"errors"
	"time"

	"roost/auth"
	"roost/hub"
	"roost/phoenix"
)

// join does one phx_join, from the old channel's end to what follows the reply. It blocks while the backend and the hub
// are asked.
func (c *conn) join(ctx context.Context, m *phoenix.Message) {
	ch, farewell := c.reserve(m)
	if ch == nil {
		return
	}
	began := time.Now()
	ctx, span := c.span(ctx, "roost.join", m.Topic, m.Event)
	defer func() {
		span.End()
		c.gw.metrics.joinSeconds.Observe(time.Since(began).Seconds())
	}()
	c.mu.Lock()
	q := c.question(ch)
	c.mu.Unlock()
	answer, err := c.authorise(ctx, ch, m, q)
	if errors.Is(err, auth.ErrLate) {
		c.mu.Lock()
		c.setReason(ctx, ch)
		if m := ch.last(); m.Notice.Record != "" { // it may have said ok
			m.Lingers = false
			c.gw.cfg.Hub.Tell(m)
		}
		c.tell(ch)
		c.unlock()
	}
	if err != nil {
		c.joinFailed(ctx, ch, m, farewell, err)
		return
	}
	if answer.Status != phoenix.StatusOK {
		c.joinFailed(ctx, ch, m, farewell, &auth.Refusal{Response: answer.Response, Binary: answer.Binary})
		return
	}
	c.mu.Lock()
	c.learn(ch, q, answer.Assigns)
	c.mu.Unlock()
	if err = c.enter(ctx, ch); err != nil {
		c.undo(ctx, ch)
		c.joinFailed(ctx, ch, m, farewell, err)
		return
	}
	if c.open(ctx, ch, m, answer, farewell) {
		if ch.rule.Presence {
			c.welcome(ctx, ch, answer)
		}
		c.broadcast(ctx, ch, answer.Broadcasts, false)
	}
}

// reserve makes a place for the new channel, which ends the one before it, or answers m and returns nil. farewell is the
// old channel's phx_close: it is sent behind the reply to m.
func (c *conn) reserve(m *phoenix.Message) (ch *channel, farewell []byte) {
	c.mu.Lock()
	defer c.unlock()
	if c.closed {
		return nil, nil
	}
	rule := c.gw.cfg.Rules.Match(m.Topic)
	if old := c.find(m.Topic); old != nil {
		farewell = c.enc.farewell(old.joinRef, old.topic, false)
		c.drop(old, auth.ReasonDuplicateJoin, nil)
	}
	var result string
	switch {
	case rule == nil, !c.gw.cfg.Hub.Takes(m.Topic):
		result = "unmatched"
		c.unmatched(m)
	case len(m.Topic) > c.gw.cfg.Limits.MaxTopic:
		result = "refused"
		c.gw.limited(limitTopic, "connection", c.client().Connection)
		c.refuse(m.JoinRef, m, "topic too long")
	case len(c.channels) >= c.gw.cfg.MaxChannels:
		result = "too_many"
		c.gw.limited(limitChannels, "connection", c.client().Connection)
		c.refuse(m.JoinRef, m, "too many channels joined")
	case rule.Join == auth.JoinDeny:
		result = "refused"
		c.refuse(m.JoinRef, m, "forbidden")
	default:
		c.joins++
		ch = &channel{conn: c, rule: rule, topic: m.Topic, joinRef: m.JoinRef, ref: m.Ref, number: c.joins, assigns: c.client().Assigns}
		if rule.Presence {
			ch.early = new(early)
		}
		c.channels = append(c.channels, ch)
		return ch, farewell
	}
	c.gw.metrics.joins.WithLabelValues(result).Inc()
	c.put(farewell)
	return nil, nil
}

// authorise asks whoever decides on the join.
func (c *conn) authorise(ctx context.Context, ch *channel, m *phoenix.Message, q question) (*auth.Answer, error) {
	switch ch.rule.Join {
	case auth.JoinAllow:
		return &auth.Answer{Status: phoenix.StatusOK}, nil
	case auth.JoinToken:
		return &auth.Answer{Status: phoenix.StatusOK}, c.letIn(m.Topic)
	}
	answer, err := c.gw.cfg.Backend.Join(ctx, &auth.JoinRequest{
		Client: q.client, Topic: m.Topic, JoinRef: m.JoinRef, Ref: m.Ref, Payload: m.Payload, Binary: m.Binary, Assigns: q.assigns,
	})
	if err == nil && answer == nil {
		err = errNoAnswer
	}
	return answer, err
}

var errNoAnswer = errors.New("gateway: the backend answered nothing")

// enter makes ch a member. What it began is ended by undo or by end.
func (c *conn) enter(ctx context.Context, ch *channel) error {
	c.mu.Lock()
	entry := ch.member()
	ch.entering, ch.announced = true, !entry.Unlisted || entry.Tracked || entry.Notice.Record != ""
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, c.gw.cfg.CallTimeout)
	defer cancel()
	return c.gw.cfg.Hub.Join(ctx, &ch.sub, ch, entry, ch.announced)
}

// undo takes back what the backend and the hub did for a join that did not come to be.
func (c *conn) undo(ctx context.Context, ch *channel) {
	c.mu.Lock()
	defer c.unlock()
	c.setReason(ctx, ch)
	ch.announced = false
	m := ch.last()
	if ch.rule.Join == auth.JoinWebhook {
		c.tell(ch)
	} else {
		m.Notice = hub.Notice{} // nobody has been asked
	}
	c.gw.cfg.Hub.Leave(&ch.sub, m, nil)
}

// setReason says why a join did not come to be: its call was cancelled, or something failed. The caller holds mu.
func (c *conn) setReason(ctx context.Context, ch *channel) {
	var why cancelled
	switch {
	case ch.state != joining || ch.kicked: // end or kick has said
	case errors.As(context.Cause(ctx), &why):
		ch.reason = auth.Reason(why)
	default:
		ch.reason = auth.ReasonError
	}
}

// errKicked means that the backend ended a channel that was about to open.
var errKicked = errors.New("gateway: kicked while joining")

// open answers the join and opens the channel's gate, unless the join was cancelled meanwhile.
func (c *conn) open(ctx context.Context, ch *channel, m *phoenix.Message, answer *auth.Answer, farewell []byte) bool {
	c.mu.Lock()
	if ctx.Err() != nil || ch.state != joining || ch.kicked {
		c.mu.Unlock()
		c.undo(ctx, ch)
		c.joinFailed(ctx, ch, m, farewell, errKicked)
		return false
	}
	ch.state = joined
	c.limit(ch, m, answer)
	c.gw.metrics.joins.WithLabelValues("ok").Inc()
	c.reply(m.JoinRef, m, phoenix.StatusOK, answer.Response, answer.Binary)
	c.put(farewell)
	if !ch.rule.Presence {
		if answer.Presence != nil {
			c.show(ch, answer.Presence) // says that there is no rule
		}
		c.pushes(ch, answer.Pushes)
	}
	c.unlock()
	return true
}

// joinFailed gives the place back and answers m, unless the client left or joined again meanwhile.
func (c *conn) joinFailed(ctx context.Context, ch *channel, m *phoenix.Message, farewell []byte, err error) {
	c.mu.Lock()
	defer c.unlock()
	if ch.state == joining {
		c.drop(ch, auth.ReasonError, nil)
	}
	var why cancelled
	var refusal *auth.Refusal
	failSpan(ctx, err)
	switch {
	case errors.As(context.Cause(ctx), &why):
		c.gw.metrics.joins.WithLabelValues("cancelled").Inc()
	case errors.As(err, &refusal):
		c.gw.metrics.joins.WithLabelValues("refused").Inc()
		c.reply(m.JoinRef, m, phoenix.StatusError, refusal.Reply(), refusal.Binary)
	default:
		c.gw.metrics.joins.WithLabelValues("crashed").Inc()
		c.gw.cfg.Logger.Warn("join crashed", "connection", c.client().Connection, "topic", m.Topic, "err", err)
		c.refuse(m.JoinRef, m, "join crashed")
	}
	c.put(farewell)
}

// reply answers m with JSON or data. The caller holds mu.
func (c *conn) reply(joinRef phoenix.Ref, m *phoenix.Message, status string, response []byte, binary bool) {
	if binary {
		c.put(c.enc.binaryReply(joinRef, m.Ref, m.Topic, status, response))
		return
	}
	c.put(c.enc.reply(joinRef, m.Ref, m.Topic, status, response))
}

// pushes sends events to ch only. The caller holds mu.
func (c *conn) pushes(ch *channel, pushes []auth.Push) {
	for i := range pushes {
		p := &pushes[i]
		c.put(c.enc.push(ch.joinRef.Or(ch.ref), p.Ref, ch.topic, p.Event, p.Payload, p.Binary))
	}
}

// broadcast publishes what a backend's answer says, in order. With wait, it returns when the last one that this channel
// gets has passed it.
func (c *conn) broadcast(ctx context.Context, ch *channel, list []auth.Broadcast, wait bool) {
	last := -1
	for i, b := range list {
		if wait && !b.From && (b.Topic == "" || b.Topic == ch.topic) {
			last = i
		}
	}
	ctx, cancel := context.WithTimeout(ctx, c.gw.cfg.CallTimeout)
	defer cancel()
	for i, b := range list {
		out := hub.Broadcast{Topic: b.Topic, Event: b.Event, Payload: b.Payload, Binary: b.Binary}
		if out.Topic == "" {
			out.Topic = ch.topic
		}
		if b.From {
			out.Except = c.client().Connection
		}
		var self *hub.Subscription
		if i == last {
			self = &ch.sub
		}
		spanned, span := c.child(ctx, "roost.broadcast", out.Topic, out.Event)
		err := c.gw.cfg.Hub.Publish(spanned, out, self)
		failSpan(spanned, err)
		span.End()
		if errors.As(err, new(cancelled)) {
			return // the channel has ended
		}
		if err != nil {
			c.gw.metrics.undeliverable.WithLabelValues("publish_failed").Inc()
			c.gw.cfg.Logger.Warn("broadcast failed", "connection", c.client().Connection, "topic", out.Topic, "event", out.Event, "err", err)
		}
	}
}
