package webhook

import (
	"errors"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// BreakerConfig says when calls of a backend that fails are answered at once, without asking it.
type BreakerConfig struct {
	Ratio    float64       // of calls that fail or are slow, 0 to 1, opens it; negative: never. Default: 0.5
	MinCalls int           // calls within Window before Ratio counts. Default: 20
	Window   time.Duration // how far back calls count. Default: 10s
	Pause    time.Duration // how long it stays open before it probes. Default: 2s
	Slow     time.Duration // an answer that takes longer counts as failed; negative: none does. Default: four fifths of the timeout
}

func (c BreakerConfig) withDefaults() BreakerConfig {
	if c.Ratio == 0 {
		c.Ratio = 0.5
	}
	set(&c.MinCalls, 20)
	set(&c.Window, 10*time.Second)
	set(&c.Pause, 2*time.Second)
	return c
}

// probes is how many calls an open breaker lets through after its pause. All of them must do well to close it.
const probes = 3

// buckets is into how many parts the window is divided: so much of it is forgotten at once.
const buckets = 10

// breaker stands in front of a backend. Nil is valid and always closed.
type breaker struct {
	circuit *gobreaker.TwoStepCircuitBreaker[struct{}]
	slow    time.Duration

	mu      sync.Mutex
	tripped chan struct{} // closed when it opens next
}

// Outcomes that are not what they seem to be.
var (
	errSlow   = errors.New("slow")
	errNoWord = errors.New("cancelled")
)

// newBreaker returns a breaker that calls turned when it opens and when it closes.
func newBreaker(c BreakerConfig, timeout time.Duration, turned func(open bool)) *breaker {
	if c.Ratio < 0 {
		return nil
	}
	b := &breaker{slow: c.Slow, tripped: make(chan struct{})}
	if b.slow == 0 {
		b.slow = timeout * 4 / 5
	}
	b.circuit = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:  probes,
		Interval:     c.Window,
		BucketPeriod: max(c.Window/buckets, time.Millisecond),
		Timeout:      c.Pause,
		ReadyToTrip: func(n gobreaker.Counts) bool {
			known := n.TotalSuccesses + n.TotalFailures
			return int64(known) >= int64(c.MinCalls) && float64(n.TotalFailures) >= c.Ratio*float64(known)
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errNoWord) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				b.trip()
			}
			if from == gobreaker.StateClosed || to == gobreaker.StateClosed {
				turned(to == gobreaker.StateOpen)
			}
		},
	})
	return b
}

// trip wakes who waits in line.
func (b *breaker) trip() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.tripped)
	b.tripped = make(chan struct{})
}

// watch tells whether the breaker is open, and returns what is closed when it opens.
func (b *breaker) watch() (tripped <-chan struct{}, open bool) {
	if b == nil {
		return nil, false
	}
	b.mu.Lock()
	tripped = b.tripped
	b.mu.Unlock()
	return tripped, b.circuit.State() == gobreaker.StateOpen
}

// allow asks for one call. settle must be told what became of it.
func (b *breaker) allow() (settle func(res result, took time.Duration), err error) {
	if b == nil {
		return func(result, time.Duration) {}, nil
	}
	done, err := b.circuit.Allow()
	if err != nil {
		return nil, &failure{result: resultOpen, err: errOpen}
	}
	return func(res result, took time.Duration) { done(b.verdict(res, took)) }, nil
}

// verdict says how a call counts. A no is an answer; a call that nobody wanted to the end says nothing, unless it was slow.
func (b *breaker) verdict(res result, took time.Duration) error {
	switch {
	case b.slow > 0 && took > b.slow:
		return errSlow
	case res == resultOK || res == resultRefused:
		return nil
	case res == resultCanceled:
		return errNoWord
	default:
		return errors.New(string(res))
	}
}

// state is what the metric breaker_state says: 0 closed, 1 half open, 2 open.
func (b *breaker) state() float64 {
	if b == nil {
		return 0
	}
	return float64(b.circuit.State())
}
