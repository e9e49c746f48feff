//go:build !unix

package gateway

import (
	"net"
	"syscall"
)

// rawConn finds no sockets on this system, so all connections take the ordinary path.
func rawConn(net.Conn) (syscall.RawConn, int) { return nil, 0 }

func readFD(uintptr, []byte) (int, error) { return 0, syscall.EINVAL }

func peekFD(int) (some, gone bool) { return false, false }

func writeFD(int, []byte) (int, error) { return 0, syscall.EINVAL }
