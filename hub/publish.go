package hub

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"roost/internal/rawjson"
)

// ErrTooLarge means that a message is larger than Config.MaxMessage.
var ErrTooLarge = errors.New("hub: message is too large to be published")

// ErrMalformed means that a broadcast has no event, or a payload that is not an object.
var ErrMalformed = errors.New("hub: a broadcast needs an event, and an object as its payload")

// waiter is a member that published a broadcast and wants to see it before something else.
type waiter struct {
	sub  *Subscription
	seen chan struct{}
}

// settle tells that s is done with b: the member that waits for b, if it is on s, and after the last shard how long it took.
func (b *Broadcast) settle(s *shard) {
	if atomic.AddInt32(&b.shards, -1) == 0 {
		s.worker.hub.metrics.lag.Observe(time.Since(b.came).Seconds())
	}
	if b.waiter != nil && b.waiter.sub.shard == s {
		close(b.waiter.seen)
	}
}

// wellFormed tells whether b has an event, and an object as its payload.
func (b *Broadcast) wellFormed() bool {
	return b.Event != "" && (b.Binary || len(b.Payload) == 0 || rawjson.IsObject(b.Payload))
}

func (b *Broadcast) envelope() envelope {
	return envelope{event: b.Event, payload: b.Payload, binary: b.Binary, except: b.Except}
}

// Body returns what is published to the address of a topic for b, or ErrMalformed.
func Body(b Broadcast) ([]byte, error) {
	if !b.wellFormed() {
		return nil, ErrMalformed
	}
	e := b.envelope()
	return e.append(nil), nil
}

// Publish sends b to all members of its topic, on every pod, and returns when the broker has taken it. With a self that
// is joined to the topic, it returns when b has passed that member, too: what the member is sent next comes behind it.
// It blocks until then, or until ctx ends.
func (h *Hub) Publish(ctx context.Context, b Broadcast, self *Subscription) error {
	if !b.wellFormed() {
		return ErrMalformed
	}
	e := b.envelope()
	var seen chan struct{}
	if self != nil {
		var forget func()
		e.origin, seen, forget = h.await(self)
		defer forget()
	}
	body := e.append(make([]byte, 0, len(b.Payload)+len(b.Event)+96))
	if len(body) > h.cfg.MaxMessage {
		return ErrTooLarge
	}
	taken := make(chan error, 1)
	h.cfg.Broker.Publish(TopicAddress(b.Topic), body, func(err error) { taken <- err })
	select {
	case err := <-taken:
		if err != nil {
			return fmt.Errorf("publish to %q: %w", b.Topic, err)
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if seen == nil {
		return nil
	}
	select {
	case <-seen:
	case <-ctx.Done():
		// The broker has it; only the link that should have brought it back is slow or broken.
	}
	return nil
}

// Broadcast sends an event to all members of a topic, on every pod, and returns when the broker has taken it. A nil
// payload is {}; any other must be a JSON object. It blocks until then, or until ctx ends.
func (h *Hub) Broadcast(ctx context.Context, topic, event string, payload []byte) error {
	return h.Publish(ctx, Broadcast{Topic: topic, Event: event, Payload: payload}, nil)
}

// Append stores what a client pushed where its rule says push: stream. It blocks until then, or until ctx ends.
func (h *Hub) Append(ctx context.Context, e StreamEntry) error {
	if h.cfg.Stream == nil {
		return errors.New("hub: there is no stream")
	}
	return h.cfg.Stream.Append(ctx, e)
}

// await enters a waiter and returns the mark by which its broadcast is known when it comes back.
func (h *Hub) await(self *Subscription) (origin string, seen chan struct{}, forget func()) {
	w := &waiter{sub: self, seen: make(chan struct{})}
	h.waitersMu.Lock()
	h.waiterSeq++
	seq := h.waiterSeq
	h.waiters[seq] = w
	h.waitersMu.Unlock()
	return h.cfg.PodID + "/" + strconv.FormatUint(seq, 36), w.seen, func() {
		h.waitersMu.Lock()
		delete(h.waiters, seq)
		h.waitersMu.Unlock()
	}
}

// waiter returns the waiter that origin marks, once, or nil.
func (h *Hub) waiter(origin string) *waiter {
	number, found := strings.CutPrefix(origin, h.cfg.PodID+"/")
	if !found {
		return nil
	}
	seq, err := strconv.ParseUint(number, 36, 64)
	if err != nil {
		return nil
	}
	h.waitersMu.Lock()
	defer h.waitersMu.Unlock()
	w := h.waiters[seq]
	delete(h.waiters, seq)
	return w
}
