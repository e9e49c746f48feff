package redisbroker

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"roost/hub"
)

// topicErrors says for which topics nothing can be written. That is no reason for any other topic to wait.
type topicErrors map[string]error

// topicMarks are in the errors that no other topic gets: somebody put another type under a key of the topic, or what a script
// cannot read, or a cluster has its keys in different slots. redis.call within a script tells of "@user_script:".
var topicMarks = []string{"WRONGTYPE ", "CROSSSLOT ", " user_script:"}

// ofTopic tells whether err is the answer to a command for one topic that says nothing of the others.
func ofTopic(err error) bool {
	return slices.ContainsFunc(topicMarks, func(mark string) bool { return strings.Contains(err.Error(), mark) })
}

// rosterWrite is a pipeline, and the topics of its commands.
type rosterWrite struct {
	redis.Pipeliner
	topics   []*string // of each command, nil for the lease and the index
	unusable topicErrors
	again    bool // shows are told even if they change nothing
}

// store writes c, and remembers who leaves by it where another server may not have heard of that.
func (r *roster) store(ctx context.Context, c changes) (topicErrors, error) {
	if r.client.failsOver {
		r.departed.note(c.remove)
		r.departed.note(c.quit)
	}
	return r.write(ctx, c)
}

// write writes c. What is told must be in the stream before the index forgets it, and the index holds what is in a set
// before it is and until it is not, and so with who is shown: so sets lose members first, then come the notices, then what the
// index gains, then who is shown, then what the index loses, then what sets gain. One server keeps the order of a pipeline; in a
// cluster the steps go one after the other. What the script of who is shown cannot publish is published before the index forgets it, and
// again in a comparison. After an error anything may have been written.
//
// An index or a stream that no lease covers would never be swept, so a lease that Redis has lost comes back with the first of
// either.
func (r *roster) write(ctx context.Context, c changes) (topicErrors, error) {
	w := rosterWrite{Pipeliner: r.client.Pipeline(), again: r.stale && r.client.sharded}
	var leases *redis.IntCmd
	if len(c.add) > 0 || len(c.notices) > 0 {
		till, _ := r.lease.held()
		leases = w.ZAddNX(ctx, r.keys.pods(), redis.Z{Score: float64(till), Member: r.keys.pod})
		w.topics = append(w.topics, nil)
	}
	leave := func(topic string, ids []any) { w.SRem(ctx, r.keys.members(topic), ids...) }
	w.sets(c.remove, leave)
	w.sets(c.quit, leave)
	var shows presenceCalls
	var late error
	for _, step := range []func(){
		func() { w.notices(ctx, r.outbox, c.notices) },
		func() { w.enter(ctx, r.keys.index(), c.add) },
		func() { shows = w.shows(ctx, r.keys, r.presenceChannel, r.limit, "", c.shows) },
		func() {
			if r.client.sharded {
				late, shows = r.settle(shows), nil
			}
		},
		func() { w.forget(ctx, r.keys.index(), c.remove) },
		func() { w.sets(c.add, func(topic string, ids []any) { w.SAdd(ctx, r.keys.members(topic), ids...) }) },
	} {
		if r.client.cluster != nil || r.client.sharded && len(shows) > 0 {
			if err := w.exec(ctx); err != nil {
				_ = r.settle(shows) // some may have been carried out
				return nil, err
			}
		}
		step()
	}
	err := w.exec(ctx)
	if leases != nil && leases.Val() > 0 {
		r.distrust()
	}
	if err == nil && len(c.notices) > 0 {
		r.outbox.written()
	}
	if e := r.settle(shows); late == nil {
		late = e
	}
	if err == nil {
		err = late
	}
	return w.unusable, err
}

func (w *rosterWrite) notices(ctx context.Context, o *outbox, notices []*hub.Notice) {
	for _, n := range notices {
		o.add(ctx, w, n)
		w.topics = append(w.topics, nil)
	}
}

// enter puts members into the index.
func (w *rosterWrite) enter(ctx context.Context, key string, members []hub.Member) {
	if len(members) > 0 {
		fields := make([]any, 0, 2*len(members))
		for _, m := range members {
			fields = append(fields, indexField(m), indexValue(m))
		}
		w.HSet(ctx, key, fields...)
		w.topics = append(w.topics, nil)
	}
}

// forget takes members out of the index.
func (w *rosterWrite) forget(ctx context.Context, key string, members []hub.Member) {
	if len(members) > 0 {
		fields := make([]string, 0, len(members))
		for _, m := range members {
			fields = append(fields, indexField(m))
		}
		w.HDel(ctx, key, fields...)
		w.topics = append(w.topics, nil)
	}
}

// sets calls command once for each topic of those members that are in sets. It sorts members.
func (w *rosterWrite) sets(members []hub.Member, command func(topic string, connections []any)) {
	slices.SortFunc(members, func(a, b hub.Member) int { return cmp.Compare(a.Topic, b.Topic) })
	for len(members) > 0 {
		topic, n := members[0].Topic, 1
		for n < len(members) && members[n].Topic == topic {
			n++
		}
		connections := make([]any, 0, n)
		for _, m := range members[:n] {
			if listed(m) {
				connections = append(connections, m.Connection)
			}
		}
		if len(connections) > 0 {
			command(topic, connections)
			w.topics = append(w.topics, &topic)
		}
		members = members[n:]
	}
}

// exec sends the commands so far.
func (w *rosterWrite) exec(ctx context.Context) error {
	if w.Len() == 0 {
		return nil
	}
	cmds, err := w.Exec(ctx)
	topics := w.topics
	w.topics = w.topics[:0]
	if err == nil {
		return nil
	}
	if len(cmds) != len(topics) {
		return err
	}
	for i, cmd := range cmds {
		err := cmd.Err()
		switch {
		case err == nil:
		case topics[i] != nil && ofTopic(err):
			if w.unusable == nil {
				w.unusable = topicErrors{}
			}
			w.unusable[*topics[i]] = err
		default:
			return err
		}
	}
	return nil
}
