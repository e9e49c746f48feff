package redisbroker_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// fake is a server that answers each command with what answer returns, and hangs up where that is "". It returns its address.
func fake(t *testing.T, answer func(command []string) string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex // one command at a time, as in Redis
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				for {
					command, err := readCommand(r)
					if err != nil {
						return
					}
					mu.Lock()
					text := answer(command)
					mu.Unlock()
					if text == "" {
						_ = conn.(*net.TCPConn).CloseWrite() // what was said before is to arrive
						_, _ = io.Copy(io.Discard, conn)
						return
					}
					_, _ = io.WriteString(conn, text)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

// readCommand reads an array of texts.
func readCommand(r *bufio.Reader) (command []string, err error) {
	var n, size int
	if _, err := fmt.Fscanf(r, "*%d\r\n", &n); err != nil {
		return nil, err
	}
	for range n {
		if _, err := fmt.Fscanf(r, "$%d\r\n", &size); err != nil {
			return nil, err
		}
		text := make([]byte, size+2)
		if _, err := io.ReadFull(r, text); err != nil {
			return nil, err
		}
		command = append(command, string(text[:size]))
	}
	command[0] = strings.ToLower(command[0])
	return command, nil
}

// fakeCluster is the URL of a fake that is a whole cluster.
func fakeCluster(t *testing.T, answer func(command []string) string) string {
	t.Helper()
	var addr string
	ready := make(chan struct{})
	addr = fake(t, func(command []string) string {
		<-ready
		if command[0] == "cluster" {
			host, port, _ := net.SplitHostPort(addr)
			n, _ := strconv.Atoi(port)
			return fmt.Sprintf("*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$%d\r\n%s\r\n:%d\r\n$2\r\nid\r\n", len(host), host, n)
		}
		return answer(command)
	})
	close(ready)
	return "redis://" + addr + "," + addr
}
