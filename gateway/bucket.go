package gateway

import "time"

// Rate is how many of something may happen in a time: N per Per. The zero value sets no limit.
type Rate struct {
	N   int
	Per time.Duration
}

// meter is a [Rate] made ready: one more every step, and as many at once as depth has steps. The zero value lets all pass.
type meter struct{ step, depth time.Duration }

// meter returns the meter of r, which lets r.N pass at once, or atOnce if that is more.
func (r Rate) meter(atOnce int) meter {
	if r.N <= 0 || r.Per <= 0 {
		return meter{}
	}
	step := max(r.Per/time.Duration(r.N), 1)
	return meter{step, step * time.Duration(max(r.N, atOnce))}
}

// patient is m for what should not happen: as much at once, and a tenth as often.
func (m meter) patient() meter { return meter{10 * m.step, 10 * m.depth} }

// bucket is a token bucket in eight bytes: the moment when it will be full again, by a clock of its owner's. The zero value
// is full.
type bucket time.Duration

// take takes one token, or tells that there is none.
func (b *bucket) take(m meter, now time.Duration) bool {
	full := max(time.Duration(*b), now) + m.step
	if full-now > m.depth {
		return false
	}
	*b = bucket(full)
	return true
}

// wait returns how long it is until there is a token.
func (b bucket) wait(m meter, now time.Duration) time.Duration {
	return max(max(time.Duration(b), now)+m.step-now-m.depth, 0)
}
