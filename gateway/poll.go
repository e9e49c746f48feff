package gateway

import (
	"net/http"
	"sync"
)

// poll is a GET that waits for messages. It is answered once.
type poll struct {
	session *session
	token   string // as the client sent it; it is echoed
	since   int64  // when it came, in Unix milliseconds

	mu     sync.Mutex
	body   []byte        // the answer
	wake   chan struct{} // closed by the answer, if a goroutine waits for it
	parked *parked       // the connection, if no goroutine waits
}

// answer gives the poll its answer, and tells whether anybody is there to take it. It does not block.
func (p *poll) answer(body []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.body = body
	switch {
	case p.parked != nil:
		return p.parked.answer(body)
	case p.wake != nil:
		close(p.wake)
	}
	return true
}

// serve sends the answer when it is there. Where that can be, it parks the connection and returns; else it blocks.
func (p *poll) serve(w http.ResponseWriter, r *http.Request) {
	if body := p.answered(); body != nil {
		p.session.gw.answerJSON(w, body)
		return
	}
	if p.park(w, r) {
		return
	}
	p.mu.Lock()
	wake := make(chan struct{})
	if p.body == nil {
		p.wake = wake
	} else {
		close(wake)
	}
	p.mu.Unlock()
	select {
	case <-wake:
		if p.session.gw.isDraining() {
			w.Header().Set("Connection", "close")
		}
		p.session.gw.answerJSON(w, p.answered())
	case <-r.Context().Done():
		p.session.abandon(p)
	}
}

// answered returns the answer, or nil if there is none yet.
func (p *poll) answered() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.body
}
