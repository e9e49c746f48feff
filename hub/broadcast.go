package hub

import (
	"strings"
	"time"
)

// Broadcast is one event for all members of a topic. Do not change one that was handed to you.
type Broadcast struct {
	Topic   string
	Event   string
	Payload []byte // JSON object, nil means {}; or data if Binary
	Binary  bool   // Payload is data
	Except  string // id of a connection that does not get it, or ""

	presence []byte // it is a change of the topic's presence

	size   int       // of the published body
	waiter *waiter   // of the member here that published it and waits for it
	came   time.Time // when it was received
	shards int32     // that have yet to deliver it; atomic
}

// An Encoding writes broadcasts as one kind of member is sent them.
type Encoding interface {
	// AppendBroadcast appends b behind dst, or nothing if that kind of member cannot be sent it.
	AppendBroadcast(dst []byte, b *Broadcast) []byte
}

// Batch is some broadcasts of one topic that leave together, in order. It is good for the call it is handed to, no longer.
type Batch struct {
	Broadcasts []*Broadcast

	encoded []encoded
}

// reset makes the batch empty, and lets go of what it held.
func (b *Batch) reset() {
	clear(b.Broadcasts)
	clear(b.encoded)
	b.Broadcasts, b.encoded = b.Broadcasts[:0], b.encoded[:0]
}

type encoded struct {
	by    Encoding
	bytes []byte
}

// Encode returns the batch as e writes it. It is written on first use and shared by all members with the same encoding:
// do not change it. It is for the goroutine that delivers only.
func (b *Batch) Encode(e Encoding) []byte {
	for i := range b.encoded {
		if b.encoded[i].by == e {
			return b.encoded[i].bytes
		}
	}
	size := 0
	for _, c := range b.Broadcasts {
		size += len(c.Topic) + len(c.Event) + len(c.Payload) + 48
	}
	bytes := make([]byte, 0, size)
	for _, c := range b.Broadcasts {
		bytes = e.AppendBroadcast(bytes, c)
	}
	b.encoded = append(b.encoded, encoded{e, bytes})
	return bytes
}

// broadcast hands a published body to the members of the topic called name.
func (h *Hub) broadcast(addr Address, name string, body []byte) {
	b, control, origin, reason := decodeBroadcast(body)
	if reason != "" {
		h.malformed(addr, reason)
		return
	}
	if b.presence != nil {
		h.changePresence(addr, b.presence)
		return
	}
	b.Topic = name
	if b.Except != "" && !h.isLocal(b.Except) {
		b.Except = ""
	}
	if origin != "" {
		b.waiter = h.waiter(origin)
	}
	o := op{kind: opBroadcast, b: b}
	if control {
		o = op{kind: opEnd, crash: b.Event == eventError, b: b}
	}
	h.mu.RLock()
	t := h.topics[addr]
	var shards []*shard
	if t != nil {
		b.Topic = t.name
		shards = t.shards // only ever appended to
	}
	h.mu.RUnlock()
	if len(shards) > 0 {
		b.came = time.Now()
		b.shards = int32(len(shards))
	}
	for _, s := range shards {
		s.worker.put(s, o)
	}
}

// isLocal tells whether a connection is one of this pod's.
func (h *Hub) isLocal(connection string) bool {
	rest, found := strings.CutPrefix(connection, h.cfg.PodID)
	return found && strings.HasPrefix(rest, ".")
}

// fanOut delivers broadcasts to all members of s.
func (s *shard) fanOut(ops []op) {
	batch := &s.worker.batch
	batch.reset()
	var except []string
	for i := range ops {
		b := ops[i].b
		batch.Broadcasts = append(batch.Broadcasts, b)
		if b.Except != "" {
			except = append(except, b.Except)
		}
	}
	handed := len(ops) * len(s.members)
	if len(except) == 0 {
		for _, m := range s.members {
			m.listener.Deliver(batch)
		}
	} else {
		handed -= s.fanOutExcept(batch, except)
	}
	for _, b := range batch.Broadcasts {
		b.settle(s)
	}
	batch.reset()
	s.worker.hub.metrics.deliveries.Add(float64(handed))
}

// fanOutExcept delivers to each member those broadcasts of batch that do not leave it out, and returns how many did.
func (s *shard) fanOutExcept(batch *Batch, except []string) (leftOut int) {
	out := make(map[string]struct{}, len(except))
	for _, connection := range except {
		out[connection] = struct{}{}
	}
	for _, m := range s.members {
		connection := m.listener.Connection()
		if _, found := out[connection]; !found {
			m.listener.Deliver(batch)
			continue
		}
		rest := Batch{}
		for _, b := range batch.Broadcasts {
			if b.Except != connection {
				rest.Broadcasts = append(rest.Broadcasts, b)
			}
		}
		leftOut += len(batch.Broadcasts) - len(rest.Broadcasts)
		if len(rest.Broadcasts) > 0 {
			m.listener.Deliver(&rest)
		}
	}
	return leftOut
}
