package gateway

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whoever takes all it can gets what the rate says, within 5 %, however it asks.
func TestBucketHoldsItsRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Rate{N: rapid.IntRange(2, maxTestRate).Draw(t, "n"), Per: rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour}).Draw(t, "per")}
		m := r.meter(0)
		var b bucket
		taken, now := 0, time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "begin"))
		begin := now
		for b.take(m, now) {
			taken++
		}
		if taken != r.N {
			t.Fatalf("%+v: got %d at once, want %d", r, taken, r.N)
		}
		// After a longer pause the bucket would be full before its end.
		pauses := rapid.SliceOfN(rapid.Int64Range(1, int64(m.depth-m.step)), 1, 20).Draw(t, "pauses")
		for _, pause := range pauses {
			now += time.Duration(pause)
			for b.take(m, now) {
				taken++
			}
		}
		want := float64(r.N) * (1 + float64(now-begin)/float64(r.Per))
		if got := float64(taken); got > want*1.05 || got < want*0.95-1 {
			t.Fatalf("%+v: got %d in %v, want %.1f", r, taken, now-begin, want)
		}
	})
}

const maxTestRate = 20_000

func TestBucketWaits(t *testing.T) {
	m := Rate{N: 2, Per: time.Second}.meter(0)
	var b bucket
	for _, c := range []struct {
		now  time.Duration
		want bool
		wait time.Duration // after it
	}{
		{time.Minute, true, 0},
		{time.Minute, true, 500 * time.Millisecond},
		{time.Minute + 499*time.Millisecond, false, time.Millisecond},
		{time.Minute + 500*time.Millisecond, true, 500 * time.Millisecond},
		{time.Hour, true, 0}, // what was not used does not pile up
		{time.Hour, true, 500 * time.Millisecond},
		{time.Hour, false, 500 * time.Millisecond},
	} {
		if got := b.take(m, c.now); got != c.want {
			t.Errorf("at %v: got %t, want %t", c.now, got, c.want)
		}
		if got := b.wait(m, c.now); got != c.wait {
			t.Errorf("at %v: got a wait of %v, want %v", c.now, got, c.wait)
		}
	}
}
