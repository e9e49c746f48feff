//go:build unix

package gateway

import (
	"net"
	"syscall"
)

// rawConn returns the socket below nc, or nil if nc is something else, such as TLS.
func rawConn(nc net.Conn) (syscall.RawConn, int) {
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
