package hub

import (
	"context"
	"hash/maphash"
	"sync/atomic"
	"time"
)

// A Listener is a member as the hub sees it. Its methods are called by fan-out workers and must not block.
type Listener interface {
	// Connection returns the id of the member's connection.
	Connection() string
	// Deliver hands over broadcasts.
	Deliver(b *Batch)
	// End tells that the backend ended the channel: with phx_error if crash is set, else with phx_close.
	End(crash bool)
}

// Subscription is the place of one member in the fan-out of a topic. Its zero value is ready for one Join.
type Subscription struct {
	listener Listener
	topic    *topic
	shard    *shard // nil until Join has succeeded
	index    int32  // in shard.members; owned by the shard's worker
	roster   bool   // the member is in the Roster
	presence *presence
}

// topic is one topic that members of this pod listen to, or listened to a moment ago.
type topic struct {
	name   string
	addr   Address
	refs   int // members and joins under way; guarded by Hub.mu
	shards []*shard

	presence *presence // nil unless a member's rule keeps it; guarded by Hub.mu
	asking
}

// confirmation is one question to the broker whether an address is subscribed. All that wait share it, so that what
// waits while the link is down does not grow with their number.
type confirmation struct {
	done chan struct{} // closed when err is there
	err  error
}

// asking is what the broker has yet to confirm about one address, or nothing.
type asking struct{ asked atomic.Pointer[confirmation] }

// confirm asks the broker whether addr is subscribed, unless it is being asked.
func (a *asking) confirm(b Broker, addr Address) *confirmation {
	for {
		if c := a.asked.Load(); c != nil {
			return c
		}
		c := &confirmation{done: make(chan struct{})}
		if !a.asked.CompareAndSwap(nil, c) {
			continue
		}
		b.Subscribe(addr, func(err error) {
			c.err = err
			a.asked.Store(nil)
			close(c.done)
		})
		return c
	}
}

// shardSize is how many members of a topic one worker carries before another takes the next ones.
const shardSize = 1024

// Join makes sub a member's place: it blocks until the topic is subscribed and, if roster is set, the entry is in the
// roster, or until ctx ends. Deliver may be called before Join returns. Every Join, failed or not, is ended by one Leave.
func (h *Hub) Join(ctx context.Context, sub *Subscription, l Listener, m Member, roster bool) error {
	t := h.hold(m.Topic)
	sub.listener, sub.topic, sub.roster = l, t, roster
	if m.Tracked && h.tracker != nil {
		sub.presence = h.present(t)
	}
	// Both are asked for at once. The channel takes the answer even if nobody waits for it.
	subscribed, entered := t.confirm(h.cfg.Broker, t.addr), make(chan error, 1)
	if roster {
		h.cfg.Roster.Add(m, func(err error) { entered <- err })
	} else {
		entered <- nil
	}
	select {
	case <-subscribed.done:
		if subscribed.err != nil {
			return subscribed.err
		}
		if sub.presence != nil {
			sub.presence.want()
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-entered:
		if err != nil {
			return err
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	h.mu.Lock()
	s := t.place(h)
	s.live++
	h.mu.Unlock()
	sub.shard = s
	h.metrics.members.Inc()
	s.worker.put(s, op{kind: opAdd, sub: sub})
	return nil
}

// Leave ends what Join began. It does not block. The listener may still get a delivery that is under way. done, unless it is
// nil, is called once the member is out of the roster, or with an error if that takes longer.
func (h *Hub) Leave(sub *Subscription, m Member, done func(error)) {
	if sub.shard != nil {
		h.metrics.members.Dec()
		sub.shard.worker.put(sub.shard, op{kind: opRemove, sub: sub})
	}
	m.Lingers = m.Lingers && sub.presence != nil && m.Presence != nil && h.cfg.PresenceGrace > 0
	if sub.presence != nil {
		h.absent(sub.presence)
		if m.Lingers {
			h.lingering.put(m, time.Now().Add(h.cfg.PresenceGrace))
		}
	}
	if sub.roster {
		h.cfg.Roster.Remove(m, done)
	} else if done != nil {
		done(nil)
	}
	h.release(sub.topic, sub.shard)
}

// Note writes m's entry in the roster anew, because its record is another now. It does not block.
func (h *Hub) Note(m Member) { h.cfg.Roster.Add(m, func(error) {}) }

// Tell takes back the entry of m, which is not a member, if there is one, and tells the backend of its end. It does not block.
func (h *Hub) Tell(m Member) { h.cfg.Roster.Remove(m, nil) }

// hold returns the topic called name, with one reference more.
func (h *Hub) hold(name string) *topic {
	addr := TopicAddress(name)
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[addr]
	if t == nil {
		t = &topic{name: string(addr[len(topicPrefix):]), addr: addr}
		h.topics[addr] = t
	}
	if t.refs == 0 {
		delete(h.empty, t)
	}
	t.refs++
	return t
}

// release takes a reference back, and a member off s.
func (h *Hub) release(t *topic, s *shard) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s != nil {
		s.live--
	}
	t.refs--
	if t.refs == 0 {
		h.empty[t] = time.Now()
	}
}

// place returns the shard that takes the next member. The first shard of a topic is on the worker its name hashes to;
// when all shards are full and a worker has none yet, it gets one.
func (t *topic) place(h *Hub) *shard {
	var least *shard
	for _, s := range t.shards {
		if s.live < shardSize {
			return s
		}
		if least == nil || s.live < least.live {
			least = s
		}
	}
	if len(t.shards) < len(h.workers) {
		n := maphash.String(h.seed, t.name) + uint64(len(t.shards))
		least = &shard{topic: t, worker: h.workers[n%uint64(len(h.workers))]}
		t.shards = append(t.shards, least)
	}
	return least
}

// linger unsubscribes topics that had no member for a while.
func (h *Hub) linger(ctx context.Context) {
	tick := time.NewTicker(max(h.cfg.Linger/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			h.unsubscribe(time.Now().Add(-h.cfg.Linger))
			for _, m := range h.lingering.over(time.Now()) {
				h.cfg.Roster.Remove(m, nil)
			}
		}
	}
}

// unsubscribe lets go of the topics that have been empty since before.
func (h *Hub) unsubscribe(before time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock() // held over Unsubscribe, so that a new Subscribe comes behind it
	var gone []Address
	for t, since := range h.empty {
		if since.Before(before) {
			delete(h.empty, t)
			delete(h.topics, t.addr)
			gone = append(gone, t.addr)
		}
	}
	if len(gone) > 0 {
		h.cfg.Broker.Unsubscribe(gone...)
	}
}

// Counts returns how many members there are on this pod, and in how many topics.
func (h *Hub) Counts() (members, topics int) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, t := range h.topics {
		live := 0
		for _, s := range t.shards {
			live += s.live
		}
		if members += live; live > 0 {
			topics++
		}
	}
	return members, topics
}
