package redisbroker

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestOutageLog: an outage of ten minutes is logged when it begins, once a minute, and when it is over.
func TestOutageLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text strings.Builder
		o := outage{log: slog.New(slog.NewTextHandler(&text, nil)), what: "redis link"}
		o.end() // the first time it stands
		for range 600 / 2 {
			o.note(errors.New("refused"))
			time.Sleep(2 * time.Second)
		}
		o.end()
		o.note(errors.New("refused"))
		for line, want := range map[string]int{
			`level=INFO msg="redis link up"` + "\n":            1,
			`level=WARN msg="redis link down" err=refused`:     11,
			`level=INFO msg="redis link up" away=10m0s` + "\n": 1,
			"away=1m0s\n": 1, "away=9m0s\n": 1, "away=0s\n": 2,
		} {
			if got := strings.Count(text.String(), line); got != want {
				t.Errorf("got %d lines %q, want %d, in\n%s", got, line, want, text.String())
			}
		}
	})
}
