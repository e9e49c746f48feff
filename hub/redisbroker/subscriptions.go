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

// subscriptions is what should be subscribed, and how far Redis has been told on the present link.
type subscriptions struct {
	metrics *metrics
	limit   int           // bytes of an address
	wake    chan struct{} // tells the writer that something changed

	mu      sync.Mutex
	byAddr  map[hub.Address]*subscription
	changed []*subscription // for the writer
	linked  bool            // there is a link to write to
	closed  bool
}

type subscription struct {
	addr    hub.Address
	waiting []func(error) // to be told once it stands
	due     int32         // commands on this link that Redis has yet to acknowledge
	wanted  bool          // by the hub
	sent    bool          // the last command on this link was SUBSCRIBE
	queued  bool          // in changed
}

func newSubscriptions(prefix string, m *metrics) *subscriptions {
	return &subscriptions{
		metrics: m,
		limit:   maxName - len(prefix),
		wake:    make(chan struct{}, 1),
		byAddr:  map[hub.Address]*subscription{},
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
		s = &subscription{addr: addr}
		t.byAddr[addr] = s
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
		s.wanted = false
		t.metrics.subscribed(-1)
		if !t.linked {
			calls.add(s.waiting, errUnsubscribed)
			delete(t.byAddr, addr)
			continue
		}
		t.change(s)
	}
}

// change hands s to the writer, if Redis has to be told something.
func (t *subscriptions) change(s *subscription) {
	if !t.linked || s.queued || s.sent == s.wanted && s.due > 0 {
		return
	}
	s.queued = true
	t.changed = append(t.changed, s)
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// take appends what Redis has to be told, and counts it as sent. Its callbacks are for the caller to make.
func (t *subscriptions) take(subscribe, unsubscribe []hub.Address) (_, _ []hub.Address, calls callbacks) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.changed {
		s.queued = false
		if s.sent == s.wanted {
			t.settle(s, &calls)
			continue
		}
		s.sent = s.wanted
		s.due++
		if s.sent {
			subscribe = append(subscribe, s.addr)
		} else {
			unsubscribe = append(unsubscribe, s.addr)
		}
	}
	clear(t.changed)
	t.changed = t.changed[:0]
	if cap(t.changed) > 4096 {
		t.changed = nil
	}
	return subscribe, unsubscribe, calls
}

// acknowledged counts one acknowledgement of Redis for addr.
func (t *subscriptions) acknowledged(addr []byte) (calls callbacks) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.byAddr[hub.Address(addr)]; s != nil && s.due > 0 {
		s.due--
		t.settle(s, &calls)
	}
	return calls
}

// settle ends the wait for s if Redis was told, and has acknowledged, what the hub wants.
func (t *subscriptions) settle(s *subscription, calls *callbacks) {
	if s.due > 0 || s.sent != s.wanted {
		return
	}
	if s.wanted {
		calls.add(s.waiting, nil)
	} else {
		calls.add(s.waiting, errUnsubscribed)
		delete(t.byAddr, s.addr)
	}
	s.waiting = nil
}

// lookup finds the address whose messages are wanted. It does not allocate.
func (t *subscriptions) lookup(addr []byte) (hub.Address, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.byAddr[hub.Address(addr)]
	if s == nil || !s.wanted {
		return "", false
	}
	return s.addr, true
}

// linkStarts puts everything into the writer's hands.
func (t *subscriptions) linkStarts() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.linked = true
	for _, s := range t.byAddr {
		t.change(s)
	}
}

// linkEnds forgets what Redis was told.
func (t *subscriptions) linkEnds() (calls callbacks) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.linked = false
	t.changed = nil
	for _, s := range t.byAddr {
		s.due, s.sent, s.queued = 0, false, false
		if !s.wanted {
			t.settle(s, &calls)
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
