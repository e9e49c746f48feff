package gateway

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"roost/auth"
	"roost/phoenix"
)

// Authorisation that ran out is asked for again up to a tenth of its time later, but not more than expiryJitter, so that those
// who came together are not asked about together. Where nobody could say, it is asked again after expiryRetry, up to twice.
const (
	expiryJitter = 10 * time.Second
	expiryRetry  = 5 * time.Second

	leastLifetime = time.Second                // an expires_at that is over, or will be in a moment, counts as this
	mostLifetime  = 100 * 365 * 24 * time.Hour // and one that is further away than a Duration can say, as this
)

// expirySide is how many channels of a connection are asked about side by side.
const expirySide = 8

// renewalPatience is how long a renewal that is under way when the time of a connection is over may take.
const renewalPatience = 15 * time.Second

// now is the time by the wall clock alone: the other one stands still while a machine sleeps.
func now() time.Time { return time.Now().Round(0) }

// lifetime is how long a connection may be there, and by whose word. It is guarded by conn.mu.
type lifetime struct {
	token    *auth.Token // nil if tokens are not wanted
	expires  time.Time   // when it has to be renewed; zero: never
	byToken  bool        // expires is the token's
	asking   bool        // it is over, and the backend is asked
	renewing int64       // when the renewal under way began, in Unix ms; 0 if there is none
}

// rejoin is what Backend.Join is asked again with, and when.
type rejoin struct {
	expires time.Time
	payload []byte
	binary  bool
	asking  bool // it is over, and the backend is asked
}

// lifetime returns that of the connection that an offer becomes, or nil if nothing limits it and no token is kept.
func (o *offer) lifetime() *lifetime {
	if o.token == nil && o.expires.IsZero() {
		return nil
	}
	l := &lifetime{token: o.token}
	l.until(o.expires)
	return l
}

// until sets when the connection has to be renewed: when the backend says, or else when the token ends.
func (l *lifetime) until(backend time.Time) {
	l.expires, l.byToken, l.asking = backend, false, false
	if backend.IsZero() && l.token != nil {
		l.expires, l.byToken = l.token.Expires, true
	}
	l.expires = later(l.expires)
}

// over tells whether the connection's time is over, and nobody looks at that. A renewal that began before puts that off; one that begins afterwards, as a client
// could send them for ever, does not.
func (l *lifetime) over(at time.Time) bool {
	if l.asking || l.expires.IsZero() || l.expires.After(at) {
		return false
	}
	inTime := l.renewing > 0 && l.renewing < l.expires.UnixMilli()
	return !inTime || at.Sub(l.expires) > renewalPatience
}

// later adds to t what spreads those who have the same, and what keeps a backend from being asked all the time.
func later(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	left := min(max(time.Until(t), leastLifetime), mostLifetime)
	return now().Add(left + rand.N(min(left/10, expiryJitter)))
}

// afterwards is when to ask again whom nobody answered.
func afterwards() time.Time { return now().Add(expiryRetry + rand.N(expiryRetry)) }

// plan sets when the next thing of c runs out, but for what is being asked about. The caller holds mu.
func (c *conn) plan() {
	var next time.Time
	soonest := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if c.life != nil && !c.life.asking {
		soonest(c.life.expires)
	}
	for _, ch := range c.channels {
		if ch.again != nil && !ch.again.asking {
			soonest(ch.again.expires)
		}
	}
	if next.IsZero() {
		c.due.Store(0)
		return
	}
	c.due.Store(max(next.UnixMilli(), 1))
}

// overdue takes c's due time, if it is over, so that it is looked at once.
func (c *conn) overdue(now time.Time) bool {
	due := c.due.Load()
	return due > 0 && due <= now.UnixMilli() && c.due.CompareAndSwap(due, 0)
}

// expire renews what has run out, or ends it. It blocks while the backend is asked; what runs out meanwhile is looked at meanwhile.
func (c *conn) expire(ctx context.Context) {
	at := now()
	c.mu.Lock()
	whole := c.life != nil && c.life.over(at)
	if whole {
		c.life.asking = true
	}
	byToken := whole && c.life.byToken
	var channels []*channel
	for _, ch := range c.channels {
		if ch.state == joined && ch.again != nil && !ch.again.asking && !ch.again.expires.After(at) {
			ch.again.asking = true
			channels = append(channels, ch)
		}
	}
	c.plan()
	c.mu.Unlock()
	switch {
	case byToken:
		c.expired()
		return
	case whole && !c.askAgain(ctx):
		return
	}
	var asked errgroup.Group
	asked.SetLimit(expirySide)
	for _, ch := range channels {
		asked.Go(func() error {
			c.joinAgain(ctx, ch)
			return nil
		})
	}
	_ = asked.Wait()
}

// expired closes the connection.
func (c *conn) expired() {
	c.gw.metrics.expiries.WithLabelValues("connection", "ended").Inc()
	c.close(closePolicy, auth.ReasonExpired)
}

// askAgain asks the backend whether the connection may stay, and returns false if it has been closed.
func (c *conn) askAgain(ctx context.Context) bool {
	c.mu.Lock()
	who := c.client()
	c.mu.Unlock()
	answer, err := c.gw.cfg.Backend.Connect(ctx, who)
	banned := false
	if err == nil {
		banned = c.isBanned(ctx)
	}
	var refusal *auth.Refusal
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.client() != who && !banned: // the client has renewed it meanwhile
	case errors.As(err, &refusal), err == nil && (banned || !c.same(answer)):
		c.mu.Unlock()
		c.expired()
		c.mu.Lock()
		return false
	case err != nil:
		c.gw.metrics.expiries.WithLabelValues("connection", "unknown").Inc()
		c.life.expires, c.life.asking = afterwards(), false
	default:
		c.gw.metrics.expiries.WithLabelValues("connection", "renewed").Inc()
		c.accepted(answer)
	}
	c.plan()
	return true
}

// same tells whether an answer to a connect is about the socket id that c has.
func (c *conn) same(answer *auth.ConnectAnswer) bool {
	return answer != nil && (answer.ID == c.client().ID || answer.ID == "" && c.gw.cfg.Tokens != nil)
}

// accepted takes an answer to a connect that says that c may stay. The caller holds mu.
func (c *conn) accepted(answer *auth.ConnectAnswer) {
	if answer.Assigns != nil {
		client := *c.client()
		client.Assigns = answer.Assigns
		c.become(&client)
	}
	c.life.until(answer.Expires)
}

// isBanned tells whether c's socket id has been banned meanwhile.
func (c *conn) isBanned(ctx context.Context) bool {
	if c.gw.cfg.Bans == nil || c.client().ID == "" {
		return false
	}
	banned, _ := c.gw.lookUpBan(ctx, c.client())
	return banned
}

// joinAgain asks the backend whether the member may stay.
func (c *conn) joinAgain(ctx context.Context, ch *channel) {
	c.mu.Lock()
	again, q, ended := ch.again, c.question(ch), ch.state != joined
	c.mu.Unlock()
	if ended || again == nil {
		return
	}
	answer, err := c.gw.cfg.Backend.Join(ctx, &auth.JoinRequest{
		Client: q.client, Topic: ch.topic, JoinRef: ch.joinRef, Ref: ch.ref, Payload: again.payload, Binary: again.binary, Assigns: q.assigns,
		Fresh: true,
	})
	var refusal *auth.Refusal
	c.mu.Lock()
	defer c.unlock()
	switch {
	case ch.state != joined:
	case errors.As(err, &refusal), err == nil && answer != nil && answer.Status != phoenix.StatusOK:
		c.gw.metrics.expiries.WithLabelValues("channel", "ended").Inc()
		c.kick(ch, true, auth.ReasonExpired)
	case err != nil || answer == nil:
		c.gw.metrics.expiries.WithLabelValues("channel", "unknown").Inc()
		again.expires, again.asking = afterwards(), false
	default:
		c.gw.metrics.expiries.WithLabelValues("channel", "renewed").Inc()
		c.learn(ch, q, answer.Assigns)
		if again.expires, again.asking = later(answer.Expires), false; answer.Expires.IsZero() {
			ch.again = nil
		}
	}
	c.plan()
}

// limit notes when the backend is asked about ch again, if an answer says so. The payload of its join is kept if that is the
// join's answer. The caller holds mu.
func (c *conn) limit(ch *channel, join *phoenix.Message, answer *auth.Answer) {
	switch {
	case answer.Expires.IsZero():
		return
	case ch.rule.Join != auth.JoinWebhook: // nobody could be asked
		c.gw.metrics.undeliverable.WithLabelValues("no_join").Inc()
		c.gw.cfg.Logger.Warn("expires_at without a join", "connection", c.client().Connection, "topic", ch.topic, "rule", ch.rule.Pattern)
		return
	}
	if ch.again == nil {
		ch.again = &rejoin{payload: []byte(`{}`)}
	}
	if join != nil {
		ch.again.payload, ch.again.binary = bytes.Clone(join.Payload), join.Binary
	}
	ch.again.expires = later(answer.Expires)
	c.plan()
}
