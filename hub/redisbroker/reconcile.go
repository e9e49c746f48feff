package redisbroker

import (
	"context"

	"roost/hub"
)

// reconcile takes the lease and makes Redis hold what the census names. First it writes what is to be told and could not be
// written before; then it takes back what the index has and the census has not, and has it told if nobody has yet, and once more
// who left lately where a master may lack that; then it writes everything. The census comes after the lease, so that it is as new
// as can be. Calls that are still in the queue are behind the census or in it; written afterwards, in order, they end in the same
// state.
func (r *roster) reconcile(ctx context.Context) error {
	if err := r.lease.take(ctx); err != nil {
		return err
	}
	if err := r.comeBack(ctx); err != nil {
		return err
	}
	if r.census == nil {
		return nil
	}
	var members []hub.Member
	wanted := map[memberKey]string{} // → id of the notice of its end
	lingering := map[memberKey]bool{}
	r.census.Members(func(m hub.Member) bool {
		members = append(members, m)
		wanted[keyOf(m)] = noticeID(m.Notice.Record)
		if m.Lingers {
			lingering[keyOf(m)] = true
		}
		return true
	})
	spilled, err := r.storeSpill(ctx)
	if err != nil {
		return err
	}
	if err := r.takeBack(ctx, wanted); err != nil {
		return err
	}
	if err := r.takeBackAgain(ctx, wanted, lingering); err != nil {
		return err
	}
	for len(members) > 0 {
		n := min(len(members), batchSize)
		if _, err := r.store(ctx, changes{add: members[:n], shows: showsOf(members[:n])}); err != nil {
			r.metrics.wrote(resultError, n)
			return err
		}
		r.metrics.wrote(resultOK, n)
		members = members[n:]
	}
	r.outbox.spill.drop(spilled)
	r.outbox.rewind()
	return nil
}

// comeBack tells the hub if the backend was told that what this pod entered is gone.
func (r *roster) comeBack(ctx context.Context) error {
	if r.outbox.courier == nil || r.returner == nil {
		return nil
	}
	told := r.keys.told(r.keys.pod)
	n, err := r.client.Exists(ctx, told).Result()
	if err != nil || n == 0 {
		return err
	}
	r.returner.Returned()
	return r.client.Del(ctx, told).Err()
}

// storeSpill writes the notices that could not be written before, and returns those that may be forgotten then.
func (r *roster) storeSpill(ctx context.Context) ([]*spilled, error) {
	spill := &r.outbox.spill
	all, open := spill.left()
	for len(open) > 0 {
		batch := open[:min(len(open), batchSize)]
		var c changes
		for _, one := range batch {
			if notice, ok := spill.get(one); ok {
				c.notices = append(c.notices, &notice)
			}
		}
		if _, err := r.store(ctx, c); err != nil {
			return nil, err
		}
		for _, one := range batch {
			spill.settle(one)
		}
		open = open[len(batch):]
	}
	return all, nil
}

// takeBack removes everything in the index that is not wanted, and has it told. What stands there of a join before the wanted
// one is told, too. Connections come behind their members.
func (r *roster) takeBack(ctx context.Context, wanted map[memberKey]string) error {
	var bare changes
	for cursor := uint64(0); ; {
		pairs, next, err := r.client.HScan(ctx, r.keys.index(), cursor, "", batchSize).Result()
		if err != nil {
			return err
		}
		var left changes
		for i := 0; i+1 < len(pairs); i += 2 {
			m := parseEntry(pairs[i], pairs[i+1])
			m.Tracked = !m.Bare // the index does not say
			id, keep := wanted[keyOf(m)]
			if keep && (id == "" || id == noticeID(m.Notice.Record)) {
				continue
			}
			c := &left
			if m.Bare {
				c = &bare
			}
			if !keep {
				c.remove = append(c.remove, m)
				if !m.Bare {
					c.shows = append(c.shows, hideOp(m))
				}
			}
			if n := r.outbox.ending(&m); n != nil {
				c.notices = append(c.notices, n)
			}
		}
		if err := r.storeLeft(ctx, left); err != nil {
			return err
		}
		if cursor = next; cursor == 0 {
			return r.storeLeft(ctx, bare)
		}
	}
}

func (r *roster) storeLeft(ctx context.Context, left changes) error {
	if len(left.remove) == 0 && len(left.notices) == 0 {
		return nil
	}
	if _, err := r.write(ctx, left); err != nil {
		r.metrics.wrote(resultError, len(left.remove))
		return err
	}
	if r.client.failsOver { // once: after an error the same would come again
		r.departed.note(left.remove)
	}
	r.metrics.wrote(resultOK, len(left.remove))
	return nil
}
