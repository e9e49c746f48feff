package redisbroker

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"roost/hub"
)

// Bounds of what waits to be written. Removes that find no room are made good like those that fail.
const (
	maxRosterEntries = 500_000
	maxRosterSize    = 128 << 20 // bytes of names and records
)

// lastRosterRetry is how long joins wait at most for the next try while Redis is away.
const lastRosterRetry = 500 * time.Millisecond

// roster writes the membership sets and the pod's index of them. What Redis holds and what it should hold may differ after
// a write that failed, after the link or the lease was lost, and at the start, if a pod of the same name was here before: then
// the roster takes the lease and compares everything before it writes anything else.
type roster struct {
	keys    keys
	client  *client
	lease   *lease
	outbox  *outbox
	queue   *batcher[entry]
	waiting atomic.Int64  // entries in the queue and in the batch
	lost    chan struct{} // tells that Redis may hold anything
	metrics *metrics
	log     *slog.Logger

	census   hub.Census   // nil if there is nobody to ask what should be there
	returner hub.Returner // nil if nobody wants to know
	publish  func(addr hub.Address, body []byte, done func(error))
	limit    int // bytes of a published body
	stale    bool
	departed departed
	refused  map[memberKey]struct{} // entries that Redis has never had, because it was away when they came
	batch    []entry
}

// entry is a call of Add, Remove or Track.
type entry struct {
	member hub.Member
	done   func(error)
	remove bool
	never  bool // it is removed, and never was in Redis

	shown   func(ref string, version uint64, err error) // of Track
	ref     string                                      // what it will be told
	version uint64
}

// enters tells whether the entry must be in the index. What shows something enters it again: the batch may arrive when the pod
// has been taken for dead, and a sweep finds what the index has.
func (e *entry) enters() bool { return !e.remove && (e.shown == nil || e.member.Presence != nil) }

func newRoster(k keys, c *client, l *lease, o *outbox, m *metrics, log *slog.Logger) *roster {
	size := func(e entry) int {
		return len(e.member.Topic) + len(e.member.Connection) + len(e.member.JoinRef) + len(e.member.Notice.Record)
	}
	return &roster{
		keys: k, client: c, lease: l, outbox: o, metrics: m, log: log,
		queue: newBatcher(maxRosterEntries, maxRosterSize, size),
		lost:  make(chan struct{}, 1), refused: map[memberKey]struct{}{},
	}
}

func (r *roster) add(m hub.Member, done func(error)) {
	if err := r.put(entry{member: m, done: done}); err != nil {
		tell(done, err)
	}
}

func (r *roster) remove(m hub.Member, done func(error)) {
	if err := r.put(entry{member: m, done: done, remove: true}); err != nil {
		r.outbox.keep(m.Notice, false)
		r.distrust()
		tell(done, err)
	}
}

func (r *roster) put(e entry) error {
	r.waiting.Add(1)
	err := r.queue.put(e)
	if err != nil {
		r.waiting.Add(-1)
	}
	return err
}

// distrust makes the roster compare everything.
func (r *roster) distrust() {
	select {
	case r.lost <- struct{}{}:
	default:
	}
}

// run writes until the queue is closed and empty. ctx bounds the commands.
func (r *roster) run(ctx context.Context) {
	r.stale = true
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = firstRetry, lastRosterRetry
	outage := outage{log: r.log, what: "redis roster"}
	for {
		began := time.Now()
		err := r.turn(ctx)
		if r.queue.drained() {
			return
		}
		if err != nil {
			outage.note(err)
			r.wait(nil, time.After(retry.NextBackOff()))
			continue
		}
		if !outage.since.IsZero() {
			outage.end()
		}
		retry.Reset()
		r.wait(r.queue.wake, nil)
		rest(began)
	}
}

// wait waits until there is something to write, or Redis may hold anything, or it is time to try again.
func (r *roster) wait(work <-chan struct{}, again <-chan time.Time) {
	select {
	case <-work:
	case <-r.lost:
		r.stale = true
	case <-again:
	case <-r.queue.closing:
	}
}

// turn makes good what may be wrong, and writes the next batch. If it fails, so has everything that waited.
func (r *roster) turn(ctx context.Context) error {
	if _, held := r.lease.held(); r.stale || !held {
		r.stale = true
		if err := r.reconcile(ctx); err != nil {
			r.refuse(err)
			return err
		}
		r.stale = false
		clear(r.refused)
	}
	r.batch = r.queue.take(r.batch[:0], batchSize)
	if len(r.batch) == 0 {
		return nil
	}
	unusable, err := r.store(ctx, r.sorted())
	if err != nil {
		r.stale = true
	}
	r.end(unusable, err)
	return err
}

// refuse fails all that waits. Removes are made good by the next comparison.
func (r *roster) refuse(err error) {
	for {
		if r.batch = r.queue.take(r.batch[:0], batchSize); len(r.batch) == 0 {
			return
		}
		for i := range r.batch {
			r.noteRefused(&r.batch[i])
		}
		r.end(nil, err)
	}
}

// noteRefused remembers that e was not entered, or tells e that it is the end of what never was. What changes an entry while Redis is
// away counts as new: at worst its end is told twice.
func (r *roster) noteRefused(e *entry) {
	key := keyOf(e.member)
	switch {
	case e.remove:
		_, e.never = r.refused[key]
		delete(r.refused, key)
	case e.shown == nil:
		r.refused[key] = struct{}{}
	}
}

// end tells everyone in the batch how it ended.
func (r *roster) end(unusable topicErrors, whole error) {
	failed := 0
	for _, e := range r.batch {
		err := whole
		if err == nil {
			err = unusable[e.member.Topic]
		}
		if err != nil {
			failed++
		}
		if whole != nil && e.remove {
			r.outbox.keep(e.member.Notice, e.never)
		}
		tell(e.done, err)
		if e.shown != nil {
			e.shown(e.ref, e.version, err)
		}
	}
	r.metrics.wrote(resultError, failed)
	r.metrics.wrote(resultOK, len(r.batch)-failed)
	r.waiting.Add(-int64(len(r.batch)))
	clear(r.batch)
}

// changes are entries to write and entries to take back, none in both, and what is to be told.
type changes struct {
	add, remove []hub.Member
	quit        []hub.Member // they leave the sets, and stay in the index
	notices     []*hub.Notice
	shows       []presenceOp // in order
}

// sorted brings the batch into changes. Where calls for one entry meet in a batch, the last one wins; what is to be told is
// told of each.
func (r *roster) sorted() changes {
	var c changes
	removes := 0
	for i := range r.batch {
		if e := &r.batch[i]; e.remove {
			removes++
			if r.outbox.courier != nil && e.member.Notice.Record != "" {
				c.notices = append(c.notices, &e.member.Notice)
			}
		}
	}
	r.sortShows(&c)
	if removes == 0 {
		c.add = make([]hub.Member, 0, len(r.batch))
		for _, e := range r.batch {
			if e.enters() {
				c.add = append(c.add, e.member)
			}
		}
		return c
	}
	seen := make(map[memberKey]struct{}, len(r.batch))
	for _, e := range slices.Backward(r.batch) {
		if !e.remove && !e.enters() {
			continue
		}
		key := keyOf(e.member)
		if _, ok := seen[key]; ok {
			continue
		}
		seen[key] = struct{}{}
		switch {
		case e.remove && e.member.Lingers:
			c.quit = append(c.quit, e.member)
			c.add = append(c.add, hub.Member{Topic: e.member.Topic, Connection: e.member.Connection, Unlisted: true})
		case e.remove:
			c.remove = append(c.remove, e.member)
		default:
			c.add = append(c.add, e.member)
		}
	}
	return c
}

// memberKey is what tells two entries apart.
type memberKey struct {
	topic, connection string
	bare              bool
}

func keyOf(m hub.Member) memberKey { return memberKey{m.Topic, m.Connection, m.Bare} }
