package redisbroker

import (
	"log/slog"
	"time"
)

// outage logs that something does not work: once when it begins, once a minute while it lasts, and when it is over.
type outage struct {
	log           *slog.Logger
	what          string
	since, logged time.Time
}

// note logs err, unless there was a line less than a minute ago.
func (o *outage) note(err error) {
	now := time.Now()
	if o.since.IsZero() {
		o.since = now
	} else if now.Sub(o.logged) < time.Minute {
		return
	}
	o.logged = now
	o.log.Warn(o.what+" down", "err", err, "away", now.Sub(o.since).Round(time.Millisecond))
}

// end tells how long it was.
func (o *outage) end() {
	if o.since.IsZero() {
		o.log.Info(o.what + " up")
		return
	}
	o.log.Info(o.what+" up", "away", time.Since(o.since).Round(time.Millisecond))
	o.since = time.Time{}
}
