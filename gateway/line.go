package gateway

import (
	"context"
	"slices"
	"time"

	"roost/auth"
	"roost/phoenix"
)

// grace is how long a leave or a join waits for what the client sent before it to the same topic, so that a push right
// before a leave arrives. After that, what is under way is cancelled and what waits is skipped.
const grace = 100 * time.Millisecond

// line is the work of one topic on one connection: one job at a time, in the order of arrival. It exists only while
// there is work.
type line struct {
	topic   string
	jobs    []job
	joinRef phoenix.Ref // of the newest join in it, or of the channel it began with

	number  int // of the newest job
	current int // of the job under way
	cutAt   int // of the newest leave or join: what stands before it is cut when the grace is over
	cut     int // calls before this number are skipped
	reason  auth.Reason
	hurry   *time.Timer
	stop    context.CancelCauseFunc // ends the job under way
	pushing bool                    // the job under way is a push
	calling bool                    // the job under way is a push or a join
}

// job is a message that waits, or the last words of a channel.
type job struct {
	m      phoenix.Message
	number int
	size   int

	words []byte       // to be sent when out tells that the channel is out of the roster
	out   <-chan error // nil for a message
}

// cancelled is why a call was cancelled.
type cancelled auth.Reason

func (c cancelled) Error() string { return "cancelled: " + string(c) }

// cancel ends the job under way.
func (l *line) cancel(reason auth.Reason) {
	if l.stop != nil {
		l.stop(cancelled(reason))
	}
}

// line returns the line of topic, or nil. The caller holds mu.
func (c *conn) line(topic string) *line {
	for _, l := range c.lines {
		if l.topic == topic {
			return l
		}
	}
	return nil
}

// begin begins a line. The caller holds mu, and gives it a job before it lets go of mu.
func (c *conn) begin(topic string) *line {
	l := &line{topic: topic}
	if ch := c.find(topic); ch != nil {
		l.joinRef = ch.joinRef
	}
	c.lines = append(c.lines, l)
	c.gw.work.start(func() { c.work(l) })
	return l
}

// enqueue puts m into l, which is begun if it is nil. The caller holds mu.
func (c *conn) enqueue(l *line, m *phoenix.Message) {
	// A leave or a join makes what waits before it pointless, unless it is stale.
	ending := m.Event == phoenix.EventJoin ||
		m.Event == phoenix.EventLeave && (l == nil || m.JoinRef == "" || m.JoinRef.Equal(l.joinRef))
	size := 128 + len(m.Topic) + len(m.Event) + len(m.Payload)
	if c.inbox > 0 && c.inbox+size > c.gw.cfg.InboxLimit {
		c.gw.limited(limitInbox, "connection", c.client().Connection)
		if ending && l != nil {
			c.prune(l, m.Event)
		}
		if c.inbox > 0 && c.inbox+size > c.gw.cfg.InboxLimit {
			c.refuse(m.JoinRef, m, "too many messages waiting")
			return
		}
	}
	waits := l != nil
	if !waits {
		l = c.begin(m.Topic)
	}
	l.number++
	j := job{m: *m, number: l.number, size: size}
	j.m.Payload = append(make([]byte, 0, len(m.Payload)), m.Payload...) // the frame's memory is used again
	l.jobs = append(l.jobs, j)
	c.inbox += size
	if m.Event == phoenix.EventJoin {
		l.joinRef = m.JoinRef
	}
	if waits && ending {
		l.cutAt, l.reason = j.number, endedBy(m.Event)
		if l.hurry == nil {
			l.hurry = time.AfterFunc(grace, func() { c.hurry(l) })
		}
	}
}

// endedBy returns the reason why a leave or a join ends what came before it.
func endedBy(event string) auth.Reason {
	if event == phoenix.EventJoin {
		return auth.ReasonDuplicateJoin
	}
	return auth.ReasonLeft
}

// prune skips at once what waits in l, but for leaves, which are answered, and last words. The caller holds mu.
func (c *conn) prune(l *line, event string) {
	l.cut = l.number + 1
	if l.calling {
		l.cancel(endedBy(event))
	}
	l.jobs = slices.DeleteFunc(l.jobs, func(j job) bool {
		skip := j.out == nil && j.m.Event != phoenix.EventLeave
		if skip {
			c.inbox -= j.size
		}
		return skip
	})
}

// hurry cuts what a leave or join has waited for long enough.
func (c *conn) hurry(l *line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.hurry, l.cut = nil, l.cutAt
	if l.calling && l.current < l.cut {
		l.cancel(l.reason)
	}
}

// work does the jobs of l until there are none.
func (c *conn) work(l *line) {
	c.mu.Lock()
	for len(l.jobs) > 0 && !c.closed {
		j := l.jobs[0]
		l.jobs[0] = job{}
		l.jobs = l.jobs[1:]
		c.inbox -= j.size
		l.current = j.number
		if j.out == nil && j.m.Event == phoenix.EventLeave {
			c.leave(&j.m)
			continue
		}
		if j.out == nil && j.number < l.cut {
			continue
		}
		ctx, stop := context.WithCancelCause(context.Background())
		l.stop, l.calling = stop, j.out == nil
		l.pushing = l.calling && j.m.Event != phoenix.EventJoin
		c.unlock()
		switch {
		case j.out != nil:
			c.lastWords(ctx, &j)
		case j.m.Event == phoenix.EventJoin:
			c.join(ctx, &j.m)
		default:
			c.push(ctx, &j.m)
		}
		stop(nil)
		c.mu.Lock()
		l.stop, l.calling, l.pushing = nil, false, false
	}
	if l.hurry != nil {
		l.hurry.Stop()
	}
	if i := slices.Index(c.lines, l); i >= 0 {
		c.lines = slices.Delete(c.lines, i, i+1)
	}
	if len(c.lines) == 0 {
		c.lines = nil
	}
	for _, j := range l.jobs { // the connection was closed
		c.inbox -= j.size
	}
	last := c.closed && len(c.lines) == 0
	c.unlock()
	if last {
		c.gw.disconnected(c.client(), c.reason)
	}
}

// lastWords sends what ends a channel once it is out of the roster, or Redis cannot say so in time.
func (c *conn) lastWords(ctx context.Context, j *job) {
	ctx, cancel := context.WithTimeout(ctx, c.gw.cfg.CallTimeout)
	defer cancel()
	select {
	case <-j.out:
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.unlock()
	c.put(j.words)
}
