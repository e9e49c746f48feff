package hub

import (
	"slices"
	"time"
)

// changed notes what members have to be told. What one connection took over from another, unchanged, is nothing. The caller
// holds mu.
func (p *presence) changed(joined, left []*Shown) {
	for _, s := range left {
		if at := slices.IndexFunc(joined, s.same); at >= 0 {
			joined = slices.Delete(joined, at, at+1)
			continue
		}
		if slices.ContainsFunc(p.byKey[s.Key], s.same) {
			continue // another has it still
		}
		// Who came and went before anybody was told, and before anybody got a state, was never there.
		at := slices.IndexFunc(p.joins, s.same)
		if at >= 0 && p.early[p.joins[at]] == p.snapshots {
			if next := slices.IndexFunc(joined, func(j *Shown) bool { return j.Key == s.Key && j.Prev == s.Ref }); next >= 0 {
				joined[next].Prev = p.joins[at].Prev
			}
			delete(p.early, p.joins[at])
			p.joins = slices.Delete(p.joins, at, at+1)
			continue
		}
		p.leaves = append(p.leaves, s)
	}
	for _, s := range joined {
		p.joinSoon(s)
	}
	if len(p.shown) > p.ceiling {
		p.overflow()
		return
	}
	p.tellSoon()
}

// joinSoon notes that s has to be told. A leave that is undone so is not told: clients would apply it behind the join. The join
// is, for those who got a state in between. The caller holds mu.
func (p *presence) joinSoon(s *Shown) {
	undone := slices.IndexFunc(p.leaves, s.same)
	if undone >= 0 {
		p.leaves = slices.Delete(p.leaves, undone, undone+1)
	}
	if slices.ContainsFunc(p.joins, s.same) {
		return
	}
	p.joins = append(p.joins, s)
	p.early[s] = p.snapshots
	if undone >= 0 || slices.ContainsFunc(p.byKey[s.Key], func(o *Shown) bool { return o != s && o.same(s) }) {
		p.early[s] = -1 // there are some who know it
	}
}

// tellSoon tells members what has changed: at once if nothing was told lately, else when the window is over. The caller
// holds mu.
func (p *presence) tellSoon() {
	if len(p.joins)+len(p.leaves) == 0 || p.telling != nil {
		return
	}
	window := min(max(time.Duration(p.users.Load())*windowPerMember, leastWindow), mostWindow)
	if wait := window - time.Since(p.told); wait > 0 {
		p.telling = time.AfterFunc(wait, p.due)
		return
	}
	p.tell()
}

// due tells what has waited for its time.
func (p *presence) due() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.telling = nil
	if p.state == counted {
		p.serveCount()
		return
	}
	p.tell()
}

// tell sends one presence_diff. The caller holds mu.
func (p *presence) tell() {
	if p.closed || len(p.joins)+len(p.leaves) == 0 {
		return
	}
	payload := appendMetas([]byte(`{"joins":`), p.joins)
	payload = appendMetas(append(payload, `,"leaves":`...), p.leaves)
	p.joins, p.leaves, p.told = nil, nil, time.Now()
	clear(p.early)
	p.hub.metrics.presenceDiffs.Inc()
	p.hub.send(p.topic, eventPresenceDiff, append(payload, '}'))
}
