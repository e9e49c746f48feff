package hub

import (
	"context"
	"errors"
)

// ErrNoPresence means that presence is kept for no topic here, or not for this one.
var ErrNoPresence = errors.New("hub: no presence is kept for this topic")

// Tracking is a change of what a member shows, on its way.
type Tracking struct {
	presence *presence
	written  chan struct{} // closed when the rest is there
	ref      string
	version  uint64
	err      error
}

// Track shows what m.Presence says to the topic that sub has joined, or takes back what it shows if that is nil. It does not
// block; Wait tells what became of it.
func (h *Hub) Track(sub *Subscription, m Member) *Tracking {
	t := &Tracking{presence: sub.presence, written: make(chan struct{})}
	if h.tracker == nil || sub.presence == nil {
		t.err = ErrNoPresence
		close(t.written)
		return t
	}
	if m.Presence != nil && h.cfg.PresenceGrace > 0 {
		p := *m.Presence
		p.Adopt = sub.presence.leaving(p.Key)
		m.Presence = &p
	}
	h.tracker.Track(m, func(ref string, version uint64, err error) {
		t.ref, t.version, t.err = ref, version, err
		close(t.written)
	})
	return t
}

// AwaitPresence blocks until it is known who is shown in the topic that sub has joined, or until ctx ends. What is tracked
// after that is told to this member, too.
func (h *Hub) AwaitPresence(ctx context.Context, sub *Subscription) {
	if sub.presence == nil {
		return
	}
	select {
	case <-sub.presence.await(0):
	case <-ctx.Done():
	}
}

// Wait blocks until the change is written and this pod knows it, or until ctx ends. It returns the Ref that is shown, which is
// another one's after an adoption.
func (t *Tracking) Wait(ctx context.Context) (ref string, err error) {
	select {
	case <-t.written:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if t.err != nil {
		return "", t.err
	}
	select {
	case <-t.presence.await(t.version):
	case <-ctx.Done(): // it is written; only the link that should have brought it is slow or broken
	}
	return t.ref, nil
}

// Snapshot returns what the member at sub is sent when it has joined: presence_state, or presence_count if too many are shown,
// or if the state has more than limit bytes. It returns "" if that is not known yet; then all members are sent it later.
func (h *Hub) Snapshot(sub *Subscription, limit int) (event string, payload []byte) {
	if sub.presence == nil {
		return "", nil
	}
	return sub.presence.snapshot(limit)
}

// present returns the copy of t's presence, with one user more.
func (h *Hub) present(t *topic) *presence {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.presence == nil {
		t.presence = newPresence(h, t)
	}
	t.presence.users.Add(1)
	return t.presence
}

// absent takes a user of p back. Without one, the copy is let go.
func (h *Hub) absent(p *presence) {
	h.mu.Lock()
	last := p.users.Add(-1) == 0
	if last {
		p.topic.presence = nil
	}
	h.mu.Unlock() // not with p.mu: who holds that may wait for this
	if last {
		p.close()
	}
}

// presences are the copies there are.
func (h *Hub) presences() (all []*presence) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, t := range h.topics {
		if t.presence != nil {
			all = append(all, t.presence)
		}
	}
	return all
}

// missedPresence has all copies read again, or that of the topic at addr: changes may have been missed.
func (h *Hub) missedPresence(addr Address) {
	for _, p := range h.presences() {
		if addr == "" || p.topic.addr == addr {
			p.stale()
		}
	}
}

// changePresence hands a published change to the copy it is for.
func (h *Hub) changePresence(addr Address, raw []byte) {
	c, err := parsePresenceChange(raw)
	if err != nil {
		h.malformed(addr, "bad_presence")
		return
	}
	h.mu.RLock()
	var p *presence
	if t := h.topics[addr]; t != nil {
		p = t.presence
	}
	h.mu.RUnlock()
	if p != nil {
		p.receive(c)
	}
}

// send hands an event of the pod's own to the members of t here.
func (h *Hub) send(t *topic, event string, payload []byte) {
	b := &Broadcast{Topic: t.name, Event: event, Payload: payload, size: len(payload)}
	h.mu.RLock()
	shards := t.shards
	h.mu.RUnlock()
	for _, s := range shards {
		s.worker.put(s, op{kind: opBroadcast, b: b})
	}
}
