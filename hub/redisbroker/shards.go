package redisbroker

import (
	"context"
	"slices"
	"sync"
	"time"

	"roost/hub"
)

// Patience of the router.
const (
	goneLooks  = 2                      // so many looks without it, and a node is no master
	placeRetry = 100 * time.Millisecond // after nobody could say who has a slot
)

// shards keeps one link to each master of a cluster, and each subscription on the link to the master of its slot. It learns
// of moves from the masters themselves: one that gave a slot away unsubscribes its channels, and refuses new ones with the
// name of the other.
type shards struct {
	client  *client
	subs    *subscriptions
	newLink func(l *lane, node string) *link

	mu    sync.Mutex
	links map[string]*shardLink // by address
}

type shardLink struct {
	*link
	stop   context.CancelFunc
	absent int // looks in a row that did not find its node among the masters
}

func newShards(c *client, subs *subscriptions, newLink func(*lane, string) *link) *shards {
	return &shards{client: c, subs: subs, newLink: newLink, links: map[string]*shardLink{}}
}

// run keeps the links until ctx ends.
func (s *shards) run(ctx context.Context, sink hub.Sink) {
	var links sync.WaitGroup
	defer links.Wait()
	masters := time.NewTicker(mastersInterval)
	defer masters.Stop()
	retry := time.NewTimer(0) // the first look is now
	defer retry.Stop()
	known := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-masters.C:
			known = false
		case <-retry.C:
		case <-s.subs.lost:
		}
		list := s.subs.homeless()
		if !known || slices.ContainsFunc(list, func(p placing) bool { return p.old }) {
			known = s.look(ctx, sink, &links)
		}
		if !s.place(ctx, list, sink, &links) || !known {
			retry.Reset(placeRetry)
		}
	}
}

// place puts each of list on the link to the master of its slot, and tells whether it could.
func (s *shards) place(ctx context.Context, list []placing, sink hub.Sink, links *sync.WaitGroup) bool {
	var left []placing
	for _, p := range list {
		if p.at == "" {
			node, err := s.client.node(ctx, s.subs.prefix+string(p.sub.addr))
			if err != nil {
				left = append(left, p)
				continue
			}
			p.at = node.Options().Addr
		}
		s.subs.place(p, s.to(ctx, p.at, sink, links)).call()
	}
	if len(left) > 0 {
		s.subs.again(left)
	}
	return len(left) == 0
}

// to returns the lane of the link to the node at addr, which it makes if there is none.
func (s *shards) to(ctx context.Context, addr string, sink hub.Sink, links *sync.WaitGroup) *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.links[addr]
	if l == nil {
		ctx, stop := context.WithCancel(ctx)
		l = &shardLink{link: s.newLink(newLane(true, true), addr), stop: stop}
		s.links[addr] = l
		links.Go(func() {
			defer stop()
			l.run(ctx, sink)
		})
	}
	return l.lane
}

// look makes a link to every master, ends those to nodes that are none any more, and tells whether it could find out.
func (s *shards) look(ctx context.Context, sink hub.Sink, links *sync.WaitGroup) bool {
	masters, err := s.client.masters(ctx)
	if err != nil {
		return false
	}
	for addr := range masters {
		s.to(ctx, addr, sink, links)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for addr, l := range s.links {
		switch l.absent++; {
		case masters[addr]:
			l.absent = 0
		case l.absent >= goneLooks:
			l.stop()
			delete(s.links, addr)
		}
	}
	return true
}

// age is how long ago the last message came over the link that has been without one for longest.
func (s *shards) age() (oldest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		if age, up := l.seen.age(); up {
			oldest = max(oldest, age)
		}
	}
	return oldest
}

// oneByOne hands on what several links bring, one call at a time.
type oneByOne struct {
	mu   sync.Mutex
	sink hub.Sink
}

func (o *oneByOne) Message(addr hub.Address, body []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sink.Message(addr, body)
}

func (o *oneByOne) Oversize(addr hub.Address, size int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sink.Oversize(addr, size)
}

func (o *oneByOne) LinkUp(lost bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sink.LinkUp(lost)
}

func (o *oneByOne) LinkDown(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sink.LinkDown(err)
}

func (o *oneByOne) Gap(addr hub.Address) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sink.Gap(addr)
}
