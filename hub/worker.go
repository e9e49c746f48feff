package hub

import (
	"context"
	"slices"
	"sync"
)

// A shard is the part of a topic's members that one worker carries. A member stays with its shard, so that its order
// holds.
type shard struct {
	topic  *topic
	worker *worker
	live   int // members placed here; guarded by Hub.mu

	members []*Subscription // owned by the worker

	ops    []op // guarded by worker.mu
	queued bool // in worker.ready; guarded by worker.mu
	gap    bool // a broadcast was dropped and the members will be told; guarded by worker.mu
}

type opKind uint8

const (
	opAdd opKind = iota
	opRemove
	opBroadcast
	opEnd  // end all members: with phx_error if crash is set
	opCall // call
)

// op is one thing for a worker to do.
type op struct {
	kind  opKind
	crash bool
	sub   *Subscription
	b     *Broadcast
	call  func()
}

// worker does the fan-out of its shards, each in order.
type worker struct {
	hub    *Hub
	wake   chan struct{}
	direct shard // carries opCall
	batch  Batch // reused by each fan-out

	mu    sync.Mutex
	ready []*shard
	bytes int // of broadcasts waiting

	spareReady []*shard // reused by run
	spareOps   []op     // reused by run; guarded by mu
}

func newWorker(h *Hub) *worker {
	w := &worker{hub: h, wake: make(chan struct{}, 1)}
	w.direct.worker = w
	return w
}

// put queues o. It does not block.
func (w *worker) put(s *shard, o op) {
	w.mu.Lock()
	if o.kind == opAdd {
		s.gap = false // who comes now is not among those that will be told
	}
	if o.kind == opBroadcast {
		if w.bytes+o.b.size > w.hub.cfg.BacklogLimit && w.bytes > 0 {
			// Nothing is lost in silence: whoever misses this broadcast joins again.
			dropped := !s.gap
			s.gap = true
			w.hub.metrics.overflow.Inc()
			if !dropped {
				w.mu.Unlock()
				o.b.settle(s)
				return
			}
			waiting := o.b
			o = op{kind: opEnd, crash: true}
			defer waiting.settle(s)
		} else {
			w.bytes += o.b.size
		}
	}
	if s.ops == nil {
		s.ops, w.spareOps = w.spareOps, nil
	}
	s.ops = append(s.ops, o)
	if !s.queued {
		s.queued = true
		w.ready = append(w.ready, s)
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run works until ctx ends.
func (w *worker) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
		for {
			w.mu.Lock()
			ready := w.ready
			w.ready = w.spareReady[:0]
			w.mu.Unlock()
			if len(ready) == 0 {
				w.spareReady = ready
				break
			}
			for i, s := range ready {
				w.serve(s)
				ready[i] = nil
			}
			w.spareReady = ready[:0]
		}
	}
}

// serve does all that waits for s.
func (w *worker) serve(s *shard) {
	w.mu.Lock()
	ops := s.ops
	s.ops, s.queued, s.gap = nil, false, false
	w.mu.Unlock()
	done := 0
	for i := 0; i < len(ops); {
		switch o := ops[i]; o.kind {
		case opAdd:
			o.sub.index = int32(len(s.members))
			s.members = append(s.members, o.sub)
			i++
		case opRemove:
			s.remove(o.sub)
			i++
		case opEnd:
			for _, m := range slices.Clone(s.members) {
				m.listener.End(o.crash)
			}
			if o.b != nil {
				o.b.settle(s)
			}
			i++
		case opCall:
			o.call()
			i++
		case opBroadcast:
			n, bytes := run(ops[i:])
			s.fanOut(ops[i : i+n])
			i += n
			done += bytes
		}
	}
	clear(ops)
	w.mu.Lock()
	w.bytes -= done
	if cap(ops) <= 4096 {
		w.spareOps = ops[:0]
	}
	w.mu.Unlock()
}

// remove takes sub out of the members, by putting the last one in its place.
func (s *shard) remove(sub *Subscription) {
	last := len(s.members) - 1
	s.members[sub.index] = s.members[last]
	s.members[sub.index].index = sub.index
	s.members[last] = nil
	s.members = s.members[:last]
	if cap(s.members) > 64 && len(s.members) < cap(s.members)/4 {
		s.members = slices.Clone(s.members)
	}
}

// Bounds of one batch: what leaves for a member in one write.
const (
	batchCount = 256
	batchBytes = 64 << 10
)

// run returns how many of the first ops are broadcasts that may leave in one batch, and their size.
func run(ops []op) (n, bytes int) {
	for n < len(ops) && n < batchCount && ops[n].kind == opBroadcast {
		if n > 0 && bytes+ops[n].b.size > batchBytes {
			break
		}
		bytes += ops[n].b.size
		n++
	}
	return n, bytes
}
