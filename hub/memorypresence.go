package hub

import (
	"bytes"
	"context"
)

// memoryPresence is who is shown in one topic.
type memoryPresence struct {
	version uint64
	byConn  map[string]Shown
}

// ShownIn returns who is shown in topic, by connection.
func (m *Memory) ShownIn(topic string) map[string]Shown {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string]Shown{}
	if p := m.shown[topic]; p != nil {
		for connection, s := range p.byConn {
			all[connection] = s
		}
	}
	return all
}

// Track implements [Tracker].
func (p *MemoryPod) Track(m Member, done func(ref string, version uint64, err error)) {
	p.memory.mu.Lock()
	ref, version := p.memory.show(m)
	p.memory.mu.Unlock()
	done(ref, version, nil)
}

// ReadPresence implements [Tracker].
func (p *MemoryPod) ReadPresence(_ context.Context, topic string) ([]Shown, uint64, error) {
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	t := p.memory.presence(topic)
	var list []Shown
	for _, s := range t.byConn {
		list = append(list, s)
	}
	return list, t.version, nil
}

// Distrust implements [Tracker]. Memory loses nothing.
func (p *MemoryPod) Distrust() {}

func (m *Memory) presence(topic string) *memoryPresence {
	if m.shown[topic] == nil {
		m.shown[topic] = &memoryPresence{byConn: map[string]Shown{}}
	}
	return m.shown[topic]
}

// show does what Track says. The caller holds mu.
func (m *Memory) show(member Member) (ref string, version uint64) {
	t := m.presence(member.Topic)
	if member.Presence == nil {
		m.hide(member)
		return "", t.version
	}
	s := Shown{Connection: member.Connection, Presence: *member.Presence, Leaving: member.Lingers}
	s.Adopt = ""
	old, found := t.byConn[s.Connection]
	if found && old.Ref == s.Ref && old.Leaving == s.Leaving {
		return s.Ref, t.version
	}
	c := PresenceChange{From: t.version, Fresh: len(t.byConn) == 0}
	s.Order = t.version + 1
	if found {
		s.Order = old.Order
	} else if adopted, found := t.byConn[member.Presence.Adopt]; found && adopted.Leaving && adopted.Key == s.Key {
		s.Order, s.Prev = adopted.Order, adopted.Ref
		if bytes.Equal(adopted.Meta, s.Meta) {
			s.Ref, s.Prev = adopted.Ref, adopted.Prev
		}
		delete(t.byConn, adopted.Connection)
		c.Del = append(c.Del, adopted.Connection)
	}
	t.byConn[s.Connection] = s
	c.Set = append(c.Set, s)
	m.tell(member.Topic, t, &c)
	return s.Ref, t.version
}

// hide takes back what a member shows, or notes that it has left if it lingers. The caller holds mu.
func (m *Memory) hide(member Member) {
	t := m.presence(member.Topic)
	s, found := t.byConn[member.Connection]
	if !found || member.Lingers && s.Leaving {
		return
	}
	c := PresenceChange{From: t.version}
	if member.Lingers {
		s.Leaving = true
		t.byConn[s.Connection] = s
		c.Set = append(c.Set, s)
	} else {
		delete(t.byConn, s.Connection)
		c.Del = append(c.Del, s.Connection)
	}
	m.tell(member.Topic, t, &c)
}

func (m *Memory) tell(topic string, t *memoryPresence, c *PresenceChange) {
	t.version += uint64(len(c.Set) + len(c.Del))
	c.Version, c.Count = t.version, len(t.byConn)
	m.publish(TopicAddress(topic), AppendPresenceChange(nil, c))
}
