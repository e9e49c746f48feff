package redisbroker

import (
	"context"
	"time"

	"roost/hub"
)

// Deliver makes c the one who takes notices to the backend. Without a courier none are kept. Call it before Run, if at all.
func (b *Broker) Deliver(c hub.Courier) { b.outbox.courier = c }

// settlePoll is how often Settle looks.
const settlePoll = 5 * time.Millisecond

// Settle blocks until all that was entered and taken back so far is written, and all notices have been taken; or until ctx
// ends.
func (b *Broker) Settle(ctx context.Context) {
	ticker := time.NewTicker(settlePoll)
	defer ticker.Stop()
	for b.roster.waiting.Load() > 0 || !b.outbox.settled() {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// lingering is what the index keeps of members that have left and are shown still.
func (r *roster) lingering() map[memberKey]string {
	wanted := map[memberKey]string{}
	if r.census != nil {
		r.census.Members(func(m hub.Member) bool {
			if m.Lingers {
				wanted[keyOf(m)] = ""
			}
			return true
		})
	}
	return wanted
}

// live keeps the lease while the roster writes, and gives it back when nothing is left that it covers. Notices that the
// backend has not taken are left to another pod, and so are members that linger.
func (b *Broker) live(ctx context.Context) {
	beating, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.lease.run(beating)
	}()
	b.roster.run(ctx)
	lingering := b.roster.lingering()
	err := b.roster.takeBack(ctx, lingering)
	stop()
	<-done
	var left int64
	if err == nil {
		left, err = b.outbox.finish(ctx)
	}
	switch {
	case err == nil && len(lingering) > 0: // who sweeps when the lease ends takes them back, and the notices too
	case err == nil && left == 0:
		err = b.lease.release(ctx)
	case err == nil:
		b.lease.log.Info("notices are left to another pod", "pod", b.lease.keys.pod, "count", left)
		err = b.lease.expire(ctx)
	}
	if err != nil {
		b.lease.log.Warn("the lease was not given back: another pod will sweep", "pod", b.lease.keys.pod, "err", err)
	}
}
