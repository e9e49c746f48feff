//go:build linux

package gateway

import (
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// readableFunc is watched and calls a function. Its descriptor is one end of a pair; the test writes to the other.
type readableFunc struct {
	fd, other int
	call      func()
}

func (f *readableFunc) descriptor() int { return f.fd }
func (f *readableFunc) readable([]byte) { f.call() }

// write makes f readable.
func (f *readableFunc) write(t *testing.T) {
	t.Helper()
	if _, err := syscall.Write(f.other, []byte("x")); err != nil {
		t.Fatal(err)
	}
}

// pair returns a readableFunc that is not readable yet.
func pair(t *testing.T) *readableFunc {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Close(fds[0])
		_ = syscall.Close(fds[1])
	})
	return &readableFunc{fd: fds[0], other: fds[1]}
}

// A descriptor may be used again while the poller still has an event of the one before, and the poller may have stopped and
// begun again meanwhile. What is watched is read by one goroutine at a time all the same.
func TestPollerReadsOneAtATime(t *testing.T) {
	var work tasks
	p := newPoller(&work)
	first, a, b, c := pair(t), pair(t), pair(t), pair(t)
	watching, ready, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var once sync.Once
	var inside, most atomic.Int32
	c.call = func() {
		most.Store(max(most.Load(), inside.Add(1)))
		defer inside.Add(-1)
		select {
		case <-done:
		case <-time.After(200 * time.Millisecond): // for another one to come
			p.remove(c)
			once.Do(func() { close(done) })
		}
	}
	first.call = func() { // what is ready meanwhile comes in one piece
		close(watching)
		<-ready
		p.remove(first)
	}
	b.call = func() { t.Error("got an event for what is not watched any more") }
	a.call = func() {
		p.remove(b)
		p.remove(a) // the last one: the poller stops
		if err := syscall.Dup3(c.fd, b.fd, 0); err != nil {
			t.Errorf("Dup3 = %v, want the descriptor used again", err)
		}
		c.fd = b.fd
		if err := p.add(c); err != nil {
			t.Errorf("add = %v, want nil", err)
		}
	}
	for _, w := range []*readableFunc{first, a, b} {
		if err := p.add(w); err != nil {
			t.Fatalf("add = %v, want nil", err)
		}
	}
	first.write(t)
	<-watching
	a.write(t)
	b.write(t)
	c.write(t)
	close(ready)
	<-done
	work.wait()
	if got := most.Load(); got != 1 {
		t.Errorf("got %d goroutines reading at once, want 1", got)
	}
}
