package hub

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// resync waits for losses of the link and, when it stands again, ends the channels of this pod with phx_error, spread over
// Config.ResyncSpread: clients join again and load what they missed. It runs until ctx ends.
func (h *Hub) resync(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.lost:
		}
		members := h.census(ctx)
		h.metrics.resyncs.Inc()
		h.cfg.Logger.Info("messages may have been missed, channels join again", "pod", h.cfg.PodID, "channels", len(members), "within", h.cfg.ResyncSpread.String())
		rand.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		start := time.Now()
		for i, m := range members {
			due := start.Add(h.cfg.ResyncSpread * time.Duration(i) / time.Duration(len(members)))
			if wait := time.Until(due); wait > time.Millisecond {
				select {
				case <-ctx.Done():
					return
				case <-time.After(wait):
				}
			}
			m.End(true)
		}
	}
}

// census returns the members as they are now. Those that joined since the link stands may be among them.
func (h *Hub) census(ctx context.Context) []Listener {
	var mu sync.Mutex
	var members []Listener
	var shards []*shard
	h.mu.RLock()
	for _, t := range h.topics {
		shards = append(shards, t.shards...)
	}
	h.mu.RUnlock()
	counted := make(chan struct{}, len(shards))
	for _, s := range shards {
		s.worker.put(s, op{kind: opCall, call: func() {
			mu.Lock()
			defer mu.Unlock()
			for _, m := range s.members {
				members = append(members, m.listener)
			}
			counted <- struct{}{}
		}})
	}
	for range shards {
		select {
		case <-counted:
		case <-ctx.Done():
			return nil
		}
	}
	mu.Lock()
	defer mu.Unlock()
	return members
}
