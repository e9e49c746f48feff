package redisbroker

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// probeAge is how old the last probe that came back may be in a pod that is well.
const probeAge = 5 * time.Second

var errUnproved = errors.New("no message has come back from Redis for 5 s")

// seen is when the link last brought something.
type seen struct {
	messages atomic.Uint64 // how many

	mu      sync.Mutex
	up      bool
	counted uint64    // of messages
	message time.Time // the last one, as far as somebody looked
	probe   time.Time
}

func (s *seen) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.up, s.message, s.probe = true, time.Now(), time.Time{}
}

func (s *seen) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.up = false
}

// look notes whether messages came since the last time. Somebody looks every second, so that no message needs a clock.
func (s *seen) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.messages.Load(); n != s.counted {
		s.counted, s.message = n, time.Now()
	}
}

// probed notes a probe that came back.
func (s *seen) probed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.probe = time.Now()
	s.message = s.probe
}

// age is how long ago the last message came, if the link stands.
func (s *seen) age() (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.message.IsZero() {
		return 0, false
	}
	return time.Since(s.message), s.up
}

// proved tells whether a probe came back not long ago.
func (s *seen) proved() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.up || time.Since(s.probe) > probeAge {
		return errUnproved
	}
	return nil
}
