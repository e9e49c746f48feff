package redisbroker

import (
	"context"

	"roost/hub"
)

// reconcile takes the lease and makes Redis hold what the census names: first it takes back what the index has and the
// census has not, then it writes everything. The census comes after the lease, so that it is as new as can be. Calls that are still in the queue are behind the census or in it; written afterwards, in order,
// they end in the same state.
func (r *roster) reconcile(ctx context.Context) error {
	if err := r.lease.take(ctx); err != nil {
		return err
	}
	if r.census == nil {
		return nil
	}
	var members []hub.Member
	wanted := map[memberKey]struct{}{}
	r.census.Members(func(m hub.Member) bool {
		members = append(members, m)
		wanted[keyOf(m)] = struct{}{}
		return true
	})
	if err := r.takeBack(ctx, wanted); err != nil {
		return err
	}
	for len(members) > 0 {
		n := min(len(members), batchSize)
		if _, err := r.store(ctx, changes{add: members[:n]}); err != nil {
			r.metrics.wrote(resultError, n)
			return err
		}
		r.metrics.wrote(resultOK, n)
		members = members[n:]
	}
	return nil
}

// takeBack removes everything in the index that is not wanted.
func (r *roster) takeBack(ctx context.Context, wanted map[memberKey]struct{}) error {
	for cursor := uint64(0); ; {
		pairs, next, err := r.client.HScan(ctx, r.keys.index(), cursor, "", batchSize).Result()
		if err != nil {
			return err
		}
		var left []hub.Member
		for i := 0; i+1 < len(pairs); i += 2 {
			m, ok := parseIndexField(pairs[i])
			if _, keep := wanted[keyOf(m)]; ok && !keep {
				left = append(left, m)
			}
		}
		if len(left) > 0 {
			if _, err := r.store(ctx, changes{remove: left}); err != nil {
				r.metrics.wrote(resultError, len(left))
				return err
			}
			r.metrics.wrote(resultOK, len(left))
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}
