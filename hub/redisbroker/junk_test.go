package redisbroker_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

// TestJunkFromServer: a server that does not speak Redis costs the link, until one that does is there.
func TestJunkFromServer(t *testing.T) {
	s := redistest.Mini(t)
	junk := make(chan string, 10)
	for _, j := range []string{"", "HTTP/1.1 400 Bad Request\r\n\r\n", "+OK\r\n*3\r\n$9\r\nsubscribe\r\n", "+OK\r\n-ERR no\r\n", "+OK\r\n" + strings.Repeat("x", 1<<20)} {
		junk <- j
	}
	p := run(t, open(t, redisbroker.Config{URL: "redis://" + proxy(t, s.Addr(), junk), PodID: "pod-a"}))
	p.awaitUps(t, 1)
	if len(junk) > 0 {
		t.Fatalf("%d kinds of junk were not asked for", len(junk))
	}
	p.subscribe(t, "topic:x")
	publish(t, s, "topic:x", "hello")
	p.awaitMessages(t, "topic:x", 1)
}

// proxy answers each connection with what is in junk, and when there is no more, connects it with the server at addr.
func proxy(t *testing.T, addr string, junk <-chan string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				select {
				case j := <-junk:
					_, _ = io.WriteString(conn, j)
				default:
					pass(conn, addr)
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

// pass carries bytes both ways until one side ends.
func pass(conn net.Conn, addr string) {
	server, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	back := make(chan struct{})
	go func() {
		defer close(back)
		_, _ = io.Copy(conn, server)
		conn.Close()
	}()
	_, _ = io.Copy(server, conn)
	server.Close()
	<-back
}
