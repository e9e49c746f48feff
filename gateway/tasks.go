package gateway

import "sync"

// tasks counts what has to end before the gateway has. Unlike a sync.WaitGroup it may be waited for while something begins,
// because the server's last requests come when they come.
type tasks struct {
	mu   sync.Mutex
	n    int
	none sync.Cond // its L is set by wait
}

// add counts one more.
func (t *tasks) add() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
}

// done counts one less.
func (t *tasks) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n--; t.n == 0 {
		t.none.Broadcast()
	}
}

// start runs f in a goroutine that counts as long as it runs.
func (t *tasks) start(f func()) {
	t.add()
	go func() {
		defer t.done()
		f()
	}()
}

// wait blocks until there is none.
func (t *tasks) wait() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.none.L = &t.mu
	for t.n > 0 {
		t.none.Wait()
	}
}
