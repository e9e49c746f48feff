package gateway

import (
	"bytes"
	"encoding/json"
	"time"

	"roost/auth"
	"roost/hub"
)

// The backend is told of the ends of channels and connections: by what the roster keeps, where there is a Recorder, so that
// another pod can do it when this one is gone; otherwise by a call.

// notice is what there is to tell of the channel's end.
func (ch *channel) notice() *auth.LeaveNotice {
	return &auth.LeaveNotice{
		Client: ch.conn.client(), Topic: ch.topic, JoinRef: ch.joinRef, Number: ch.number, Assigns: ch.assigns, Reason: ch.reason,
	}
}

// member returns the channel's entry in the roster.
func (ch *channel) member() hub.Member {
	m := hub.Member{
		Topic: ch.topic, Connection: ch.conn.client().Connection, JoinRef: ch.joinRef.JSON(), Unlisted: !ch.rule.Members,
		Tracked: ch.rule.Presence, Presence: ch.presence,
	}
	if r := ch.conn.gw.cfg.Recorder; r != nil {
		m.Notice.Record = r.RecordLeave(ch.notice())
	}
	return m
}

// last returns the channel's entry as it is taken back, with the reason.
func (ch *channel) last() hub.Member {
	m := ch.member()
	m.Notice.Reason, m.Notice.At, m.Lingers = string(ch.reason), time.Now(), ch.conn.closed && lingers(ch.reason)
	return m
}

// tell tells the backend of the channel's end at unlock, unless the roster does. The caller holds mu.
func (c *conn) tell(ch *channel) {
	if c.gw.cfg.Backend != nil && c.gw.cfg.Recorder == nil {
		c.notices = append(c.notices, ch.notice())
	}
}

// remember replaces the channel's assigns. The caller holds mu.
func (c *conn) remember(ch *channel, assigns json.RawMessage) {
	if assigns == nil || bytes.Equal(assigns, ch.assigns) {
		return
	}
	ch.assigns = assigns
	if !ch.announced {
		return
	}
	if m := ch.member(); m.Notice.Record != "" {
		c.gw.cfg.Hub.Note(m)
	}
}

// become replaces what the backend is told of the client. The caller holds mu.
func (c *conn) become(client *auth.Client) {
	c.who.Store(client)
	c.note()
}

// note enters the connection into the roster, if the backend wants to know of its end. The caller holds mu.
func (c *conn) note() {
	if m := c.gw.entry(c.client()); !c.closed && m.Notice.Record != "" {
		c.gw.cfg.Hub.Note(m)
	}
}

// entry returns a connection's own entry in the roster. It counts only if it has a record.
func (g *Gateway) entry(client *auth.Client) hub.Member {
	m := hub.Member{Connection: client.Connection, Bare: true}
	if r := g.cfg.Recorder; r != nil {
		m.Notice.Record = r.RecordDisconnect(&auth.DisconnectNotice{Client: client})
	}
	return m
}

// announce notes a connection that begins.
func (c *conn) announce() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.note()
}

// disconnected tells the backend that a connection it accepted has ended.
func (g *Gateway) disconnected(client *auth.Client, reason auth.Reason) {
	if m := g.entry(client); m.Notice.Record != "" {
		m.Notice.Reason, m.Notice.At = string(reason), time.Now()
		g.cfg.Hub.Tell(m)
	} else if g.cfg.Backend != nil && g.cfg.Recorder == nil {
		g.cfg.Backend.Disconnect(&auth.DisconnectNotice{Client: client, Reason: reason})
	}
}
