package redisbroker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Times of a lease.
const (
	defaultLease  = 15 * time.Second
	beatsPerLease = 3
	beatRetry     = 500 * time.Millisecond // after a beat that failed
	deadBeat      = time.Second            // until the next beat while somebody is dead: whoever sweeps may die too
	lookMargin    = 5 * time.Millisecond   // a lease that is about to end is looked at so long after its end
	claimPoll     = 50 * time.Millisecond  // how often a pod that was taken for dead asks whether its sweep is over
)

var errScript = errors.New("redisbroker: a script answered something else than it should")

// lease is this pod's entry in the sorted set of all pods, by which the others know that it lives. The roster takes it
// before it writes; the beats keep it, and never take it: who finds it lost must compare everything first.
type lease struct {
	keys    keys
	client  *client
	length  time.Duration
	metrics *metrics
	log     *slog.Logger

	lost func()        // called when the lease turns out not to be held
	dead chan []string // for the sweeper

	mu    sync.Mutex
	until time.Time // by this pod's clock, not later than by Redis's
	till  int64     // in ms by Redis's clock
}

func newLease(k keys, c *client, length time.Duration, m *metrics, log *slog.Logger) *lease {
	return &lease{keys: k, client: c, length: length, metrics: m, log: log, dead: make(chan []string, 1)}
}

// run beats until ctx ends.
func (l *lease) run(ctx context.Context) {
	outage := outage{log: l.log, what: "redis lease"}
	interval := l.length / beatsPerLease
	timer := time.NewTimer(interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		b, err := l.renew(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			outage.note(err)
			timer.Reset(min(interval, beatRetry))
			continue
		case !outage.since.IsZero():
			outage.end()
		}
		l.report(b.dead)
		timer.Reset(l.pause(b))
	}
}

// pause is the time until the next beat. The end of a lease that was not renewed in time is looked at when it comes, so that
// a dead pod's members do not wait for a beat.
func (l *lease) pause(b beat) time.Duration {
	pause := l.length / beatsPerLease
	if b.wait >= 0 && b.wait < pause {
		pause = b.wait + lookMargin
	}
	if len(b.dead) > 0 {
		pause = min(pause, deadBeat)
	}
	return pause
}

// renew keeps the lease, or tells that it is lost.
func (l *lease) renew(ctx context.Context) (beat, error) {
	sent := time.Now()
	b, err := l.beat(ctx, false)
	switch {
	case err != nil:
		l.metrics.renewed(resultError)
	case b.till == 0:
		l.metrics.renewed(resultLapsed)
		l.end()
		l.lost()
	default:
		l.metrics.renewed(resultOK)
		l.extend(sent, b.till)
	}
	return b, err
}

// report hands dead pods to the sweeper, unless it still has others to look at.
func (l *lease) report(dead []string) {
	if len(dead) == 0 {
		return
	}
	select {
	case l.dead <- dead:
	default:
	}
}

// take takes the lease, and waits until nobody sweeps this pod any more. What is written afterwards stays.
func (l *lease) take(ctx context.Context) error {
	sent := time.Now()
	b, err := l.beat(ctx, true)
	if err != nil {
		return err
	}
	l.extend(sent, b.till)
	c := claim{client: l.client, key: l.keys.claim(l.keys.pod)}
	for {
		if free, err := c.free(ctx); err != nil || free {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(claimPoll):
		}
	}
}

// cover makes sure that what is about to be written can be swept, should this pod have been swept itself just now.
func (l *lease) cover(ctx context.Context) error {
	till, _ := l.held()
	n, err := l.client.ZAddNX(ctx, l.keys.pods(), redis.Z{Score: float64(till), Member: l.keys.pod}).Result()
	if n > 0 {
		l.lost()
	}
	return err
}

// expire ends the lease at once, because there is something left that another pod is to sweep.
func (l *lease) expire(ctx context.Context) error {
	l.end()
	return l.client.ZAddXX(ctx, l.keys.pods(), redis.Z{Score: 1, Member: l.keys.pod}).Err()
}

// release gives the lease back, once there is nothing left to sweep.
func (l *lease) release(ctx context.Context) error {
	l.end()
	return l.client.ZRem(ctx, l.keys.pods(), l.keys.pod).Err()
}

func (l *lease) extend(sent time.Time, till int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until, l.till = sent.Add(l.length), till
}

func (l *lease) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Time{}
}

// held tells whether the lease is held as far as this pod can know, and until when by Redis's clock.
func (l *lease) held() (till int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.till, time.Now().Before(l.until)
}
