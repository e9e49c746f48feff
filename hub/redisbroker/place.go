package redisbroker

// placing is a subscription that needs a lane.
type placing struct {
	sub *subscription
	at  string // the node that has its slot, if Redis said so
	old bool   // it had a lane: what is known of the slots may be out of date
}

// unplace takes s off its lane, if it has one, and hands it to the router.
func (t *subscriptions) unplace(s *subscription, at string) {
	old := s.lane != nil
	s.missed = s.missed || s.stood
	s.lane, s.due, s.sent, s.queued = nil, 0, false, false
	t.unplaced = append(t.unplaced, placing{s, at, old})
	signal(t.lost)
}

// left notes that a slot is not to be had over l any more, but at another node, if that is known.
func (t *subscriptions) left(l *lane, slot uint16, at string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leave(l, slot, at)
}

// leave is left for those that hold the lock.
func (t *subscriptions) leave(l *lane, slot uint16, at string) {
	for addr, s := range t.byAddr {
		if s.lane != l || s.slot != slot {
			continue
		}
		if !s.wanted && len(s.waiting) == 0 {
			s.lane = nil
			delete(t.byAddr, addr)
			continue
		}
		t.unplace(s, at)
	}
}

// homeless takes what has no lane.
func (t *subscriptions) homeless() []placing {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.unplaced
	t.unplaced = nil
	return list
}

// again puts back what could not be placed, unless it has gone meanwhile. The caller waits before it asks for it.
func (t *subscriptions) again(list []placing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range list {
		if t.byAddr[p.sub.addr] == p.sub {
			t.unplaced = append(t.unplaced, p)
		}
	}
}

// place puts p on l.
func (t *subscriptions) place(p placing, l *lane) (calls callbacks) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := p.sub
	if t.byAddr[s.addr] != s || s.lane != nil {
		return nil // gone, or placed already
	}
	s.lane = l
	if !s.wanted {
		t.settle(s, &calls)
		return calls
	}
	t.change(s)
	return calls
}
