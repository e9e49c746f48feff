package redisbroker

import (
	"slices"
	"sync"

	"roost/hub"
)

// Bounds of what waits in memory while Redis is away.
const (
	maxSpill      = 64 << 20 // bytes
	spillOverhead = 256      // bytes a notice costs beside its texts
)

// spill holds the notices that could not be written, because Redis is away, until it is back. The courier gets them meanwhile.
// What finds no room is told by its entry in the index, without the reason. Those that were taken stay as ids, by which the index is
// compared when Redis is back; those that the index never had are forgotten then.
type spill struct {
	mu    sync.Mutex
	all   []*spilled // in order
	gone  int        // so many of all have been forgotten
	next  int        // of all, the first that was not offered
	byID  map[string]*spilled
	bytes int
}

type spilled struct {
	notice hub.Notice
	id     string
	never  bool // the index never had it
	done   bool // it has been taken, or is in the stream
	gone   bool // it has been forgotten
}

func (s *spilled) size() int { return len(s.notice.Record) + spillOverhead }

// keep takes a notice, or returns false if there is no room.
func (s *spill) keep(n hub.Notice, never bool) bool {
	one := &spilled{notice: n, id: noticeID(n.Record), never: never}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID[one.id] != nil {
		return true
	}
	if s.bytes+one.size() > maxSpill {
		return false
	}
	if s.byID == nil {
		s.byID = map[string]*spilled{}
	}
	s.all = append(s.all, one)
	s.byID[one.id] = one
	s.bytes += one.size()
	return true
}

// offer hands over what was not offered yet, as far as there is room. room is called when there is more again.
func (s *spill) offer(courier hub.Courier, room func()) {
	for {
		s.mu.Lock()
		if s.next >= len(s.all) {
			s.mu.Unlock()
			return
		}
		one := s.all[s.next]
		n, done := one.notice, one.done
		s.next++
		s.mu.Unlock()
		if done { // the roster has stored it
			continue
		}
		taken := func() { s.settle(one); room() }
		if !courier.Offer(n.Record, n.Reason, n.At, taken) {
			s.back(one)
			return
		}
	}
}

// back makes one, which had been offered last, the next to be offered.
func (s *spill) back(one *spilled) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at := s.next - 1; at >= 0; at-- {
		if s.all[at] == one {
			s.next = at
			return
		}
	}
}

// settle notes that nothing more is to be done for a notice, and lets go of its text.
func (s *spill) settle(one *spilled) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one.done {
		return
	}
	s.bytes -= len(one.notice.Record)
	one.done, one.notice = true, hub.Notice{}
	if one.never {
		s.forget(one)
		s.compact()
	}
}

// forget lets go of one. The caller holds mu, and calls compact.
func (s *spill) forget(one *spilled) {
	if one.gone {
		return
	}
	one.gone = true
	s.gone++
	s.bytes -= one.size()
	delete(s.byID, one.id)
}

// compact closes the holes, if most of all is holes. The caller holds mu.
func (s *spill) compact() {
	if s.gone <= len(s.all)/2 {
		return
	}
	next := s.next
	var all []*spilled
	for i, one := range s.all {
		switch {
		case !one.gone:
			all = append(all, one)
		case i < s.next:
			next--
		}
	}
	s.all, s.next, s.gone = all, next, 0
}

// left returns all there are, and those of them that are to be stored.
func (s *spill) left() (all, open []*spilled) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.all {
		if !one.done {
			open = append(open, one)
		}
	}
	return slices.Clone(s.all), open
}

// get returns a notice, unless it is done.
func (s *spill) get(one *spilled) (hub.Notice, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return one.notice, !one.done
}

// knows tells whether the notice with that id is here.
func (s *spill) knows(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id] != nil
}

// drop lets go of these.
func (s *spill) drop(list []*spilled) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range list {
		s.forget(one)
	}
	s.compact()
}

func (s *spill) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all) == s.gone
}
