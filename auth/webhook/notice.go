package webhook

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"roost/auth"
)

// Why notices are dropped, as the metric notices_dropped_total says it.
const (
	droppedOverflow = "overflow" // more than Config.NoticeLimit waited
	droppedExpired  = "expired"  // it failed and was older than Config.NoticeMaxAge
	droppedStopped  = "stopped"  // the pod stopped first
	droppedUnwanted = "unwanted" // it was kept when Config.Events named it, or it is none
)

// noticeOverhead is about what a notice costs beside its body, in bytes.
const noticeOverhead = 512

// dropLogInterval is how often dropped notices are logged, at most.
const dropLogInterval = 10 * time.Second

// notice is one leave or disconnect that the backend has not taken yet.
type notice struct {
	event      event
	id         string
	connection string
	data       string
	reason     auth.Reason
	at         time.Time
	taken      []func() // of those who keep it until the backend has taken it; nil if only this queue has it
}

// newNotice returns the notice that record and reason make, or nil if record is none.
func newNotice(record string, reason auth.Reason, at time.Time) *notice {
	id, e, connection, data, ok := parseRecord(record)
	if !ok {
		return nil
	}
	return &notice{event: e, id: id, connection: connection, data: data, reason: reason, at: at}
}

func (n *notice) body() []byte { return noticeBody(n.event, n.data, n.reason, n.at) }

func (n *notice) size() int { return len(n.data) + noticeOverhead }

// release tells those who keep the notice that they need not any more.
func (n *notice) release() {
	for _, taken := range n.taken {
		taken()
	}
}

// line holds the notices of one connection, in order. It is in one place at a time: among the ready ones, with the lane that
// sends its first notice, or waiting for its timer after that failed.
type line struct {
	connection string
	queue      []*notice
	wait       *backoff.ExponentialBackOff
	timer      *time.Timer
}

// notices is all that waits to be sent. Its methods do not block, but for next.
type notices struct {
	limit   int
	maxAge  time.Duration
	metrics *metrics
	log     *slog.Logger

	mu      sync.Mutex
	changed *sync.Cond // ready, count, ending or stopped
	lines   map[string]*line
	ready   []*line
	count   int
	bytes   int
	ending  bool // nothing comes any more
	stopped bool // nothing is sent any more
	closed  bool // nothing is taken any more

	unlogged int // dropped since the last log line
	logged   time.Time
}

func (q *notices) init(config Config, m *metrics) {
	q.limit, q.maxAge, q.metrics, q.log = config.NoticeLimit, config.NoticeMaxAge, m, config.Logger
	q.lines = make(map[string]*line)
	q.changed = sync.NewCond(&q.mu)
}

// put takes a notice, or drops it if too many wait.
func (q *notices) put(n *notice) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		q.drop(droppedStopped, 1)
	case q.bytes+n.size() > q.limit:
		q.drop(droppedOverflow, 1)
	default:
		q.add(n)
	}
}

// offer takes a notice that is kept elsewhere, unless too many wait. One that waits already is not sent twice.
func (q *notices) offer(n *notice) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	if l := q.lines[n.connection]; l != nil {
		if i := slices.IndexFunc(l.queue, func(o *notice) bool { return o.id == n.id }); i >= 0 {
			l.queue[i].taken = append(l.queue[i].taken, n.taken...)
			return true
		}
	}
	if q.count > 0 && q.bytes+n.size() > q.limit {
		return false
	}
	q.add(n)
	return true
}

// refuse counts a notice that the backend does not want.
func (q *notices) refuse() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drop(droppedUnwanted, 1)
}

// add puts a notice behind those of its connection.
func (q *notices) add(n *notice) {
	q.count++
	q.bytes += n.size()
	q.metrics.addPending(1)
	l := q.lines[n.connection]
	if l == nil {
		l = &line{connection: n.connection}
		q.lines[n.connection] = l
		q.push(l)
	}
	l.queue = append(l.queue, n)
}

// next waits for a notice that may be sent now. It returns nil when there will be none.
func (q *notices) next() (*line, *notice) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.ready) == 0 || q.stopped {
		if q.stopped || q.ending && q.count == 0 {
			return nil, nil
		}
		q.changed.Wait()
	}
	l := q.ready[0]
	q.ready[0] = nil
	q.ready = q.ready[1:]
	return l, l.queue[0]
}

// settle says what became of n, the first notice of l.
func (q *notices) settle(l *line, n *notice, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case err == nil:
	case q.stopped:
		return // close counts it
	case time.Since(n.at) > q.maxAge:
		q.drop(droppedExpired, 1)
	default:
		q.park(l)
		return
	}
	l.wait = nil
	l.queue[0] = nil
	l.queue = l.queue[1:]
	q.count--
	q.bytes -= n.size()
	q.metrics.addPending(-1)
	n.release()
	if len(l.queue) > 0 {
		q.push(l)
		return
	}
	delete(q.lines, l.connection)
	if q.count == 0 {
		q.changed.Broadcast()
	}
}

// push makes l ready.
func (q *notices) push(l *line) {
	q.ready = append(q.ready, l)
	q.changed.Signal()
}

// park makes l ready after a while: longer each time, and never the same for all.
func (q *notices) park(l *line) {
	if l.wait == nil {
		l.wait = &backoff.ExponentialBackOff{
			InitialInterval:     250 * time.Millisecond,
			RandomizationFactor: 0.5,
			Multiplier:          2,
			MaxInterval:         30 * time.Second,
		}
		l.wait.Reset()
	}
	var timer *time.Timer
	timer = time.AfterFunc(l.wait.NextBackOff(), func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if l.timer == timer {
			l.timer = nil
			q.push(l)
		}
	})
	l.timer = timer
}

// flush makes all ready that is parked.
func (q *notices) flush() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unpark(q.push)
}

// end makes next end when nothing is left.
func (q *notices) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ending = true
	q.unpark(q.push)
	q.changed.Broadcast()
}

// stop ends next.
func (q *notices) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
	q.changed.Broadcast()
}

// close drops all that comes, and what is left unless it is kept elsewhere.
func (q *notices) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.unpark(func(*line) {})
	q.metrics.addPending(-float64(q.count))
	lost := 0
	for _, l := range q.lines {
		for _, n := range l.queue {
			if n.taken == nil {
				lost++
			}
		}
	}
	q.logged = time.Time{} // the last word is always logged
	q.drop(droppedStopped, lost)
	q.lines, q.ready, q.count, q.bytes = nil, nil, 0, 0
}

// unpark stops all timers and calls then for their lines.
func (q *notices) unpark(then func(*line)) {
	for _, l := range q.lines {
		if l.timer != nil {
			l.timer.Stop()
			l.timer = nil
			then(l)
		}
	}
}

// lag is the age of the oldest notice, in seconds.
func (q *notices) lag() float64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	oldest := time.Now()
	for _, l := range q.lines {
		if n := l.queue[0]; n.at.Before(oldest) {
			oldest = n.at
		}
	}
	return time.Since(oldest).Seconds()
}

// drop counts n lost notices, and logs them unless it did so just now.
func (q *notices) drop(reason string, n int) {
	q.metrics.addDropped(reason, float64(n))
	q.unlogged += n
	if q.unlogged > 0 && time.Since(q.logged) >= dropLogInterval {
		q.log.Error("webhook notices dropped", "reason", reason, "count", q.unlogged)
		q.unlogged, q.logged = 0, time.Now()
	}
}
