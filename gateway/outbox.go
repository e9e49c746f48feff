package gateway

import (
	"net"
	"time"
)

// writeChunk is about how many bytes the writer hands to one write.
const writeChunk = 64 << 10

// put implements [outbox]. While nothing waits it tries the write itself, without blocking; what would block is left to
// a writer, which lives as long as the backlog.
func (s *socket) put(frames []byte) bool {
	if s.gone || !s.started || s.ending != closeNone {
		return true // there is nobody to write to; the reader ends the connection
	}
	if s.raw != nil && !s.writing {
		n, err := writeFD(s.fd, frames)
		if err != nil || n == len(frames) {
			return true // an error is the reader's to find
		}
		frames = frames[n:]
	}
	if s.queued > 0 && s.queued+len(frames) > s.gw.cfg.OutboxLimit {
		return false
	}
	s.queue = append(s.queue, frames)
	s.queued += len(frames)
	s.startWriter()
	return true
}

// waiting implements [outbox].
func (s *socket) waiting() int { return s.queued }

// flush implements [outbox]. There is nothing to do: what could leave has left.
func (s *socket) flush() {}

// ended implements [outbox]. There is nothing to do: hangUp does it.
func (s *socket) ended() {}

// finish implements [outbox]. What is queued still leaves, unless the client was too slow for it.
func (s *socket) finish(code uint16) {
	s.ending = code
	switch {
	case !s.started || s.gone:
		return
	case code == closeNone:
		s.expire(0)
		return
	case s.overflow && len(s.queue) > 1:
		s.queue = s.queue[:1] // it may be the rest of a frame
	}
	frame := closeFrame(code)
	if s.raw != nil && !s.writing && len(s.queue) == 0 {
		n, err := writeFD(s.fd, frame)
		if err != nil || n == len(frame) {
			s.closeWrite()
			return
		}
		frame = frame[n:]
	}
	s.queue = append(s.queue, frame)
	s.queued += len(frame)
	s.startWriter()
	s.expire(closeTimeout)
}

// expire makes the connection end after d at the latest.
func (s *socket) expire(d time.Duration) {
	_ = s.nc.SetDeadline(time.Now().Add(d)) // a goroutine that reads, and the writer
	if s.poller != nil {
		time.AfterFunc(d, s.hangUp)
	}
}

func (s *socket) startWriter() {
	if !s.writing {
		s.writing = true
		s.gw.work.start(s.write)
	}
}

// write writes the backlog until there is none. What waits together leaves together.
func (s *socket) write() {
	s.mu.Lock()
	defer s.unlock()
	defer func() { s.writing = false }()
	for len(s.queue) > 0 && !s.gone {
		var chunk net.Buffers
		size, n := 0, 0
		for n < len(s.queue) && (n == 0 || size+len(s.queue[n]) <= writeChunk) {
			chunk = append(chunk, s.queue[n])
			size += len(s.queue[n])
			n++
		}
		clear(s.queue[:n])
		s.queue = s.queue[n:]
		if s.ending == closeNone {
			_ = s.nc.SetWriteDeadline(time.Now().Add(s.gw.cfg.WriteTimeout))
		}
		s.mu.Unlock()
		_, err := chunk.WriteTo(s.nc)
		s.mu.Lock()
		s.queued -= size
		if err != nil {
			s.broken(err, chunk)
			return
		}
	}
	s.queue = nil
	if s.ending != closeNone {
		s.closeWrite()
	}
}

// closeWrite tells the client that nothing follows the close frame, and gives it time to answer.
func (s *socket) closeWrite() {
	if s.answered {
		s.expire(0)
		return
	}
	s.expire(closeTimeout)
	half, ok := s.nc.(interface{ CloseWrite() error })
	switch {
	case !ok:
	case s.raw != nil:
		_ = half.CloseWrite()
	default:
		s.gw.work.start(func() { _ = half.CloseWrite() }) // TLS may block
	}
}
