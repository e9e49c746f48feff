package redisbroker

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrFull is the answer to what would wait for Redis behind too much else.
var ErrFull = errors.New("redisbroker: too much waits for redis")

// batchSize is how many items leave together.
const batchSize = 1000

// batcher is a bounded queue: what waits while a batch is on its way leaves together in the next one, in order.
type batcher[T any] struct {
	maxItems, maxBytes int
	size               func(T) int   // bytes, nil if they do not count
	wake               chan struct{} // tells that there are items, or that it is closed
	closing            chan struct{} // closed by close

	mu     sync.Mutex
	items  []T // from head on
	head   int
	bytes  int
	closed bool
}

func newBatcher[T any](maxItems, maxBytes int, size func(T) int) *batcher[T] {
	return &batcher[T]{maxItems: maxItems, maxBytes: maxBytes, size: size, wake: make(chan struct{}, 1), closing: make(chan struct{})}
}

// put adds an item. It does not block; the answer is nil, [ErrFull] or [ErrClosed].
func (b *batcher[T]) put(item T) error {
	n := 0
	if b.size != nil {
		n = b.size(item)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrClosed
	}
	if len(b.items)-b.head >= b.maxItems || b.size != nil && b.bytes+n > b.maxBytes {
		return ErrFull
	}
	b.items = append(b.items, item)
	b.bytes += n
	b.signal()
	return nil
}

// take appends the next items to batch, n at most.
func (b *batcher[T]) take(batch []T, n int) []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := b.items[b.head:]
	next = next[:min(n, len(next))]
	batch = append(batch, next...)
	if b.size != nil {
		for _, item := range next {
			b.bytes -= b.size(item)
		}
	}
	clear(next)
	b.head += len(next)
	if b.head == len(b.items) {
		b.items, b.head = b.items[:0], 0
		if cap(b.items) > 4*batchSize {
			b.items = nil
		}
		return batch
	}
	if b.head > len(b.items)/2 {
		rest := copy(b.items, b.items[b.head:])
		clear(b.items[rest:])
		b.items, b.head = b.items[:rest], 0
	}
	b.signal()
	return batch
}

// close lets in nothing more. It is called once.
func (b *batcher[T]) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	close(b.closing)
	b.signal()
}

// drained tells whether the batcher is closed and empty.
func (b *batcher[T]) drained() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed && b.head == len(b.items)
}

func (b *batcher[T]) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// run sends batch after batch until the batcher is drained. ctx is for send alone.
func (b *batcher[T]) run(ctx context.Context, send func(context.Context, []T)) {
	var batch []T
	for !b.drained() {
		<-b.wake
		if batch = b.take(batch[:0], batchSize); len(batch) > 0 {
			send(ctx, batch)
			clear(batch)
		}
	}
}

// rest waits until the next batch may leave.
func rest(since time.Time) {
	if d := pace - time.Since(since); d > 0 {
		time.Sleep(d)
	}
}
