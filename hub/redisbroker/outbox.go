package redisbroker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/redis/go-redis/v9"

	"roost/hub"
)

// noticesPerRead is how many notices are read at a time.
const noticesPerRead = 256

// outbox keeps notices in a stream of this pod until the backend has taken them. There is one way for all of them: written to
// the stream, by the roster or the sweeper, read back from it, and offered to the courier in the stream's order. What the
// courier has no room for stays where it is. Only what could not be written waits in memory, see [spill].
type outbox struct {
	keys    keys
	client  *client
	maxAge  time.Duration
	courier hub.Courier // nil if there is no backend to tell
	metrics *metrics
	log     *slog.Logger
	wake    chan struct{}
	spill   spill

	mu      sync.Mutex
	cursor  string              // id of the last entry that was offered
	unread  bool                // there may be more behind it
	reading bool                // right now
	stuck   bool                // the courier had no room
	taken   []string            // ids of entries to delete
	offered map[string]struct{} // ids of entries that the courier has
}

func newOutbox(k keys, c *client, maxAge time.Duration, m *metrics, log *slog.Logger) *outbox {
	return &outbox{keys: k, client: c, maxAge: maxAge, metrics: m, log: log, wake: make(chan struct{}, 1), cursor: "0", offered: map[string]struct{}{}}
}

// written tells that there is something new in the stream.
func (o *outbox) written() {
	o.mu.Lock()
	o.unread = true
	o.mu.Unlock()
	o.signal()
}

// rewind makes the outbox read all of the stream again: what Redis holds may be another stream now.
func (o *outbox) rewind() {
	o.mu.Lock()
	o.cursor, o.unread = "0", true
	o.mu.Unlock()
	o.signal()
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// run offers notices, and deletes those that were taken, until ctx ends and then once more.
func (o *outbox) run(ctx context.Context) {
	if o.courier == nil {
		return
	}
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = firstRetry, lastRosterRetry
	failing := outage{log: o.log, what: "notices"}
	trim := time.NewTicker(trimInterval)
	defer trim.Stop()
	for {
		began := time.Now()
		err := o.turn(ctx)
		var again <-chan time.Time
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failing.note(err)
			again = time.After(retry.NextBackOff())
		default:
			if !failing.since.IsZero() {
				failing.end()
			}
			retry.Reset()
		}
		select {
		case <-ctx.Done():
			return
		case <-again:
		case <-o.wakeUnless(err):
			rest(began)
		case <-trim.C:
			o.trim(ctx)
		}
	}
}

// wakeUnless returns what tells of work, or nil after an error: then it is tried again in a while.
func (o *outbox) wakeUnless(err error) <-chan struct{} {
	if err != nil {
		return nil
	}
	return o.wake
}

// turn does what there is to do.
func (o *outbox) turn(ctx context.Context) error {
	if err := o.forget(ctx); err != nil {
		o.offerSpill()
		return err
	}
	for {
		more, err := o.read(ctx)
		if err != nil || !more {
			o.offerSpill()
			return err
		}
	}
}

// offerSpill offers what could not be written, unless something older could not be read: the order counts.
func (o *outbox) offerSpill() {
	o.mu.Lock()
	behind := o.unread
	o.mu.Unlock()
	if !behind {
		o.spill.offer(o.courier, o.room)
	}
}

// read offers the next notices of the stream, and tells whether there may be more.
func (o *outbox) read(ctx context.Context) (more bool, err error) {
	o.mu.Lock()
	cursor := o.cursor
	if !o.unread || o.stuck {
		o.mu.Unlock()
		return false, nil
	}
	o.unread, o.reading = false, true // unread until somebody writes
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.reading = false
		o.unread = o.unread || more || err != nil
	}()
	entries, err := o.client.XRangeN(ctx, o.keys.notices(o.keys.pod), after(cursor), "+", noticesPerRead).Result()
	if err != nil {
		return false, err
	}
	for i := range entries {
		if !o.offer(cursor, &entries[i]) {
			return false, nil
		}
		cursor = entries[i].ID
	}
	return len(entries) == noticesPerRead, nil
}

// offer hands one entry to the courier. It returns false if that has no room, or if the outbox was rewound.
func (o *outbox) offer(before string, entry *redis.XMessage) bool {
	n, id := parseNotice(entry.Values), entry.ID
	o.mu.Lock()
	if o.cursor != before {
		o.mu.Unlock()
		o.signal()
		return false
	}
	o.cursor = id
	_, has := o.offered[id]
	o.offered[id] = struct{}{}
	o.stuck = true // before it is asked: what the courier has may be taken before the answer
	o.mu.Unlock()
	taken := has || o.courier.Offer(n.Record, n.Reason, n.At, func() { o.take(id) })
	o.mu.Lock()
	defer o.mu.Unlock()
	if taken {
		o.stuck = false
		return true
	}
	delete(o.offered, id)
	o.unread = true
	if o.cursor == id {
		o.cursor = before
	}
	return false
}

// take notes that the backend has taken an entry, or that it was given up.
func (o *outbox) take(id string) {
	o.mu.Lock()
	delete(o.offered, id)
	o.taken = append(o.taken, id)
	o.mu.Unlock()
	o.room()
}

// room tells that the courier has room again.
func (o *outbox) room() {
	o.mu.Lock()
	o.stuck = false
	o.mu.Unlock()
	o.signal()
}

// settled tells whether all notices have been taken, and deleted.
func (o *outbox) settled() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.unread && !o.reading && len(o.offered) == 0 && len(o.taken) == 0 && o.spill.empty()
}

// keep takes a notice that could not be written. With never, nothing in Redis tells of it, so that it can be forgotten once it was
// taken.
func (o *outbox) keep(n hub.Notice, never bool) {
	if o.courier == nil || n.Record == "" {
		return
	}
	if !o.spill.keep(n, never) {
		o.metrics.lost(lostOverflow, 1)
	}
	o.signal()
}

// ending returns the notice of an entry of the index whose end nobody has told, or nil if there is none to tell.
func (o *outbox) ending(m *hub.Member) *hub.Notice {
	if o.courier == nil || m.Notice.Record == "" || o.spill.knows(noticeID(m.Notice.Record)) {
		return nil
	}
	return &hub.Notice{Record: m.Notice.Record, At: time.Now()}
}
