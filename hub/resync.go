package hub

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// gap is what messages may have been missed for.
type gap struct {
	wake chan struct{} // told when there is something

	mu    sync.Mutex
	all   bool
	addrs map[Address]struct{}
}

// note adds addr, or everything.
func (g *gap) note(addr Address, all bool) {
	g.mu.Lock()
	if g.all = g.all || all; g.all {
		g.addrs = nil
	} else {
		if g.addrs == nil {
			g.addrs = map[Address]struct{}{}
		}
		g.addrs[addr] = struct{}{}
	}
	g.mu.Unlock()
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// take empties g.
func (g *gap) take() (all bool, addrs map[Address]struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	all, addrs = g.all, g.addrs
	g.all, g.addrs = false, nil
	return all, addrs
}

// gather is how long the resync waits for more, so that what fell together ends together.
const gather = 100 * time.Millisecond

// farewell is a member that is ended when its time has come.
type farewell struct {
	due    time.Time
	member Listener
}

// farewells are a heap, the next one first.
type farewells []farewell

func (f farewells) Len() int           { return len(f) }
func (f farewells) Less(i, j int) bool { return f[i].due.Before(f[j].due) }
func (f farewells) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *farewells) Push(x any)        { *f = append(*f, x.(farewell)) }
func (f *farewells) Pop() any {
	old := *f
	last := old[len(old)-1]
	old[len(old)-1] = farewell{}
	*f = old[:len(old)-1]
	return last
}

// resync waits for gaps and ends the channels concerned with phx_error, spread over Config.ResyncSpread: clients join again
// and load what they missed. Who waits for it already is not told twice. It runs until ctx ends.
func (h *Hub) resync(ctx context.Context) {
	var queue farewells
	queued := map[Listener]struct{}{}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.gap.wake:
			if !pause(ctx, gather) {
				return
			}
			h.miss(ctx, &queue, queued)
		case <-timer.C:
		}
		for len(queue) > 0 && !time.Now().Before(queue[0].due) {
			f := heap.Pop(&queue).(farewell)
			delete(queued, f.member)
			f.member.End(true)
		}
		if len(queue) > 0 {
			timer.Reset(max(time.Until(queue[0].due), time.Millisecond))
		}
	}
}

// miss puts the members that the gaps since the last time concern into the queue.
func (h *Hub) miss(ctx context.Context, queue *farewells, queued map[Listener]struct{}) {
	all, addrs := h.gap.take()
	var members []Listener
	for _, m := range h.census(ctx, all, addrs) {
		if _, found := queued[m]; !found {
			queued[m] = struct{}{}
			members = append(members, m)
		}
	}
	h.metrics.resyncs.Inc()
	h.cfg.Logger.Info("messages may have been missed, channels join again", "pod", h.cfg.PodID, "all", all, "addresses", len(addrs),
		"channels", len(members), "within", h.cfg.ResyncSpread.String())
	rand.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	start, each := time.Now(), h.cfg.ResyncSpread/time.Duration(max(len(members), 1))
	for i, m := range members {
		at := start.Add(each * time.Duration(i))
		if each > 0 {
			at = at.Add(rand.N(each))
		}
		heap.Push(queue, farewell{at, m})
	}
}

// census returns the members as they are now, all or those that addrs concern. Those that joined since the link stands may
// be among them.
func (h *Hub) census(ctx context.Context, all bool, addrs map[Address]struct{}) []Listener {
	connections := h.connections(addrs)
	var mu sync.Mutex
	var members []Listener
	var shards []*shard
	h.mu.RLock()
	for addr, t := range h.topics {
		if _, found := addrs[addr]; all || found || len(connections) > 0 {
			shards = append(shards, t.shards...)
		}
	}
	h.mu.RUnlock()
	counted := make(chan struct{}, len(shards))
	for _, s := range shards {
		_, whole := addrs[s.topic.addr]
		s.worker.put(s, op{kind: opCall, call: func() {
			mu.Lock()
			defer mu.Unlock()
			for _, m := range s.members {
				if _, found := connections[m.listener.Connection()]; all || whole || found {
					members = append(members, m.listener)
				}
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

// connections returns the ids of the connections whose socket ids are in addrs.
func (h *Hub) connections(addrs map[Address]struct{}) map[string]struct{} {
	var found map[string]struct{}
	h.peersMu.RLock()
	defer h.peersMu.RUnlock()
	for addr := range addrs {
		id, ok := strings.CutPrefix(string(addr), idPrefix)
		if !ok || h.ids[id] == nil {
			continue
		}
		if found == nil {
			found = map[string]struct{}{}
		}
		for _, p := range h.ids[id].peers {
			found[p.Connection()] = struct{}{}
		}
	}
	return found
}

// pause waits, and tells whether ctx lives on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
