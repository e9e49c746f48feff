package webhook

import (
	"context"
	"errors"
	"time"
)

var (
	errNoPlace = errors.New("no place in line within the timeout")
	errOpen    = errors.New("the breaker is open: the backend failed too often")
)

// enter waits until one of the places is free. Who waits longest is next. It gives up while there is still time that
// calls take of late, because a call that began later would only keep the backend busy with an answer nobody gets. Its
// errors are failures.
func (p *endpoint) enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return ended(ctx, resultQueue)
	}
	tripped, open := p.breaker.watch()
	if open {
		return &failure{result: resultOpen, err: errOpen}
	}
	select {
	case p.places <- struct{}{}:
		p.metrics.addInFlight(p.name, 1)
		return nil
	default:
	}
	p.metrics.addQueued(p.name, 1)
	defer p.metrics.addQueued(p.name, -1)
	left := time.NewTimer(p.left(ctx))
	defer left.Stop()
	select {
	case p.places <- struct{}{}:
	case <-ctx.Done():
		return ended(ctx, resultQueue)
	case <-left.C:
		return &failure{result: resultQueue, err: errNoPlace}
	case <-tripped:
		return &failure{result: resultOpen, err: errOpen}
	}
	if p.left(ctx) <= 0 {
		<-p.places
		return &failure{result: resultQueue, err: errNoPlace}
	}
	p.metrics.addInFlight(p.name, 1)
	return nil
}

func (p *endpoint) exit() {
	p.metrics.addInFlight(p.name, -1)
	<-p.places
}

// left is how long a call may still wait before it begins: what the deadline leaves, less twice what calls take of late,
// which is never taken for more than half the timeout.
func (p *endpoint) left(ctx context.Context) time.Duration {
	deadline, found := ctx.Deadline()
	if !found {
		return p.timeout
	}
	return time.Until(deadline) - min(2*time.Duration(p.typical.Load()), p.timeout/2)
}

// learn remembers how long a call took.
func (p *endpoint) learn(took time.Duration) {
	old := p.typical.Load()
	p.typical.Store(old + (int64(took)-old)/8) // a lost race costs one sample
}
