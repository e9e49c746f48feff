//go:build unix

package gateway

import (
	"net"
	"syscall"
)

// rawConn returns the socket below nc, or nil if nc is something else, such as TLS.
func rawConn(nc net.Conn) (syscall.RawConn, int) {
	if returned, ok := nc.(*returnedConn); ok && len(returned.ahead) == 0 {
		nc = returned.Conn
	}
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nil, 0
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, 0
	}
	fd := -1
	if err := raw.Control(func(n uintptr) { fd = int(n) }); err != nil || fd < 0 {
		return nil, 0
	}
	return raw, fd
}

// readFD reads from a socket that does not block.
func readFD(fd uintptr, b []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), b)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// peekFD tells whether a socket that does not block has something to read; gone tells that the other side has closed it.
func peekFD(fd int) (some, gone bool) {
	var b [1]byte
	n, _, err := syscall.Recvfrom(fd, b[:], syscall.MSG_PEEK)
	switch {
	case n > 0:
		return true, false
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return false, false
	default:
		return false, true
	}
}

// writeFD writes to a socket that does not block, and returns how much it took. That it would block is no error.
func writeFD(fd int, b []byte) (int, error) {
	for {
		n, err := syscall.Write(fd, b)
		switch err {
		case nil:
			return n, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, nil
		default:
			return 0, err
		}
	}
}
