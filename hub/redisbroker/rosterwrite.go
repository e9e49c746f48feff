package redisbroker

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"roost/hub"
)

// topicErrors says for which topics nothing can be written, because somebody put another type under the key of the set.
// That is no reason for any other topic to wait.
type topicErrors map[string]error

// rosterWrite is a pipeline, and the topics of its commands.
type rosterWrite struct {
	redis.Pipeliner
	topics   []string // of each command, "" for the lease and the index
	unusable topicErrors
}

// store writes c: the index before the sets it covers, and the sets before the index that no longer does. One server keeps
// the order of a pipeline; in a cluster the steps go one after the other. After an error anything may have been written.
//
// An index that no lease covers would never be swept, so a lease that Redis has lost comes back with the first entry.
func (r *roster) store(ctx context.Context, c changes) (topicErrors, error) {
	w := rosterWrite{Pipeliner: r.client.Pipeline()}
	inSteps := r.client.cluster != nil
	var leases *redis.IntCmd
	if len(c.add) > 0 {
		till, _ := r.lease.held()
		leases = w.ZAddNX(ctx, r.keys.pods(), redis.Z{Score: float64(till), Member: r.keys.pod})
		w.topics = append(w.topics, "")
		fields := make([]any, 0, 2*len(c.add))
		for _, m := range c.add {
			fields = append(fields, indexField(m), m.JoinRef)
		}
		w.HSet(ctx, r.keys.index(), fields...)
		w.topics = append(w.topics, "")
		if inSteps {
			if err := w.exec(ctx); err != nil {
				return nil, err
			}
		}
	}
	w.sets(c.add, func(topic string, ids []any) { w.SAdd(ctx, r.keys.members(topic), ids...) })
	w.sets(c.remove, func(topic string, ids []any) { w.SRem(ctx, r.keys.members(topic), ids...) })
	if len(c.remove) > 0 {
		if inSteps {
			if err := w.exec(ctx); err != nil {
				return nil, err
			}
		}
		fields := make([]string, 0, len(c.remove))
		for _, m := range c.remove {
			fields = append(fields, indexField(m))
		}
		w.HDel(ctx, r.keys.index(), fields...)
		w.topics = append(w.topics, "")
	}
	err := w.exec(ctx)
	if leases != nil && leases.Val() > 0 {
		r.distrust()
	}
	return w.unusable, err
}

// sets calls command once for each topic of members, which it sorts.
func (w *rosterWrite) sets(members []hub.Member, command func(topic string, connections []any)) {
	slices.SortFunc(members, func(a, b hub.Member) int { return cmp.Compare(a.Topic, b.Topic) })
	for len(members) > 0 {
		topic, n := members[0].Topic, 1
		for n < len(members) && members[n].Topic == topic {
			n++
		}
		connections := make([]any, n)
		for i := range connections {
			connections[i] = members[i].Connection
		}
		command(topic, connections)
		w.topics = append(w.topics, topic)
		members = members[n:]
	}
}

// exec sends the commands so far.
func (w *rosterWrite) exec(ctx context.Context) error {
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
		case topics[i] != "" && strings.HasPrefix(err.Error(), "WRONGTYPE"):
			if w.unusable == nil {
				w.unusable = topicErrors{}
			}
			w.unusable[topics[i]] = err
		default:
			return err
		}
	}
	return nil
}
