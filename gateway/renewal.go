package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"roost/auth"
	"roost/internal/rawjson"
	"roost/phoenix"
)

// eventAccessToken is what a client pushes to go on with another token: on a topic that it has joined, or on the topic phoenix.
const eventAccessToken = "access_token"

// lastTime is the last one that RFC 3339 can write.
var lastTime = time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)

// renews tells whether m renews the connection's token. Where tokens are the backend's business, applications may have an event
// of that name on their topics. The caller holds mu.
func (c *conn) renews(m *phoenix.Message) bool {
	switch {
	case m.Event != eventAccessToken || m.NoTopic != nil || c.gw.cfg.Tokens == nil && c.life == nil:
		return false
	case m.Topic == phoenix.TopicPhoenix:
		return true
	}
	ch := c.find(m.Topic)
	return c.gw.cfg.Tokens != nil && ch != nil && ch.state == joined && (m.JoinRef == "" || m.JoinRef.Equal(ch.joinRef))
}

// beginRenewal has a token looked at, one at a time. The caller holds mu.
func (c *conn) beginRenewal(m *phoenix.Message) {
	text := tokenIn(m)
	switch {
	case text == "":
		c.renewed(m, "token is missing", time.Time{})
	case c.life == nil || c.life.renewing > 0:
		c.renewed(m, "renewal is under way", time.Time{})
	default:
		c.life.renewing = now().UnixMilli()
		topic, ref, joinRef := m.Topic, m.Ref, m.JoinRef
		c.gw.work.start(func() {
			m := &phoenix.Message{Topic: topic, Ref: ref, JoinRef: joinRef}
			reason, until, over := c.renew(c.gw.leaving, text)
			if over {
				c.Disconnect()
				return
			}
			c.mu.Lock()
			defer c.unlock()
			c.life.renewing = 0
			c.plan()
			c.renewed(m, reason, until)
		})
	}
}

// tokenIn returns the token of an access_token, or "".
func tokenIn(m *phoenix.Message) (text string) {
	if m.Binary || !rawjson.IsObject(m.Payload) {
		return ""
	}
	_ = rawjson.Object(m.Payload, func(key, value []byte) error {
		if string(key) == "token" {
			if unquoted, err := rawjson.Unquote(value); err == nil {
				text = string(unquoted)
			}
		}
		return nil
	})
	return text
}

// renewed answers an access_token: with when the next one is needed, or why it changed nothing. The caller holds mu.
func (c *conn) renewed(m *phoenix.Message, reason string, until time.Time) {
	joinRef := m.JoinRef
	if ch := c.find(m.Topic); ch != nil {
		joinRef = ch.joinRef.Or(ch.ref)
	}
	status, response := phoenix.StatusOK, []byte(nil)
	switch {
	case reason != "":
		status, response = phoenix.StatusError, []byte(`{"reason":"`+reason+`"}`)
		c.gw.metrics.renewals.WithLabelValues("refused").Inc()
	case !until.IsZero():
		if until.After(lastTime) {
			until = lastTime
		}
		response = []byte(`{"expires_at":"` + until.UTC().Format(time.RFC3339) + `"}`)
		fallthrough
	default:
		c.gw.metrics.renewals.WithLabelValues("ok").Inc()
	}
	c.put(c.enc.reply(joinRef, m.Ref, m.Topic, status, response))
}

// renew lets the connection go on with another token of the same subject. It returns why not, until when, and whether the
// connection has to end. It blocks while somebody is asked.
func (c *conn) renew(ctx context.Context, text string) (reason string, until time.Time, over bool) {
	g := c.gw
	c.mu.Lock()
	was := c.life.token
	c.mu.Unlock()
	var t *auth.Token
	if g.cfg.Tokens != nil {
		var err error
		var refusal *auth.Refusal
		switch t, err = g.cfg.Tokens.Verify(ctx, text); {
		case errors.As(err, &refusal):
			return "unauthorized", until, false
		case err != nil:
			return "unavailable", until, false
		case t.Subject != was.Subject:
			return "forbidden", until, false
		}
	}
	if c.isBanned(ctx) {
		return "", until, true
	}
	answer := &auth.ConnectAnswer{}
	if g.cfg.Backend != nil {
		var err error
		var refusal *auth.Refusal
		switch answer, err = g.cfg.Backend.Connect(ctx, c.bearing(text, t)); {
		case errors.As(err, &refusal), err == nil && !c.same(answer):
			return "unauthorized", until, false
		case err != nil:
			return "unavailable", until, false
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.become(c.bearing(text, t))
	if t != nil {
		c.life.token = t
		for _, ch := range c.channels {
			c.remember(ch, withClaims(ch.assigns, t.Claims))
		}
	}
	c.accepted(answer)
	until = answer.Expires
	if until.IsZero() && t != nil {
		until = t.Expires
	}
	return "", until, false
}

// bearing returns the client with another token in the place of the one it had: as authToken, as a param, and in its claims. t is nil
// where tokens are the backend's business.
func (c *conn) bearing(text string, t *auth.Token) *auth.Client {
	client := *c.client()
	client.AuthToken = &text
	if t != nil {
		client.Assigns = withClaims(client.Assigns, t.Claims)
		client.Params = rawjson.Replace(client.Params, c.gw.cfg.TokenParam, rawjson.AppendString(nil, text))
	}
	return &client
}

// question is what a call about a channel says of the client. A renewal may change all of it before there is an answer.
type question struct {
	client  *auth.Client
	assigns json.RawMessage
	token   *auth.Token
}

// question returns what a call about ch says now. The caller holds mu.
func (c *conn) question(ch *channel) question {
	q := question{client: c.client(), assigns: ch.assigns}
	if c.life != nil {
		q.token = c.life.token
	}
	return q
}

// learn takes the assigns of an answer, nil if it has none. Claims that it has from an older token are not put back. The caller
// holds mu.
func (c *conn) learn(ch *channel, q question, assigns json.RawMessage) {
	if assigns != nil && c.life != nil && c.life.token != q.token {
		assigns = withClaims(assigns, c.life.token.Claims)
	}
	c.remember(ch, assigns)
}
