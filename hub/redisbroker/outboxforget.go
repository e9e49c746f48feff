package redisbroker

import (
	"context"
	"strconv"
	"time"
)

// Why notices are given up here, as the metric notices_lost_total says it.
const (
	lostExpired  = "expired"  // the courier had no room until they were too old
	lostOverflow = "overflow" // Redis is away and too many wait in memory: if told at all, then without the reason
)

// trimInterval is how often notices that are too old are looked for.
const trimInterval = time.Minute

// forget deletes what was taken.
func (o *outbox) forget(ctx context.Context) error {
	for {
		o.mu.Lock()
		n := min(len(o.taken), batchSize)
		ids := o.taken[:n:n]
		o.mu.Unlock()
		if n == 0 {
			return nil
		}
		if err := o.client.XDel(ctx, o.keys.notices(o.keys.pod), ids...).Err(); err != nil {
			return err
		}
		o.mu.Lock()
		if o.taken = o.taken[n:]; len(o.taken) == 0 {
			o.taken = nil
		}
		o.mu.Unlock()
	}
}

// trim deletes what nobody had room for until it was too old.
func (o *outbox) trim(ctx context.Context) {
	o.mu.Lock()
	idle := o.cursor == "0" && !o.unread
	o.mu.Unlock()
	if idle {
		return // there is no stream
	}
	before := strconv.FormatInt(time.Now().Add(-o.maxAge).UnixMilli(), 10)
	if n, err := o.client.XTrimMinID(ctx, o.keys.notices(o.keys.pod), before).Result(); err == nil && n > 0 {
		o.metrics.lost(lostExpired, int(n))
		o.log.Error("notices expired before there was room for them", "count", n)
	}
	if n, err := o.client.XLen(ctx, o.keys.notices(o.keys.pod)).Result(); err == nil {
		o.metrics.kept(n)
	}
}

// finish deletes the stream if nothing is left in it, and tells how much is left. Nobody else writes it any more.
func (o *outbox) finish(ctx context.Context) (left int64, err error) {
	if o.courier == nil {
		return 0, nil
	}
	if err := o.forget(ctx); err != nil {
		return 0, err
	}
	return dropEmptyScript.Run(ctx, o.client, []string{o.keys.notices(o.keys.pod)}).Int64()
}
