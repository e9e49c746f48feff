package redisbroker

import (
	"errors"
	"fmt"
	"sync"

	"roost/hub"
)

// ErrClosed is what everything ends with that is asked of a broker whose Run has ended.
var ErrClosed = errors.New("redisbroker: closed")

// errUnsubscribed confirms a subscription that ended before it stood.
var errUnsubscribed = errors.New("redisbroker: unsubscribed")

// subscriptions is what should be subscribed, over which link, and how far Redis has been told on that link as it stands now.
type subscriptions struct {
	metrics *metrics
	prefix  string
	limit   int   // bytes of an address
	home    *lane // of everything; nil if each address goes the way of its slot
	gap     func(hub.Address)

	mu       sync.Mutex
	byAddr   map[hub.Address]*subscription
	closed   bool
	unplaced []placing     // have no lane; for the router
	lost     chan struct{} // tells the router that there are some
}

// lane is what goes over one link. Its fields belong to the subscriptions.
type lane struct {
	sharded bool          // SSUBSCRIBE, not SUBSCRIBE
	partial bool          // one of several: its loss concerns its own addresses alone
	wake    chan struct{} // tells the writer that something changed
	changed []*subscription
	linked  bool // there is a link to write to
}

func newLane(sharded, partial bool) *lane {
	return &lane{sharded: sharded, partial: partial, wake: make(chan struct{}, 1)}
}

type subscription struct {
	addr    hub.Address
	lane    *lane         // nil until the router has found one
	waiting []func(error) // to be told once it stands
	due     int32         // commands on this link that Redis has yet to acknowledge
	slot    uint16        // if there is no home
	wanted  bool          // by the hub
	sent    bool          // the last command on this link was SUBSCRIBE
	queued  bool          // in changed
	stood   bool          // at some time since it was wanted
	missed  bool          // it stood and fell, on a lane that is partial
}

func newSubscriptions(prefix string, home *lane, m *metrics) *subscriptions {
	return &subscriptions{
		metrics: m,
		prefix:  prefix,
		limit:   maxName - len(prefix),
		home:    home,
		gap:     func(hub.Address) {},
		byAddr:  map[hub.Address]*subscription{},
		lost:    make(chan struct{}, 1),
	}
}

// stands tells whether Redis has confirmed s and not been told otherwise.
func (s *subscription) stands() bool { return s.sent && s.due == 0 }

func (t *subscriptions) subscribe(addr hub.Address, done func(error)) {
	if len(addr) > t.limit {
		tell(done, fmt.Errorf("redisbroker: an address of %d bytes is too long to subscribe", len(addr)))
		return
	}
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		tell(done, ErrClosed)
		return
	}
	s := t.byAddr[addr]
	if s == nil {
		s = &subscription{addr: addr, lane: t.home}
		t.byAddr[addr] = s
		if t.home == nil {
			s.slot = slotOf(t.prefix + string(addr))
			t.unplace(s, "")
		}
	}
	if !s.wanted {
		s.wanted = true
		t.metrics.subscribed(1)
	}
	if s.stands() {
		t.mu.Unlock()
		tell(done, nil)
		return
	}
	if done != nil {
		s.waiting = append(s.waiting, done)
	}
	t.change(s)
	t.mu.Unlock()
}

func (t *subscriptions) unsubscribe(addrs []hub.Address) {
	var calls callbacks
	defer func() { calls.call() }() // once no lock is held
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, addr := range addrs {
		s := t.byAddr[addr]
		if s == nil || !s.wanted {
			continue
		}
		s.wanted, s.stood, s.missed = false, false, false
		t.metrics.subscribed(-1)
		if s.lane == nil || !s.lane.linked {
			calls.add(s.waiting, errUnsubscribed)
			delete(t.byAddr, addr)
			continue
		}
		t.change(s)
	}
}

// change hands s to the writer, if Redis has to be told something.
func (t *subscriptions) change(s *subscription) {
	l := s.lane
	if l == nil || !l.linked || s.queued || s.sent == s.wanted && s.due > 0 {
		return
	}
	s.queued = true
	l.changed = append(l.changed, s)
	signal(l.wake)
}

// take appends what Redis has to be told over l, and counts it as sent. Its callbacks are for the caller to make.
func (t *subscriptions) take(l *lane, subscribe, unsubscribe []*subscription) (_, _ []*subscription, calls callbacks) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range l.changed {
		if s.lane != l {
			continue // it has moved on
		}
		s.queued = false
		if s.sent == s.wanted {
			t.settle(s, &calls)
			continue
		}
		s.sent = s.wanted
		s.due++
		if s.sent {
			subscribe = append(subscribe, s)
		} else {
			unsubscribe = append(unsubscribe, s)
		}
	}
	clear(l.changed)
	l.changed = l.changed[:0]
	if cap(l.changed) > 4096 {
		l.changed = nil
	}
	return subscribe, unsubscribe, calls
}

// acknowledged counts one acknowledgement of Redis for addr on l: of a SUBSCRIBE, or else of an UNSUBSCRIBE, be it that
// nobody asked for it, because the address has left the server.
func (t *subscriptions) acknowledged(l *lane, addr []byte, subscribed bool) (calls callbacks) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.byAddr[hub.Address(addr)]
	if s == nil || s.lane != l {
		return nil
	}
	// Commands for one address alternate, so the last one and the number of those on their way tell which is the next.
	next := s.due > 0 && (s.sent == (s.due%2 == 1)) == subscribed
	switch {
	case next || !l.partial && s.due > 0:
		s.due--
		t.settle(s, &calls)
	case l.partial && !subscribed:
		t.leave(l, s.slot, "")
	}
	return calls
}

// settle ends the wait for s if Redis was told, and has acknowledged, what the hub wants.
func (t *subscriptions) settle(s *subscription, calls *callbacks) {
	if s.due > 0 || s.sent != s.wanted {
		return
	}
	if s.wanted {
		if s.missed {
			calls.add([]func(error){func(error) { t.gap(s.addr) }}, nil)
		}
		s.stood, s.missed = true, false
		calls.add(s.waiting, nil)
	} else {
		calls.add(s.waiting, errUnsubscribed)
		delete(t.byAddr, s.addr)
	}
	s.waiting = nil
}

// lookup finds the address whose messages are wanted from l. It does not allocate.
func (t *subscriptions) lookup(l *lane, addr []byte) (hub.Address, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.byAddr[hub.Address(addr)]
	if s == nil || !s.wanted || s.lane != l {
		return "", false
	}
	return s.addr, true
}

// linkStarts puts everything into the writer's hands.
func (t *subscriptions) linkStarts(l *lane) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l.linked = true
	for _, s := range t.byAddr {
		if s.lane == l {
			t.change(s)
		}
	}
}

// linkEnds forgets what Redis was told over l. What went over one of several links may go over another from now on.
func (t *subscriptions) linkEnds(l *lane) (calls callbacks) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l.linked = false
	l.changed = nil
	for _, s := range t.byAddr {
		if s.lane != l {
			continue
		}
		s.due, s.sent, s.queued = 0, false, false
		switch {
		case !s.wanted:
			t.settle(s, &calls)
		case l.partial:
			t.unplace(s, "")
		}
	}
	return calls
}

// close fails what waits, and all that is asked from now on.
func (t *subscriptions) close() {
	t.mu.Lock()
	t.closed = true
	var calls callbacks
	for _, s := range t.byAddr {
		if s.wanted {
			t.metrics.subscribed(-1)
		}
		calls.add(s.waiting, ErrClosed)
	}
	clear(t.byAddr)
	t.mu.Unlock()
	calls.call()
}

// signal wakes who waits for c, which has room for one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// callbacks are calls to be made once no lock is held.
type callbacks []callback

type callback struct {
	done func(error)
	err  error
}

func (c *callbacks) add(dones []func(error), err error) {
	for _, done := range dones {
		*c = append(*c, callback{done, err})
	}
}

func (c callbacks) call() {
	for _, cb := range c {
		cb.done(cb.err)
	}
}

// tell calls done, if there is one.
func tell(done func(error), err error) {
	if done != nil {
		done(err)
	}
}
