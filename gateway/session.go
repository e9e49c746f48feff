package gateway

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"unicode/utf8"

	"roost/auth"
)

// session is a connection over long-polling: another way to empty an outbox. What waits is kept until a poll takes it.
type session struct {
	conn
	posting sync.Mutex // one POST at a time, so that messages keep their order

	// Guarded by conn.mu.
	buffer []byte // quoted messages, separated by commas
	poll   *poll  // the GET that waits, or nil
}

var _ outbox = (*session)(nil)

// errGone says that a session has ended, or ends because of what was posted.
var errGone = errors.New("gateway: the long-poll session is gone")

// put implements [outbox].
func (s *session) put(messages []byte) bool {
	if len(s.buffer) > 0 {
		if len(s.buffer)+len(messages) > s.gw.cfg.OutboxLimit {
			return false
		}
		s.buffer = append(s.buffer, ',')
	}
	s.buffer = append(s.buffer, messages...)
	return true
}

// waiting implements [outbox].
func (s *session) waiting() int { return len(s.buffer) }

// flush implements [outbox]: a poll that waits gets all there is.
func (s *session) flush() {
	if s.poll != nil && len(s.buffer) > 0 {
		s.release(http.StatusOK)
	}
}

// finish implements [outbox]. The poll that waits is answered at once; later ones find the session gone.
func (s *session) finish(uint16) {
	if s.poll != nil {
		s.release(http.StatusInternalServerError)
	}
	s.buffer = nil
	s.gw.sessions.remove(s.client().Connection)
}

// ended implements [outbox].
func (s *session) ended() { s.gw.work.done() }

// release answers the poll that waits; a 200 takes with it what waits. The caller holds mu.
func (s *session) release(status int) {
	p := s.poll
	s.poll = nil
	var messages []byte
	if status == http.StatusOK {
		messages, s.buffer = s.buffer, nil
	}
	s.heard.Store(s.gw.clock.Load())
	if !p.answer(envelope(status, p.token, messages)) && status == http.StatusOK {
		s.buffer = messages // the client is gone: they are the next poll's
	}
}

// hold makes p the poll of the session, or answers it at once. An older poll is let go: the newer wins.
func (s *session) hold(p *poll) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.poll != nil {
		s.release(http.StatusNoContent)
	}
	s.poll = p
	s.heard.Store(s.gw.clock.Load())
	switch {
	case s.closed:
		s.release(http.StatusInternalServerError)
	case len(s.buffer) > 0:
		s.release(http.StatusOK)
	}
}

// abandon takes back a poll whose client is gone, so that no message goes with it.
func (s *session) abandon(p *poll) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.poll == p {
		s.poll = nil
		s.heard.Store(s.gw.clock.Load())
	}
}

// overdue answers a poll that has waited since before.
func (s *session) overdue(before int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.poll != nil && s.poll.since <= before {
		s.release(http.StatusNoContent)
	}
}

// post takes the messages of one POST. It does not wait for what becomes of them. errGone means that one was no message.
func (s *session) post(body io.Reader, ndjson bool) error {
	s.posting.Lock()
	defer s.posting.Unlock()
	var v violation
	err := readBatch(body, ndjson, s.gw.cfg.MaxMessageSize, func(binary bool, message []byte) bool {
		if v = closeInvalidData; binary || utf8.Valid(message) {
			v = s.receive(binary, message)
		}
		return v == 0
	})
	if v != 0 {
		s.close(uint16(v), auth.ReasonError)
		return errGone
	}
	return err
}

// envelope is the body of a JSON answer. Without a token it is the status alone.
func envelope(status int, token string, messages []byte) []byte {
	b := make([]byte, 0, 48+len(token)+len(messages))
	b = append(b, `{"status":`...)
	b = strconv.AppendInt(b, int64(status), 10)
	if token != "" {
		b = append(b, `,"token":"`...)
		b = append(b, token...)
		b = append(b, `","messages":[`...)
		b = append(b, messages...)
		b = append(b, ']')
	}
	return append(b, '}')
}

// sessions are the long-poll sessions of a pod, by connection id.
type sessions struct {
	mu   sync.Mutex
	byID map[string]*session
}

func (ss *sessions) get(connection string) *session {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.byID[connection]
}

func (ss *sessions) put(s *session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.byID == nil {
		ss.byID = map[string]*session{}
	}
	ss.byID[s.client().Connection] = s
}

func (ss *sessions) remove(connection string) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	delete(ss.byID, connection)
}

// all appends the sessions as they are now to list.
func (ss *sessions) all(list []*session) []*session {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, s := range ss.byID {
		list = append(list, s)
	}
	return list
}
