package hub

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"
)

// presenceReaders is how many topics are read at the same time.
const presenceReaders = 4

// readTimeout bounds one read.
const readTimeout = 10 * time.Second

// presenceReads are the topics whose presence has to be read.
type presenceReads struct {
	mu   sync.Mutex
	list []*presence
	wake chan struct{}
}

func (r *presenceReads) put(p *presence) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, p)
	r.signal()
}

func (r *presenceReads) take() *presence {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) == 0 {
		r.list = nil
		return nil
	}
	p := r.list[0]
	r.list[0] = nil
	r.list = r.list[1:]
	if len(r.list) > 0 {
		r.signal()
	}
	return p
}

func (r *presenceReads) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run reads topics until ctx ends.
func (r *presenceReads) run(ctx context.Context, tracker Tracker) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		}
		for p := r.take(); p != nil && ctx.Err() == nil; p = r.take() {
			p.load(ctx, tracker)
		}
	}
}

// load reads the presence of a topic and makes the copy agree with it.
func (p *presence) load(ctx context.Context, tracker Tracker) {
	limited, cancel := context.WithTimeout(ctx, readTimeout)
	list, version, err := tracker.ReadPresence(limited, p.topic.name)
	cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reading, p.readAt = false, time.Now()
	switch {
	case p.closed || ctx.Err() != nil:
		return
	case err != nil:
		time.AfterFunc(time.Second, func() { // Redis is away; a lost link asks for a read, too
			p.mu.Lock()
			defer p.mu.Unlock()
			p.read()
		})
		return
	}
	p.version = version
	if p.state == current {
		p.compare(list)
	} else {
		p.begin(list)
	}
	if p.state == current {
		p.count = len(p.shown)
	} else {
		p.count = len(list)
	}
	p.catchUp()
	p.serve()
	if len(p.held) > 0 && p.holding == nil {
		p.holding = time.AfterFunc(presenceHold, p.missed)
	}
}

// begin takes what was read as it is. The caller holds mu.
func (p *presence) begin(list []Shown) {
	was := p.state
	if len(list) > p.ceiling {
		p.state, p.count = counted, len(list)
		if was != counted {
			p.hub.metrics.presenceCounted.Inc()
		}
		p.serveCount()
		return
	}
	if was == counted {
		p.hub.metrics.presenceCounted.Dec()
	}
	p.state = current
	for i := range list {
		p.put(&list[i], p.shown[list[i].Connection])
	}
	if p.unserved || was == counted {
		p.unserved = false
		p.hub.send(p.topic, eventPresenceState, p.encode())
	}
}

// compare tells members what a read has in another way than the copy. A leave that nobody told of may be a pod's that
// has yet to enter its members again, after Redis lost them: it is believed when the next read still lacks it.
func (p *presence) compare(list []Shown) {
	var joined, left []*Shown
	found := make(map[string]bool, len(list))
	for i := range list {
		s := &list[i]
		found[s.Connection] = true
		old := p.shown[s.Connection]
		if old != nil && old.Ref == s.Ref && old.Key == s.Key {
			old.Leaving = s.Leaving
			delete(p.doubted, s.Connection)
			continue
		}
		if old != nil {
			left = append(left, old)
		}
		p.put(s, old)
		joined = append(joined, s)
	}
	doubts, own := false, false
	for connection, s := range p.shown {
		switch {
		case found[connection]:
		case p.doubted[connection].IsZero():
			p.doubted[connection] = time.Now()
			doubts, own = true, own || p.hub.isLocal(connection)
		case time.Since(p.doubted[connection]) < presenceDoubt:
			doubts = true
		default:
			p.drop(s)
			left = append(left, s)
		}
	}
	if own {
		p.hub.tracker.Distrust()
	}
	if doubts {
		time.AfterFunc(presenceDoubt+presencePause, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if len(p.doubted) > 0 {
				p.read()
			}
		})
	}
	p.changed(joined, left)
}

// overflow keeps no more than the number of who is shown. The caller holds mu.
func (p *presence) overflow() {
	p.state = counted
	p.hub.metrics.presenceCounted.Inc()
	p.hub.cfg.Logger.Warn("too many are present, members are told only how many", "topic", p.topic.name, "count", p.count, "limit", p.ceiling)
	p.shown, p.byKey, p.doubted = map[string]*Shown{}, map[string][]*Shown{}, map[string]time.Time{}
	p.refs, p.joins, p.leaves = map[shownRef]int{}, untold{}, untold{}
	clear(p.early)
	p.counts()
}

// counts tells members how many are shown, but not too often, and reads them again when they are few enough. The caller holds
// mu.
func (p *presence) counts() {
	if p.count < p.ceiling-p.ceiling/10 {
		p.read()
		return
	}
	if p.telling != nil {
		return
	}
	if wait := presenceCounted - time.Since(p.told); wait > 0 {
		p.telling = time.AfterFunc(wait, p.due)
		return
	}
	p.serveCount()
}

// serveCount tells all members how many are shown. The caller holds mu.
func (p *presence) serveCount() {
	if p.closed {
		return
	}
	p.told, p.unserved = time.Now(), false
	p.hub.send(p.topic, eventPresenceCount, p.appendCount(nil))
}

func (p *presence) appendCount(dst []byte) []byte {
	return append(strconv.AppendInt(append(dst, `{"count":`...), int64(p.count), 10), '}')
}

// leaving returns a connection that shows key and has left without anybody being told yet, or "".
func (p *presence) leaving(key string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.byKey[key]
	if at := slices.IndexFunc(list, func(s *Shown) bool { return s.Leaving }); at >= 0 {
		return list[at].Connection
	}
	return ""
}
