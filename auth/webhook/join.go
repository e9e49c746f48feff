package webhook

import (
	"context"
	"errors"
	"time"

	"roost/auth"
	"roost/internal/rawjson"
	"roost/phoenix"
)

// How a join is answered without a call of its own, as the metric joins_unasked_total says it.
const (
	byFlight = "coalesced" // with the answer to an equal join that was under way
	byCache  = "cached"    // with an answer whose cache has not run out
	byStale  = "stale"     // with an older answer, because the backend is down
)

// joinAnswer is an answer to a join, and how long it holds.
type joinAnswer struct {
	*auth.Answer
	cache time.Duration // for equal joins
}

// life returns for how long the answer may be kept, if so long is wanted.
func (a *joinAnswer) life(wanted time.Duration) time.Duration {
	if a.Expires.IsZero() {
		return wanted
	}
	return min(wanted, time.Until(a.Expires))
}

// decodeLife reads for how long an answer to a join may be kept.
func (a *joinAnswer) decodeLife(body []byte) error {
	return fields(rawjson.Trim(body), func(name string, value []byte) error {
		if name != "cache" {
			return nil
		}
		text, err := decodeText(value)
		if err == nil {
			a.cache, err = time.ParseDuration(text)
		}
		if err != nil || a.cache < 0 {
			return errors.New("not a duration such as 30s")
		}
		return nil
	})
}

// Join implements [auth.Backend]. It fails if join is not among Config.Events.
func (c *Client) Join(ctx context.Context, r *auth.JoinRequest) (*auth.Answer, error) {
	if !c.on[join] {
		return nil, errors.New("webhook: join is not among the events")
	}
	if r.Client.ID == "" { // strangers share nothing
		a, err := ask(ctx, c.endpoint(r.Topic), join, func() []byte { return joinRequest(r) }, decodeJoin)
		return a.Answer, err
	}
	if !r.Fresh && !c.memory.empty() {
		if a := c.memory.recall(cacheKey(r)); a != nil {
			c.metrics.unasked(byCache)
			return a, nil
		}
	}
	if c.config.NoCoalescing {
		return c.joinOnce(ctx, r, func() *auth.JoinRequest { return r })
	}
	return c.flights.join(ctx, r)
}

// joinOnce asks about a join and remembers the answer. author says, when the call begins, in whose words. What it keeps
// and what it recalls belongs to r's socket id.
func (c *Client) joinOnce(ctx context.Context, r *auth.JoinRequest, author func() *auth.JoinRequest) (*auth.Answer, error) {
	id, stale := r.Client.ID, c.stale(r.Topic)
	epoch := c.memory.begin(id)
	defer c.memory.end(id)
	a, err := ask(ctx, c.endpoint(r.Topic), join, func() []byte { return joinRequest(author()) }, decodeJoin)
	switch {
	case err == nil && a.Status == phoenix.StatusOK:
		if life := a.life(a.cache); life > 0 {
			c.memory.keep(cacheKey(r), a.Answer, life, epoch)
		}
		if life := a.life(stale); life > 0 {
			c.memory.keep(staleKey(r), a.Answer, life, epoch)
		}
		return a.Answer, nil
	case err == nil, resultOf(err) == resultRefused:
		c.memory.forgetTopic(id, r.Topic)
	case stale > 0 && !r.Fresh && down[resultOf(err)]:
		if old := c.memory.recall(staleKey(r)); old != nil {
			c.metrics.unasked(byStale)
			c.config.Logger.Warn("join allowed again while the backend is down", "topic", r.Topic, "connection", r.Client.Connection, "err", err)
			return &auth.Answer{Status: old.Status, Response: old.Response, Binary: old.Binary, Assigns: old.Assigns, Presence: old.Presence, Expires: old.Expires}, nil
		}
	}
	return a.Answer, err
}

// down are the results that say that the backend is not there.
var down = map[result]bool{
	resultServerError: true, resultTimeout: true, resultQueue: true, resultUnreachable: true, resultOpen: true,
}

// stale is how long a yes holds while the backend is down.
func (c *Client) stale(topic string) time.Duration {
	if rule := c.config.Rules.Match(topic); rule != nil {
		return rule.Stale
	}
	return 0
}

// Forget implements [auth.Forgetter].
func (c *Client) Forget(id string) { c.memory.forget(id) }
