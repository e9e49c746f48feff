package gateway

import (
	"testing"
	"time"
)

// A renewal that began in time puts the end off while it is under way, for a while; those that begin afterwards do not.
func TestOver(t *testing.T) {
	end := now()
	for name, c := range map[string]struct {
		expires time.Time
		renewed time.Duration // when a renewal began, from the end on; 0: none did
		at      time.Duration
		want    bool
	}{
		"never":                             {at: time.Hour},
		"before":                            {expires: end, at: -time.Millisecond},
		"now":                               {expires: end, want: true},
		"a renewal that began before":       {expires: end, renewed: -time.Second, at: time.Second},
		"one that is stuck":                 {expires: end, renewed: -time.Second, at: renewalPatience + time.Second, want: true},
		"one that began after it":           {expires: end, renewed: time.Second, at: 2 * time.Second, want: true},
		"one that began before, and no end": {renewed: -time.Second, at: time.Hour},
	} {
		l := lifetime{expires: c.expires}
		if c.renewed != 0 {
			l.renewing = end.Add(c.renewed).UnixMilli()
		}
		if got := l.over(end.Add(c.at)); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
