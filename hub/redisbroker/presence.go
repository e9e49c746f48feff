package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/hub"
)

// Who is shown in a topic is written by the roster, in one order with its members: see rosterwrite.go.

// errShowTooLarge is the answer to a meta that could not be told to other pods.
var errShowTooLarge = fmt.Errorf("redisbroker: a presence is too large: %w", hub.ErrTooLarge)

// Times of telling a change where the script cannot: it goes to another slot then.
const (
	tellTries = 10
	tellPause = 500 * time.Millisecond
)

// Track implements [hub.Tracker].
func (b *Broker) Track(m hub.Member, done func(ref string, version uint64, err error)) {
	b.roster.track(m, done)
}

// Distrust implements [hub.Tracker].
func (b *Broker) Distrust() { b.roster.distrust() }

func (r *roster) track(m hub.Member, done func(ref string, version uint64, err error)) {
	if m.Presence != nil && showOp(m).size > r.limit {
		done("", 0, errShowTooLarge)
		return
	}
	if err := r.put(entry{member: m, shown: done}); err != nil {
		r.distrust()
		done("", 0, err)
	}
}

// sortShows brings what is shown and taken back in the batch into c, in order.
func (r *roster) sortShows(c *changes) {
	for i := range r.batch {
		e := &r.batch[i]
		var op presenceOp
		switch m := e.member; {
		case e.shown != nil && m.Presence != nil:
			op = showOp(m)
		case e.shown != nil:
			op = leaveOp(m)
		case e.remove && m.Presence != nil:
			op = leaveOp(m)
		default:
			continue
		}
		if e.shown != nil {
			op.entry = e
		}
		c.shows = append(c.shows, op)
	}
}

// showsOf is what members of topics with presence should show. Who lingers is not shown again: another may have taken its place.
func showsOf(members []hub.Member) (ops []presenceOp) {
	for _, m := range members {
		switch {
		case !m.Tracked:
		case m.Lingers:
			ops = append(ops, leaveOp(m))
		case m.Presence != nil:
			ops = append(ops, showOp(m))
		default:
			ops = append(ops, hideOp(m))
		}
	}
	return ops
}

// presenceCall is one call of the script.
type presenceCall struct {
	topic string
	ops   []presenceOp
	cmd   *redis.Cmd
}

type presenceCalls []presenceCall

// shows adds calls of the script to the pipeline: for each topic as many as keep what is told below limit bytes. Before is the
// time in ms before which they must be carried out, or "".
func (w *rosterWrite) shows(ctx context.Context, k keys, channel func(topic string) string, limit int, before any, ops []presenceOp) (calls presenceCalls) {
	again := ""
	if w.again {
		again = "1"
	}
	byTopic := map[string][]presenceOp{}
	for _, op := range ops {
		byTopic[op.topic] = append(byTopic[op.topic], op)
	}
	for topic, ops := range byTopic {
		for len(ops) > 0 {
			n, size := 1, ops[0].size
			for n < len(ops) && n < maxPresenceOps && size+ops[n].size < limit {
				size += ops[n].size
				n++
			}
			args := []any{channel(topic), before, again}
			for _, op := range ops[:n] {
				args = append(args, op.args...)
			}
			cmd := w.Eval(ctx, presenceScript, []string{k.presence(topic), k.shownVersion(topic)}, args...)
			w.topics = append(w.topics, &topic)
			calls = append(calls, presenceCall{topic, ops[:n], cmd})
			ops = ops[n:]
		}
	}
	return calls
}

// presenceChannel is where the script tells a topic's changes, or "" if it cannot.
func (r *roster) presenceChannel(topic string) string {
	if r.client.sharded {
		return ""
	}
	return r.keys.channel(hub.TopicAddress(topic))
}

// settle takes the results of calls that were carried out, and tells what the script could not. It returns [errClaimed] if one came
// too late.
func (r *roster) settle(calls presenceCalls) (failed error) {
	var told sync.WaitGroup
	defer told.Wait()
	for _, call := range calls {
		list, err := call.cmd.Slice()
		if err != nil {
			continue // the pipeline's error
		}
		reply, err := parsePresenceReply(list, len(call.ops))
		switch {
		case err != nil:
			failed = err
			continue
		case reply.late:
			failed = errClaimed
			continue
		}
		for i, op := range call.ops {
			if op.entry != nil {
				op.entry.ref, op.entry.version = reply.refs[i], reply.version
			}
		}
		if reply.untold != "" {
			told.Add(1)
			r.tell(call.topic, []byte(reply.untold), tellTries, told.Done)
		}
	}
	return failed
}

// tell publishes a change that the script could not. Who misses it notices with the next one. tried is called after the first try.
func (r *roster) tell(topic string, body []byte, tries int, tried func()) {
	r.publish(hub.TopicAddress(topic), body, func(err error) {
		if err != nil && tries > 1 && !errors.Is(err, ErrClosed) {
			time.AfterFunc(tellPause, func() { r.tell(topic, body, tries-1, func() {}) })
		}
		tried()
	})
}

// ReadPresence implements [hub.Tracker].
func (b *Broker) ReadPresence(ctx context.Context, topic string) (list []hub.Shown, version uint64, err error) {
	k := b.roster.keys
	version, err = b.client.Get(ctx, k.shownVersion(topic)).Uint64()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, 0, err
	}
	seen := map[string]int{} // a scan may name a field twice
	for cursor := uint64(0); ; {
		pairs, next, err := b.client.HScan(ctx, k.presence(topic), cursor, "", batchSize).Result()
		if err != nil {
			return nil, 0, err
		}
		for i := 0; i+1 < len(pairs); i += 2 {
			s, err := hub.ParseShown([]byte(pairs[i+1]))
			if err != nil {
				continue // not ours
			}
			s.Connection = pairs[i]
			if at, found := seen[s.Connection]; found {
				list[at] = s
				continue
			}
			seen[s.Connection] = len(list)
			list = append(list, s)
		}
		if cursor = next; cursor == 0 {
			return list, version, nil
		}
	}
}
