package gateway

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"roost/auth"
)

// closeTimeout is how long a client has to answer a close frame.
const closeTimeout = 2 * time.Second

// socket is a connection over a WebSocket. A poller reads for it where there is one; elsewhere, and where the network
// connection is no plain socket, a goroutine does. It has a writer only while the client is behind with reading.
type socket struct {
	conn
	nc     net.Conn
	raw    syscall.RawConn // nil if nc is no plain socket, such as TLS: then all writes take the writer
	fd     int             // of raw; good while gone is false
	poller *poller         // that reads, or nil if a goroutine does
	reader frameReader

	discard bool // the rest of what the client sends means nothing; owned by whoever reads

	// Guarded by conn.mu.
	queue   [][]byte // what could not be written at once; the first may be the rest of a frame
	queued  int      // bytes in queue and in the writer's hands
	writing bool     // the writer runs
	started bool     // nc is there
	gone    bool     // nc is closed
	ending  uint16   // close code that was sent or is to be, or closeNone

	answered bool // the client's close frame is there
}

var (
	_ outbox  = (*socket)(nil)
	_ watched = (*socket)(nil)
)

// descriptor implements [watched].
func (s *socket) descriptor() int { return s.fd }

// start takes the upgraded nc over. It returns at once.
func (s *socket) start(nc net.Conn, deflate bool) {
	s.reader.deflate = deflate
	s.mu.Lock()
	s.nc, s.started = nc, true
	if s.raw, s.fd = rawConn(nc); s.raw != nil {
		p := s.gw.pollers[s.fd%len(s.gw.pollers)]
		if err := p.add(s); err == nil {
			s.poller = p
		}
	}
	if s.poller == nil {
		go s.read()
	}
	if s.closed { // while the handshake was under way
		s.finish(s.ending)
	}
	s.unlock()
}

// read is the goroutine of a connection that no poller reads for.
func (s *socket) read() {
	defer s.hangUp()
	wait := s.waiter()
	for {
		buf, n, err := wait()
		done := s.take(buf[:n])
		if s.raw != nil && buf != nil {
			buffers.Put(&buf)
		}
		if done || err != nil {
			return
		}
	}
}

// take takes what the client sent, and tells whether the connection can be closed. data may be changed.
func (s *socket) take(data []byte) (done bool) {
	if len(data) == 0 || s.discard {
		return false
	}
	s.heard.Store(s.gw.clock.Load())
	v, done := s.reader.feed(data, s.gw.cfg.MaxMessageSize, s)
	if v != 0 {
		s.discard = true
		s.close(uint16(v), auth.ReasonError)
		return false
	}
	s.discard = done
	return done && s.flushed()
}

// readable implements [watched].
func (s *socket) readable(buf []byte) {
	s.mu.Lock()
	if s.gone {
		s.mu.Unlock()
		return
	}
	n, err := readFD(uintptr(s.fd), buf) // under mu, so that the descriptor is ours
	s.mu.Unlock()
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return
	case n == 0 && err == nil:
		err = io.EOF
	}
	if s.take(buf[:max(n, 0)]) || err != nil {
		s.hangUp()
	}
}

// flushed tells whether nothing waits to be written behind the client's close frame. If something does, the writer ends the
// connection.
func (s *socket) flushed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answered = true
	return !s.writing
}

// buffers are lent to connections that read for themselves, while there is something to read.
var buffers = sync.Pool{New: func() any { b := make([]byte, 8<<10); return &b }}

// waiter returns a function that blocks until the client sent something. From a plain socket the bytes are in one of
// buffers.
func (s *socket) waiter() func() (buf []byte, n int, err error) {
	if s.raw == nil {
		// The buffer is held while waiting, so it is a small one.
		own := make([]byte, 1<<10)
		return func() ([]byte, int, error) {
			n, err := s.nc.Read(own)
			return own, n, err
		}
	}
	var buf *[]byte
	var n int
	var failed error
	ready := func(fd uintptr) bool {
		buf = buffers.Get().(*[]byte)
		n, failed = readFD(fd, *buf)
		if errors.Is(failed, syscall.EAGAIN) {
			buffers.Put(buf)
			buf = nil
			return false
		}
		return true
	}
	return func() ([]byte, int, error) {
		buf, n, failed = nil, 0, nil
		if err := s.raw.Read(ready); err != nil {
			return nil, 0, err
		}
		if n <= 0 && failed == nil {
			failed = io.EOF
		}
		return *buf, max(n, 0), failed
	}
}

// message implements [frameSink].
func (s *socket) message(binary bool, body []byte) violation { return s.receive(binary, body) }

// control implements [frameSink].
func (s *socket) control(op byte, body []byte) (violation, bool) {
	switch op {
	case opPing:
		s.mu.Lock()
		s.put(controlFrame(opPong, body))
		s.unlock()
	case opClose:
		code := uint16(closeNoStatus)
		if len(body) > 0 {
			if len(body) == 1 {
				return closeProtocolError, true
			}
			if code = binary.BigEndian.Uint16(body); !isCloseCode(code) {
				return closeProtocolError, true
			}
			if !utf8.Valid(body[2:]) {
				return closeInvalidData, true
			}
		}
		s.close(code, auth.ReasonClosed)
		return 0, true
	}
	return 0, false
}

// broken ends a connection that could not be written to. rest is what was not written; it begins with the rest of a
// frame, which must come before a close frame. The caller holds mu.
func (s *socket) broken(err error, rest net.Buffers) {
	s.queue, s.queued = nil, 0
	if s.ending != closeNone || !errors.Is(err, os.ErrDeadlineExceeded) {
		s.expire(0)
		return
	}
	if len(rest) > 0 {
		s.queue, s.queued = [][]byte{rest[0]}, len(rest[0])
	}
	s.overflow = true // unlock closes it as slow
}

// hangUp closes the network connection, once, and ends what is left.
func (s *socket) hangUp() {
	s.close(closeNone, auth.ReasonClosed)
	s.mu.Lock()
	if s.gone {
		s.mu.Unlock()
		return
	}
	s.gone, s.queue, s.queued = true, nil, 0
	if s.poller != nil {
		s.poller.remove(s)
	}
	if s.raw != nil {
		_ = s.nc.Close() // under mu: nobody may use the descriptor once it is another's
	}
	s.mu.Unlock()
	if s.raw == nil {
		_ = s.nc.Close() // TLS may block
	}
	s.gw.work.done()
}
