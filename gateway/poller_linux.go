package gateway

import (
	"errors"
	"os"
	"sync"
	"syscall"
)

// readBuffer is how many bytes a poller reads at once. The buffer is the poller's, so a connection needs none.
const readBuffer = 64 << 10

// poller waits for the bytes of many connections with one goroutine and one epoll instance, so that an idle connection
// costs neither a goroutine nor a stack. It runs while it has something to watch. See docs/adr/0003-one-poller-for-many-sockets.md.
type poller struct {
	work *tasks

	mu      sync.Mutex
	epoll   *os.File // nil while there is nothing to watch
	fd      int      // of epoll
	watches map[int32]watched
}

func newPoller(work *tasks) *poller {
	return &poller{work: work, watches: map[int32]watched{}}
}

// add begins to watch w.
func (p *poller) add(w watched) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.epoll == nil {
		if err := p.open(); err != nil {
			return err
		}
	}
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(w.descriptor())}
	if err := syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_ADD, w.descriptor(), &event); err != nil {
		p.stopIfIdle()
		return err
	}
	p.watches[event.Fd] = w
	return nil
}

// remove ends watching w, whose descriptor must still be open. It may be called again.
func (p *poller) remove(w watched) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fd := int32(w.descriptor())
	if p.watches[fd] != w {
		return
	}
	delete(p.watches, fd)
	// It fails only if the descriptor is no more, and then it is not watched.
	_ = syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_DEL, int(fd), nil)
	p.stopIfIdle()
}

// open makes the epoll instance and starts the goroutine. The instance itself is watched by Go's own poller, so waiting
// for it takes no thread. The caller holds mu.
func (p *poller) open() error {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		return errors.Join(err, syscall.Close(fd))
	}
	epoll := os.NewFile(uintptr(fd), "epoll")
	raw, err := epoll.SyscallConn()
	if err != nil {
		return errors.Join(err, epoll.Close())
	}
	p.epoll, p.fd = epoll, fd
	p.work.start(func() { p.run(epoll, raw) })
	return nil
}

// stopIfIdle ends the goroutine when there is nothing to watch. The caller holds mu.
func (p *poller) stopIfIdle() {
	if len(p.watches) == 0 && p.epoll != nil {
		_ = p.epoll.Close()
		p.epoll = nil
	}
}

// run reads from whatever has something, until the epoll instance is closed.
func (p *poller) run(epoll *os.File, raw syscall.RawConn) {
	events := make([]syscall.EpollEvent, 128)
	buf := make([]byte, readBuffer)
	n := 0
	ready := func(fd uintptr) bool {
		var err error
		n, err = syscall.EpollWait(int(fd), events, 0)
		return n > 0 || err != nil && err != syscall.EINTR
	}
	for {
		n = 0
		if err := raw.Read(ready); err != nil || n < 0 {
			return
		}
		for _, e := range events[:n] {
			p.mu.Lock()
			w := p.watches[e.Fd]
			if p.epoll != epoll {
				w = nil // another one may watch a new descriptor with an old number
			}
			p.mu.Unlock()
			if w != nil {
				w.readable(buf)
			}
		}
	}
}
