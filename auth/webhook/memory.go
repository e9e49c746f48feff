package webhook

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"roost/auth"
	"roost/phoenix"
)

// entryOverhead is about what a remembered answer costs beside its bytes.
const entryOverhead = 512

// sweepPause is how long answers that have run out stay, at least, once there is something else to remember.
const sweepPause = 10 * time.Second

// memory holds yeses for a while, by socket id. It is bounded; what was not used for longest goes first. What it holds
// for a socket id is dropped when the backend kicks or disconnects it.
type memory struct {
	limit   int
	watch   func(id string, ended func()) (stop func()) // nil: Forget alone says it
	metrics *metrics

	size atomic.Int64 // of entries

	mu      sync.Mutex
	entries *simplelru.LRU[key, *entry]
	bytes   int
	people  map[string]*person
	swept   time.Time
}

// entry is one remembered answer, without its broadcasts.
type entry struct {
	answer *auth.Answer
	until  time.Time
	size   int
}

// person is a socket id that something is remembered of, or that joins.
type person struct {
	keys    map[key]struct{}
	joining int
	epoch   int    // grows when what was known is not true any more
	stop    func() // ends the watch
}

func newMemory(limit int, watch func(string, func()) func(), m *metrics) *memory {
	mem := &memory{limit: limit, watch: watch, metrics: m, people: map[string]*person{}}
	// The bytes are the bound; the number of entries follows from them.
	mem.entries, _ = simplelru.NewLRU(limit/entryOverhead+1, mem.evicted)
	return mem
}

// begin says that id joins, and returns what keep needs to know whether it has been forgotten meanwhile. It is ended by end.
func (m *memory) begin(id string) (epoch int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.people[id]
	if p == nil {
		p = &person{}
		m.people[id] = p
	}
	p.joining++
	return p.epoch
}

func (m *memory) end(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.people[id].joining--
	m.tidy(id)
}

// keep remembers answer, unless its socket id was forgotten since begin, or it is too large. The caller is between begin
// and end.
func (m *memory) keep(k key, answer *auth.Answer, life time.Duration, epoch int) {
	kept := own(answer)
	now := time.Now()
	e := &entry{answer: kept, until: now.Add(life), size: sizeOf(k, kept)}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.people[k.id]
	if p.epoch != epoch || e.size > m.limit {
		return
	}
	if now.Sub(m.swept) > sweepPause {
		m.swept = now
		m.sweep(now)
	}
	m.entries.Remove(k)
	for m.bytes+e.size > m.limit {
		m.entries.RemoveOldest()
		m.metrics.evicted()
	}
	if p.keys == nil {
		p.keys = map[key]struct{}{}
	}
	if p.stop == nil && m.watch != nil {
		p.stop = m.watch(k.id, func() { m.forget(k.id) })
	}
	p.keys[k] = struct{}{}
	m.entries.Add(k, e)
	m.bytes += e.size
	m.measured()
}

// recall returns what is remembered under k, or nil.
func (m *memory) recall(k key) *auth.Answer {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, found := m.entries.Get(k)
	if !found {
		return nil
	}
	if !time.Now().Before(e.until) {
		m.entries.Remove(k)
		return nil
	}
	return e.answer
}

// forget drops all that is remembered of id, and all that is under way.
func (m *memory) forget(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.people[id]
	if p == nil {
		return
	}
	p.epoch++
	for k := range p.keys {
		m.entries.Remove(k)
	}
}

// forgetTopic drops what is remembered of id in topic.
func (m *memory) forgetTopic(id, topic string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.people[id]
	if p == nil {
		return
	}
	for k := range p.keys {
		if k.topic == topic {
			m.entries.Remove(k)
		}
	}
}

// evicted follows an entry's end. The caller holds mu.
func (m *memory) evicted(k key, e *entry) {
	m.bytes -= e.size
	delete(m.people[k.id].keys, k)
	m.tidy(k.id)
	m.measured()
}

// measured tells how much there is. The caller holds mu.
func (m *memory) measured() {
	m.size.Store(int64(m.entries.Len()))
	m.metrics.remembered(m.entries.Len(), m.bytes)
}

// empty tells whether nothing is remembered, which costs less than to look.
func (m *memory) empty() bool { return m.size.Load() == 0 }

// tidy lets go of what is not needed of id. The caller holds mu.
func (m *memory) tidy(id string) {
	p := m.people[id]
	if len(p.keys) > 0 {
		return
	}
	if p.stop != nil {
		p.stop()
		p.stop = nil
	}
	if p.joining == 0 {
		delete(m.people, id)
	}
}

// sweep drops what has run out. The caller holds mu.
func (m *memory) sweep(now time.Time) {
	for _, k := range m.entries.Keys() {
		if e, found := m.entries.Peek(k); found && !now.Before(e.until) {
			m.entries.Remove(k)
		}
	}
}

// own returns answer without its broadcasts, in memory of its own: the parts of an answer are cut out of the whole body.
func own(answer *auth.Answer) *auth.Answer {
	a := *answer
	a.Response, a.Assigns, a.Broadcasts = bytes.Clone(a.Response), bytes.Clone(a.Assigns), nil
	if a.Presence != nil {
		a.Presence = &auth.Presence{Key: strings.Clone(a.Presence.Key), Meta: bytes.Clone(a.Presence.Meta), None: a.Presence.None}
	}
	a.Pushes = slices.Clone(a.Pushes)
	for i := range a.Pushes {
		p := &a.Pushes[i]
		p.Event, p.Payload, p.Ref = strings.Clone(p.Event), bytes.Clone(p.Payload), phoenix.Ref(strings.Clone(string(p.Ref)))
	}
	return &a
}

func sizeOf(k key, a *auth.Answer) int {
	size := entryOverhead + len(k.id) + 2*len(k.topic) + len(a.Response) + len(a.Assigns)
	if a.Presence != nil {
		size += 64 + len(a.Presence.Key) + len(a.Presence.Meta)
	}
	for i := range a.Pushes {
		size += 64 + len(a.Pushes[i].Event) + len(a.Pushes[i].Payload)
	}
	return size
}
