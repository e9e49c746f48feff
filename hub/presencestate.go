package hub

import (
	"strings"

	"roost/internal/rawjson"
)

// encode returns the payload of a presence_state. The caller holds mu.
func (p *presence) encode() []byte {
	p.snapshots++
	return appendPresence(make([]byte, 0, 96*len(p.shown)+2), p.byKey)
}

// snapshot returns what a member is sent when it has joined, or "" if nothing is known yet; then all are sent it later. A
// state of more than limit bytes makes the topic one of those that are only counted.
func (p *presence) snapshot(limit int) (event string, payload []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == current {
		if payload = p.encode(); len(payload) <= limit {
			return eventPresenceState, payload
		}
		p.ceiling = len(p.shown)
		p.count = len(p.shown)
		p.overflow()
	}
	if p.state == counted {
		return eventPresenceCount, p.appendCount(nil)
	}
	p.unserved = true
	return "", nil
}

// appendMetas writes an object from key to metas, in their order.
func appendMetas(dst []byte, list []*Shown) []byte {
	byKey := make(map[string][]*Shown, len(list))
	for _, s := range list {
		byKey[s.Key] = append(byKey[s.Key], s)
	}
	return appendPresence(dst, byKey)
}

// appendPresence writes an object from key to metas as Phoenix's clients know it. What one connection takes over from another is
// for a moment shown by both, one behind the other, and is written once: phoenix.js would keep a second one for ever.
func appendPresence(dst []byte, byKey map[string][]*Shown) []byte {
	dst = append(dst, '{')
	first := true
	for key, list := range byKey {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = rawjson.AppendString(dst, key)
		dst = append(dst, `:{"metas":[`...)
		for i, s := range list {
			if i > 0 && list[i-1].Ref == s.Ref {
				continue
			}
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = s.appendMeta(dst)
		}
		dst = append(dst, ']', '}')
	}
	return append(dst, '}')
}

// appendMeta writes the meta with its refs in front.
func (s *Shown) appendMeta(dst []byte) []byte {
	dst = append(dst, `{"phx_ref":"`...)
	dst = append(append(dst, s.Ref...), '"')
	if s.Prev != "" {
		dst = append(dst, `,"phx_ref_prev":"`...)
		dst = append(append(dst, s.Prev...), '"')
	}
	if rest := strings.TrimLeft(string(s.Meta[1:]), " \t\r\n"); rest != "}" {
		dst = append(dst, ',')
		return append(dst, rest...)
	}
	return append(dst, '}')
}
