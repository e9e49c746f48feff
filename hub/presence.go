package hub

import (
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// Times of a presence.
const (
	presenceHold    = 200 * time.Millisecond // how long a change waits for the one before it
	presencePause   = 100 * time.Millisecond // between two reads of one topic
	presenceDoubt   = 2 * time.Second        // until a leave that nobody told of is believed
	presenceCounted = time.Second            // between two counts of a topic that is too large for more
	leastWindow     = 20 * time.Millisecond  // for which changes are gathered
	mostWindow      = time.Second
	windowPerMember = 50 * time.Microsecond
)

// maxHeld bounds the changes that wait for a read, or for one that came out of order.
const maxHeld = 10_000

// copyState is how far the copy of a topic's presence is.
type copyState uint8

const (
	unread  copyState = iota // nothing is known
	current                  // it is as the changes say
	counted                  // there are too many: only their number is kept
)

// presence is a pod's copy of who is shown in a topic that has members here. It comes from one read, and from then on from
// the changes that are published; a version that does not fit makes it be read again.
type presence struct {
	hub   *Hub
	topic *topic

	users atomic.Int32 // members here; at 0, which comes under Hub.mu, the copy is let go

	mu       sync.Mutex
	state    copyState
	reading  bool      // a read is asked for, or under way
	readAt   time.Time // the last one
	version  uint64
	count    int // how many are shown
	ceiling  int // where counted begins; set when the state got too large before there were too many
	shown    map[string]*Shown
	byKey    map[string][]*Shown  // in the order of their joins
	refs     map[shownRef]int     // how many show it: one, but while a connection takes it over
	doubted  map[string]time.Time // connections that a read did not have, since when
	held     []PresenceChange     // for after the read, or for when what comes before has come
	holding  *time.Timer
	waiters  []versionWaiter
	unserved bool // a member got no state when it joined

	joins, leaves untold
	early         map[*Shown]int // of joins: the snapshots before them, or -1
	snapshots     int
	told          time.Time
	telling       *time.Timer
	closed        bool
}

type versionWaiter struct {
	version uint64
	done    chan struct{}
}

func newPresence(h *Hub, t *topic) *presence {
	return &presence{hub: h, topic: t, ceiling: h.cfg.PresenceLimit, shown: map[string]*Shown{}, byKey: map[string][]*Shown{},
		refs: map[shownRef]int{}, doubted: map[string]time.Time{}, early: map[*Shown]int{}}
}

// receive takes a change that was published.
func (p *presence) receive(c PresenceChange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	if p.state == unread || p.reading {
		p.hold(c)
		return
	}
	p.follow(c)
}

// hold keeps a change for later. The caller holds mu.
func (p *presence) hold(c PresenceChange) {
	if len(p.held) >= maxHeld {
		p.held = p.held[:0]
		p.read()
	}
	p.held = append(p.held, c)
}

// follow applies c if it comes next, and waits a moment for what should have come before it otherwise. The caller holds mu.
func (p *presence) follow(c PresenceChange) {
	switch {
	case c.Version <= p.version:
		return
	case p.fits(&c):
		p.apply(&c)
		p.catchUp()
	default:
		p.hold(c)
		if p.holding == nil {
			p.holding = time.AfterFunc(presenceHold, p.missed)
		}
	}
}

// fits tells whether c comes next: it follows what is known, or nobody was shown and nobody is known. The caller holds mu.
func (p *presence) fits(c *PresenceChange) bool {
	return c.From == p.version || c.Fresh && p.count == 0 && len(p.shown) == 0 && c.Version > p.version
}

// catchUp applies what was held and comes next now. The caller holds mu.
func (p *presence) catchUp() {
	sort.SliceStable(p.held, func(i, j int) bool { return p.held[i].From < p.held[j].From })
	for len(p.held) > 0 {
		c := p.held[0]
		if fits := p.fits(&c); !fits && c.From >= p.version {
			break
		} else if fits {
			p.apply(&c)
		}
		p.held = p.held[1:] // or it is older than what was read
	}
	if len(p.held) == 0 {
		p.held = nil
		if p.holding != nil {
			p.holding.Stop()
			p.holding = nil
		}
	}
}

// missed is called when a change has waited long enough for the one before it.
func (p *presence) missed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holding = nil; len(p.held) > 0 {
		p.read()
	}
}

// read asks for a read, unless one is coming. The caller holds mu.
func (p *presence) read() {
	if p.reading || p.closed {
		return
	}
	p.reading = true
	p.hub.metrics.presenceReads.Inc()
	time.AfterFunc(max(0, presencePause-time.Since(p.readAt)), func() { p.hub.reads.put(p) })
}

// want has the copy read, if it is not there yet. The topic is subscribed.
func (p *presence) want() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == unread {
		p.read()
	}
}

// stale makes the copy be read again: changes may have been missed.
func (p *presence) stale() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state != unread {
		p.read()
	}
}

// apply makes the copy what it is after c. The caller holds mu.
func (p *presence) apply(c *PresenceChange) {
	p.version, p.count = c.Version, c.Count
	if p.state == counted {
		p.counts()
		p.serve()
		return
	}
	var joined, left []*Shown
	for i := range c.Set {
		s := c.Set[i]
		s.Meta = slices.Clone(s.Meta)
		old := p.shown[s.Connection]
		if old != nil && old.Ref == s.Ref && old.Key == s.Key {
			old.Leaving = s.Leaving // nothing that anybody sees
			continue
		}
		if old != nil {
			left = append(left, old)
		}
		p.put(&s, old)
		joined = append(joined, &s)
	}
	for _, connection := range c.Del {
		if old := p.shown[connection]; old != nil {
			p.drop(old)
			left = append(left, old)
		}
	}
	p.changed(joined, left)
	p.serve()
}

// put shows s, in the place of old unless that is nil.
func (p *presence) put(s, old *Shown) {
	if old != nil {
		p.drop(old)
	}
	p.shown[s.Connection] = s
	delete(p.doubted, s.Connection)
	list := p.byKey[s.Key]
	at := sort.Search(len(list), func(i int) bool { return list[i].Order > s.Order })
	p.byKey[s.Key] = slices.Insert(list, at, s)
	p.refs[refOf(s)]++
}

// drop shows s no more.
func (p *presence) drop(s *Shown) {
	delete(p.shown, s.Connection)
	delete(p.doubted, s.Connection)
	if ref := refOf(s); p.refs[ref] > 1 {
		p.refs[ref]--
	} else {
		delete(p.refs, ref)
	}
	list := p.byKey[s.Key]
	if at := slices.Index(list, s); at >= 0 {
		list = slices.Delete(list, at, at+1)
	}
	if len(list) == 0 {
		delete(p.byKey, s.Key)
	} else {
		p.byKey[s.Key] = list
	}
}

// serve tells those who wait for a version that it is there. The caller holds mu.
func (p *presence) serve() {
	p.waiters = slices.DeleteFunc(p.waiters, func(w versionWaiter) bool {
		if w.version > p.version {
			return false
		}
		close(w.done)
		return true
	})
}

// close ends the copy.
func (p *presence) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.state == counted {
		p.hub.metrics.presenceCounted.Dec()
	}
	for _, timer := range []*time.Timer{p.holding, p.telling} {
		if timer != nil {
			timer.Stop()
		}
	}
	for _, w := range p.waiters {
		close(w.done)
	}
	p.waiters, p.held, p.shown, p.byKey, p.refs = nil, nil, nil, nil, nil
}

// await returns a channel that is closed once the copy has version.
func (p *presence) await(version uint64) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := versionWaiter{version: version, done: make(chan struct{})}
	if p.closed || p.state != unread && p.version >= version {
		close(w.done)
	} else {
		p.waiters = append(p.waiters, w)
	}
	return w.done
}
