package hub

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
)

// Memory is a broker, roster and stream that live in this process: for tests, and for programs with one pod and no Redis.
// Several hubs share one Memory as several pods share one Redis, each by its own [Memory.Pod].
type Memory struct {
	mu      sync.Mutex
	pods    []*MemoryPod
	members map[string]map[string]struct{} // topic → connection ids
	shown   map[string]*memoryPresence     // by topic
	stream  []StreamEntry
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	return &Memory{members: map[string]map[string]struct{}{}, shown: map[string]*memoryPresence{}}
}

// Pod returns the seams of the pod called id: it is a [Broker], a [Roster] and a [Stream].
func (m *Memory) Pod(id string) *MemoryPod {
	p := &MemoryPod{memory: m, id: id, wake: make(chan struct{}, 1), subscribed: map[Address]struct{}{}}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pods = append(m.pods, p)
	return p
}

// Publish does what a backend does with Redis: it sends body to addr, and returns how many pods get it.
func (m *Memory) Publish(addr Address, body []byte) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.publish(addr, body)
}

func (m *Memory) publish(addr Address, body []byte) int {
	n := 0
	for _, p := range m.pods {
		if p.listens(addr) {
			p.inbox = append(p.inbox, memoryMessage{addr, slices.Clone(body)})
			n++
			select {
			case p.wake <- struct{}{}:
			default:
			}
		}
	}
	return n
}

// MembersOf returns the connection ids that are members of topic, sorted.
func (m *Memory) MembersOf(topic string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ids []string
	for id := range m.members[topic] {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Entries returns what has been appended to the stream.
func (m *Memory) Entries() []StreamEntry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.stream)
}

// MemoryPod is one pod's part of a [Memory].
type MemoryPod struct {
	memory *Memory
	id     string
	wake   chan struct{}

	inbox      []memoryMessage // guarded by memory.mu
	subscribed map[Address]struct{}
	down       bool // Run has ended
}

type memoryMessage struct {
	addr Address
	body []byte
}

var (
	_ Broker = (*MemoryPod)(nil)
	_ Roster = (*MemoryPod)(nil)
	_ Stream = (*MemoryPod)(nil)

	_ Tracker = (*MemoryPod)(nil)
)

// listens tells whether the pod gets what is published to addr. The caller holds memory.mu.
func (p *MemoryPod) listens(addr Address) bool {
	if p.down {
		return false
	}
	if _, found := p.subscribed[addr]; found {
		return true
	}
	return strings.HasPrefix(string(addr), connPrefix+p.id+".")
}

// Run hands messages to sink until ctx ends. It blocks.
func (p *MemoryPod) Run(ctx context.Context, sink Sink) error {
	sink.LinkUp(false)
	for {
		select {
		case <-ctx.Done():
			p.memory.mu.Lock()
			p.down = true
			p.memory.mu.Unlock()
			return nil
		case <-p.wake:
		}
		p.memory.mu.Lock()
		inbox := p.inbox
		p.inbox = nil
		p.memory.mu.Unlock()
		for _, m := range inbox {
			sink.Message(m.addr, m.body)
		}
	}
}

// Subscribe implements [Broker].
func (p *MemoryPod) Subscribe(addr Address, done func(error)) {
	p.memory.mu.Lock()
	p.subscribed[addr] = struct{}{}
	p.memory.mu.Unlock()
	if done != nil {
		done(nil)
	}
}

// Unsubscribe implements [Broker].
func (p *MemoryPod) Unsubscribe(addrs ...Address) {
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	for _, a := range addrs {
		delete(p.subscribed, a)
	}
}

// Publish implements [Broker].
func (p *MemoryPod) Publish(addr Address, body []byte, done func(error)) {
	p.memory.mu.Lock()
	down := p.down
	p.memory.mu.Unlock()
	if down {
		done(errors.New("hub: the pod has stopped"))
		return
	}
	p.memory.Publish(addr, body)
	done(nil)
}

// Add implements [Roster].
func (p *MemoryPod) Add(m Member, done func(error)) {
	p.memory.mu.Lock()
	if !m.Bare && !m.Unlisted {
		if p.memory.members[m.Topic] == nil {
			p.memory.members[m.Topic] = map[string]struct{}{}
		}
		p.memory.members[m.Topic][m.Connection] = struct{}{}
	}
	p.memory.mu.Unlock()
	done(nil)
}

// Remove implements [Roster].
func (p *MemoryPod) Remove(m Member, done func(error)) {
	p.memory.mu.Lock()
	delete(p.memory.members[m.Topic], m.Connection)
	if len(p.memory.members[m.Topic]) == 0 {
		delete(p.memory.members, m.Topic)
	}
	if m.Tracked {
		p.memory.hide(m)
	}
	p.memory.mu.Unlock()
	if done != nil {
		done(nil)
	}
}

// Append implements [Stream].
func (p *MemoryPod) Append(_ context.Context, e StreamEntry) error {
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	e.Payload = slices.Clone(e.Payload)
	p.memory.stream = append(p.memory.stream, e)
	return nil
}
