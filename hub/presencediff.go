package hub

import (
	"slices"
	"time"
)

// shownRef is what clients know a meta by.
type shownRef struct{ ref, key string }

func refOf(s *Shown) shownRef { return shownRef{s.Ref, s.Key} }

// untold are joins, or leaves, that members have yet to be told, in order, each once.
type untold struct {
	list []*Shown // nil in the place of those that were taken out
	at   map[shownRef]int
}

func (u *untold) empty() bool { return len(u.at) == 0 }

func (u *untold) find(ref shownRef) *Shown {
	if at, found := u.at[ref]; found {
		return u.list[at]
	}
	return nil
}

func (u *untold) add(s *Shown) {
	if u.find(refOf(s)) != nil {
		return
	}
	if u.at == nil {
		u.at = map[shownRef]int{}
	}
	u.at[refOf(s)] = len(u.list)
	u.list = append(u.list, s)
}

// remove takes one out, and tells whether it was there.
func (u *untold) remove(ref shownRef) bool {
	at, found := u.at[ref]
	if found {
		u.list[at] = nil
		delete(u.at, ref)
	}
	return found
}

// all returns them. There must be no other call after it.
func (u *untold) all() []*Shown {
	return slices.DeleteFunc(u.list, func(s *Shown) bool { return s == nil })
}

// changed notes what members have to be told. What one connection took over from another, unchanged, is nothing. The caller
// holds mu.
func (p *presence) changed(joined, left []*Shown) {
	coming, after := byRef(joined, left)
	for _, s := range left {
		ref := refOf(s)
		if coming[ref] != nil {
			delete(coming, ref)
			continue
		}
		if p.refs[ref] > 0 {
			continue // another has it still
		}
		// Who came and went before anybody was told, and before anybody got a state, was never there.
		if join := p.joins.find(ref); join != nil && p.early[join] == p.snapshots {
			if next := after[ref]; next != nil {
				next.Prev = join.Prev
			}
			delete(p.early, join)
			p.joins.remove(ref)
			continue
		}
		p.leaves.add(s)
	}
	for _, s := range joined {
		if len(left) == 0 || coming[refOf(s)] == s {
			p.joinSoon(s)
		}
	}
	if len(p.shown) > p.ceiling {
		p.overflow()
		return
	}
	p.tellSoon()
}

// byRef indexes who joined by what clients know them by, and by what they are updates of, if anybody left.
func byRef(joined, left []*Shown) (coming, after map[shownRef]*Shown) {
	if len(left) == 0 {
		return nil, nil
	}
	coming, after = make(map[shownRef]*Shown, len(joined)), map[shownRef]*Shown{}
	for _, j := range joined {
		coming[refOf(j)] = j
		if j.Prev != "" {
			after[shownRef{j.Prev, j.Key}] = j
		}
	}
	return coming, after
}

// joinSoon notes that s has to be told. A leave that is undone so is not told: clients would apply it behind the join. The join
// is, for those who got a state in between. The caller holds mu.
func (p *presence) joinSoon(s *Shown) {
	ref := refOf(s)
	undone := p.leaves.remove(ref)
	if p.joins.find(ref) != nil {
		return
	}
	p.joins.add(s)
	p.early[s] = p.snapshots
	if undone || p.refs[ref] > 1 {
		p.early[s] = -1 // there are some who know it
	}
}

// tellSoon tells members what has changed: at once if nothing was told lately, else when the window is over. The caller
// holds mu.
func (p *presence) tellSoon() {
	if p.joins.empty() && p.leaves.empty() || p.telling != nil {
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
	if p.closed || p.joins.empty() && p.leaves.empty() {
		return
	}
	payload := appendMetas([]byte(`{"joins":`), p.joins.all())
	payload = appendMetas(append(payload, `,"leaves":`...), p.leaves.all())
	p.joins, p.leaves, p.told = untold{}, untold{}, time.Now()
	clear(p.early)
	p.hub.metrics.presenceDiffs.Inc()
	p.hub.send(p.topic, eventPresenceDiff, append(payload, '}'))
}
