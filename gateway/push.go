package gateway

import (
	"context"
	"errors"
	"strings"

	"roost/auth"
	"roost/hub"
	"roost/internal/rawjson"
	"roost/phoenix"
)

// push does what the rule says with one event of the client. It blocks while the backend or the hub is asked.
func (c *conn) push(ctx context.Context, m *phoenix.Message) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	var ch *channel
	if c.renews(m) { // it came while the channel was being joined
		c.beginRenewal(m)
	} else {
		ch = c.accept(m)
	}
	var q question
	if ch != nil {
		q = c.question(ch)
	}
	c.unlock()
	if ch == nil {
		return
	}
	ctx, span := c.span(ctx, "roost.push", m.Topic, m.Event)
	defer span.End()
	switch ch.rule.Push {
	case auth.PushWebhook:
		c.pushToBackend(ctx, ch, m, q)
	case auth.PushBroadcast, auth.PushBroadcastFrom:
		c.pushToMembers(ctx, ch, m)
	case auth.PushStream:
		c.pushToStream(ctx, ch, m)
	}
}

// pushToBackend asks the backend and does what it answers: broadcasts, reply, pushes, stop.
func (c *conn) pushToBackend(ctx context.Context, ch *channel, m *phoenix.Message, q question) {
	answer, err := c.gw.cfg.Backend.Push(ctx, &auth.PushRequest{
		Client: q.client, Topic: m.Topic, JoinRef: ch.joinRef, Ref: m.Ref, Event: m.Event, Payload: m.Payload, Binary: m.Binary, Assigns: q.assigns,
	})
	if ctx.Err() != nil {
		return // the client left, joined again or is gone
	}
	if err != nil || answer == nil {
		failSpan(ctx, err)
		var refusal *auth.Refusal
		if errors.As(err, &refusal) {
			c.answer(ch, m, phoenix.StatusError, refusal.Reply(), refusal.Binary)
			return
		}
		c.gw.cfg.Logger.Warn("push failed", "connection", c.client().Connection, "topic", m.Topic, "event", m.Event, "err", err)
		c.answer(ch, m, phoenix.StatusError, []byte(`{"reason":"backend unavailable"}`), false)
		return
	}
	c.broadcast(ctx, ch, answer.Broadcasts, answer.Status != "" || len(answer.Pushes) > 0 || answer.Stop != auth.StopNot)
	c.mu.Lock()
	if ch.state == joined {
		t := c.show(ch, answer.Presence)
		p := ch.presence
		c.mu.Unlock()
		c.shown(ctx, ch, t, p)
		c.mu.Lock()
	}
	defer c.unlock()
	if ch.state != joined {
		return
	}
	c.learn(ch, q, answer.Assigns)
	c.limit(ch, nil, answer)
	if answer.Status != "" {
		c.reply(ch.joinRef.Or(ch.ref), m, answer.Status, answer.Response, answer.Binary)
	}
	c.pushes(ch, answer.Pushes)
	switch answer.Stop {
	case auth.StopClose:
		c.kick(ch, false, auth.ReasonKicked)
	case auth.StopError:
		c.kick(ch, true, auth.ReasonError)
	}
}

// answer replies to m, if its channel is still joined.
func (c *conn) answer(ch *channel, m *phoenix.Message, status string, response []byte, binary bool) {
	c.mu.Lock()
	defer c.unlock()
	if ch.state == joined {
		c.reply(ch.joinRef.Or(ch.ref), m, status, response, binary)
	}
}

// pushToMembers publishes the event as it is.
func (c *conn) pushToMembers(ctx context.Context, ch *channel, m *phoenix.Message) {
	if reason := unfit(m); reason != "" {
		c.answer(ch, m, phoenix.StatusError, []byte(`{"reason":"`+reason+`"}`), false)
		return
	}
	b := hub.Broadcast{Topic: ch.topic, Event: m.Event, Payload: m.Payload, Binary: m.Binary}
	self := &ch.sub
	if ch.rule.Push == auth.PushBroadcastFrom {
		b.Except, self = c.client().Connection, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.gw.cfg.CallTimeout)
	defer cancel()
	ctx, span := c.child(ctx, "roost.broadcast", b.Topic, b.Event)
	defer span.End()
	err := c.gw.cfg.Hub.Publish(ctx, b, self)
	failSpan(ctx, err)
	c.stored(ch, m, err)
}

// unfit tells why a client's event cannot be broadcast, or "". Events that steer clients are the gateway's own.
func unfit(m *phoenix.Message) string {
	switch {
	case strings.HasPrefix(m.Event, "phx_"), strings.HasPrefix(m.Event, "presence_"):
		return "event is reserved"
	case m.Event == "":
		return "event is empty"
	case !m.Binary && !rawjson.IsObject(m.Payload):
		return "payload is not an object"
	}
	return ""
}

// pushToStream appends the event to the stream that a consumer reads.
func (c *conn) pushToStream(ctx context.Context, ch *channel, m *phoenix.Message) {
	ctx, cancel := context.WithTimeout(ctx, c.gw.cfg.CallTimeout)
	defer cancel()
	c.stored(ch, m, c.gw.cfg.Hub.Append(ctx, hub.StreamEntry{
		Connection: c.client().Connection, ID: c.client().ID, Topic: ch.topic, JoinRef: ch.joinRef.JSON(), Ref: m.Ref.JSON(),
		Event: m.Event, Payload: m.Payload, Binary: m.Binary,
	}))
}

// stored answers an event that was handed to Redis.
func (c *conn) stored(ch *channel, m *phoenix.Message, err error) {
	var why cancelled
	switch {
	case err == nil:
		c.answer(ch, m, phoenix.StatusOK, nil, false)
	case errors.As(err, &why): // the client left, joined again or is gone
	case errors.Is(err, hub.ErrTooLarge):
		c.answer(ch, m, phoenix.StatusError, []byte(`{"reason":"message too large"}`), false)
	default:
		c.gw.cfg.Logger.Warn("push failed", "connection", c.client().Connection, "topic", m.Topic, "event", m.Event, "err", err)
		c.answer(ch, m, phoenix.StatusError, []byte(`{"reason":"unavailable"}`), false)
	}
}
