package gateway

import (
	"time"

	"roost/phoenix"
)

// pace is how fast one client sends. It is there once the client has sent something, if that is limited.
type pace struct {
	messages, joins bucket
	ignored         bucket // what it sent although it was told
}

// admit tells whether m may be looked at. If a limit forbids it, m is answered. A client that goes on regardless is closed:
// after as many messages too many as the limit allows at once. Leaves and heartbeats are never refused, but count.
// The caller holds mu.
func (c *conn) admit(m *phoenix.Message) (ok bool, v violation) {
	g := c.gw
	if most := g.cfg.Limits.MaxPayload; most > 0 && len(m.Payload) > most && !unrefusable(m) {
		g.limited(limitPayload, "connection", c.client().Connection)
		c.refuse(m.JoinRef, m, "payload too large")
		return false, 0
	}
	if g.messages.step == 0 && g.joins.step == 0 {
		return true, 0
	}
	if c.pace == nil {
		c.pace = new(pace)
	}
	now := time.Since(g.door.began)
	l, of, reason := limitMessages, g.messages, "too many messages"
	within := of.step == 0 || c.pace.messages.take(of, now)
	if within && m.Event == phoenix.EventJoin && g.joins.step > 0 {
		l, of, reason = limitJoins, g.joins, "too many joins"
		within = c.pace.joins.take(of, now)
	}
	if within {
		return true, 0
	}
	g.limited(l, "connection", c.client().Connection)
	if !c.pace.ignored.take(of.patient(), now) {
		return false, closePolicy
	}
	if unrefusable(m) {
		return true, 0
	}
	c.refuse(m.JoinRef, m, reason)
	return false, 0
}

// unrefusable tells whether a "no" would do more harm than m does: a client that leaves is gone whatever the answer says.
func unrefusable(m *phoenix.Message) bool {
	return m.Event == phoenix.EventLeave || m.IsHeartbeat() || m.NoTopic != nil
}
