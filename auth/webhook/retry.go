package webhook

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// again waits until the nth retry of q, and tells whether it is to be made: for a connect or a join whose connection
// failed before an answer, as long as the deadline leaves time for one.
func (p *endpoint) again(ctx context.Context, q *question, n int, err error) bool {
	if n >= p.retries || q.event != connect && q.event != join || resultOf(err) != resultUnreachable {
		return false
	}
	wait := retryPause(n)
	if wait >= p.left(ctx) {
		return false
	}
	tripped, open := p.breaker.watch()
	if open {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-tripped:
		return false
	case <-ctx.Done():
		return false
	}
	p.metrics.retried(p.name, q.event)
	return true
}

// retryPause is about 0.1 s before the first retry, and twice as long before each that follows.
func retryPause(n int) time.Duration {
	b := backoff.ExponentialBackOff{InitialInterval: 100 * time.Millisecond << min(n, 4), RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: time.Second}
	b.Reset()
	return b.NextBackOff()
}
