package redisbroker

import (
	"context"
	"time"

	"roost/hub"
)

// What is remembered of members that were taken back.
const (
	departedFor = time.Minute // longer than it takes until another master is noticed
	maxDeparted = 100_000
)

// departed are the members that were taken back last. A master that was a replica may have them again: in a cluster the index,
// in another slot, has not, and elsewhere they may have been taken back from the old master while it was no more.
type departed struct {
	list []departure // in order
}

type departure struct {
	topic, connection string
	tracked           bool // its topic keeps presence
	at                time.Time
}

// note remembers members that are about to be taken back.
func (d *departed) note(members []hub.Member) {
	now := time.Now()
	for _, m := range members {
		if !m.Bare {
			d.list = append(d.list, departure{m.Topic, m.Connection, m.Tracked, now})
		}
	}
	old := max(0, len(d.list)-maxDeparted)
	for old < len(d.list) && now.Sub(d.list[old].at) > departedFor {
		old++
	}
	d.list = d.list[old:]
}

// takeBackAgain removes those who departed lately once more, unless they are back. lingering is who is wanted and in no set.
func (r *roster) takeBackAgain(ctx context.Context, wanted map[memberKey]string, lingering map[memberKey]bool) error {
	for list := r.departed.list; len(list) > 0; {
		n := min(len(list), batchSize)
		var c changes
		for _, d := range list[:n] {
			m := hub.Member{Topic: d.topic, Connection: d.connection}
			_, keep := wanted[keyOf(m)]
			switch {
			case lingering[keyOf(m)]:
				c.quit = append(c.quit, m)
			case !keep:
				c.remove = append(c.remove, m)
				if d.tracked {
					c.shows = append(c.shows, hideOp(m))
				}
			}
		}
		if _, err := r.write(ctx, c); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}
