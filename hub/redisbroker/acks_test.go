package redisbroker_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

// TestOnlyTheNewestSubscriptionIsConfirmed: acknowledgements of commands that a later one has overtaken confirm nothing.
func TestOnlyTheNewestSubscriptionIsConfirmed(t *testing.T) {
	s := newScript(t)
	p := run(t, open(t, redisbroker.Config{URL: "redis://" + s.addr, PodID: "pod-a"}))
	s.awaitSeen(t, "PING", 1)
	s.say(t, "*3\r\n$10\r\npsubscribe\r\n$1\r\nx\r\n:1\r\n*2\r\n$4\r\npong\r\n$2\r\nup\r\n")
	p.awaitUps(t, 1)

	const addr, barrier = "topic:a", "conn:pod-a.1"
	confirmed := make(chan error, 1)
	p.Subscribe(addr, nil)
	s.awaitSeen(t, "\nSUBSCRIBE", 1)
	p.Unsubscribe(addr)
	s.awaitSeen(t, "\nUNSUBSCRIBE", 1)
	s.say(t, ack("subscribe", addr)+frame("roost:"+addr, "not wanted")+connFrame(barrier))
	p.awaitMessages(t, barrier, 1)
	if got := p.got(addr); len(got) > 0 {
		t.Errorf("got %q after Unsubscribe, want nothing", got)
	}

	p.Subscribe(addr, func(err error) { confirmed <- err })
	s.awaitSeen(t, "\nSUBSCRIBE", 2)
	s.say(t, ack("unsubscribe", addr)+connFrame(barrier))
	p.awaitMessages(t, barrier, 2)
	if len(confirmed) > 0 {
		t.Error("confirmed before Redis acknowledged the newest command")
	}
	s.say(t, ack("subscribe", addr)+frame("roost:"+addr, "wanted"))
	if err := await(t, confirmed); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	p.awaitMessages(t, addr, 1)

	// An acknowledgement that overtakes the second of two flips belongs to the first.
	p.Unsubscribe(addr)
	s.awaitSeen(t, "\nUNSUBSCRIBE", 2)
	p.Subscribe(addr, func(err error) { confirmed <- err })
	s.awaitSeen(t, "\nSUBSCRIBE", 3)
	p.Unsubscribe(addr)
	s.awaitSeen(t, "\nUNSUBSCRIBE", 3)
	p.Subscribe(addr, func(err error) { confirmed <- err })
	s.awaitSeen(t, "\nSUBSCRIBE", 4)
	s.say(t, ack("unsubscribe", addr)+ack("subscribe", addr)+connFrame(barrier))
	p.awaitMessages(t, barrier, 3)
	if len(confirmed) > 0 {
		t.Error("confirmed by the acknowledgement of an older subscription")
	}
	s.say(t, ack("unsubscribe", addr)+ack("subscribe", addr))
	await(t, confirmed)
}

// ack is an acknowledgement as Redis sends it.
func ack(kind string, addr hub.Address) string {
	return reply(3, kind, "roost:"+string(addr)) + ":1\r\n"
}

// connFrame is a message for a connection of the pod.
func connFrame(addr hub.Address) string {
	return reply(4, "pmessage", "x", "roost:"+string(addr), "hello")
}

// reply is the beginning of an array of n elements.
func reply(n int, words ...string) string {
	s := fmt.Sprintf("*%d\r\n", n)
	for _, w := range words {
		s += fmt.Sprintf("$%d\r\n%s\r\n", len(w), w)
	}
	return s
}

// script is a server that says what the test wants, on the link alone. Other connections are closed.
type script struct {
	addr string

	mu   sync.Mutex
	link net.Conn
	seen []byte
}

func newScript(t *testing.T) *script {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{addr: l.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return s
}

// serve keeps what the link says. The broker begins it with its name, go-redis its own connections otherwise.
func (s *script) serve(conn net.Conn) {
	defer conn.Close()
	first := make([]byte, 4096)
	n, err := conn.Read(first)
	if err != nil || !bytes.Contains(first[:n], []byte("SETNAME")) {
		return
	}
	s.mu.Lock()
	s.link = conn
	s.mu.Unlock()
	_, _ = io.WriteString(conn, "+OK\r\n")
	for n = 0; err == nil; n, err = conn.Read(first) {
		s.mu.Lock()
		s.seen = append(s.seen, first[:n]...)
		s.mu.Unlock()
	}
}

func (s *script) awaitSeen(t *testing.T, text string, n int) {
	t.Helper()
	redistest.Eventually(t, text, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return bytes.Count(s.seen, []byte(text)) >= n
	})
}

func (s *script) say(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(s.link, text); err != nil {
		t.Fatal(err)
	}
}
