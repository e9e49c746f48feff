package redisbroker

import (
	"sync"

	"roost/hub"
)

// Bounds of what waits in memory while Redis is away.
const (
	maxSpill      = 64 << 20 // bytes
	spillOverhead = 256      // bytes a notice costs beside its texts
)

// spill holds the notices that could not be written, because Redis is away, until it is back. The courier gets them meanwhile.
// What finds no room is told by its entry in the index, without the reason.
type spill struct {
	mu    sync.Mutex
	all   []*spilled // in order
	next  int        // of all, the first that was not offered
	byID  map[string]*spilled
	bytes int
}

type spilled struct {
	notice hub.Notice
	id     string
	done   bool // it has been taken, or is in the stream
}

func (s *spilled) size() int { return len(s.notice.Record) + spillOverhead }

// keep takes a notice, or returns false if there is no room.
func (s *spill) keep(n hub.Notice) bool {
	one := &spilled{notice: n, id: noticeID(n.Record)}
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
			s.mu.Lock()
			s.next = max(0, s.next-1)
			s.mu.Unlock()
			return
		}
	}
}

// settle notes that nothing more is to be done for a notice, and lets go of its text.
func (s *spill) settle(one *spilled) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !one.done {
		s.bytes -= len(one.notice.Record)
		one.done, one.notice = true, hub.Notice{}
	}
}

// left returns how many there are, and those of them that are to be stored.
func (s *spill) left() (n int, open []*spilled) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.all {
		if !one.done {
			open = append(open, one)
		}
	}
	return len(s.all), open
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

// drop lets go of the first n.
func (s *spill) drop(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.all[:n] {
		delete(s.byID, one.id)
		s.bytes -= one.size()
	}
	s.all, s.next = append([]*spilled(nil), s.all[n:]...), max(0, s.next-n)
}

func (s *spill) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all) == 0
}
