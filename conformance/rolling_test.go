package conformance_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// service is what a Kubernetes Service is to pods: new connections go to those that are ready, in turn.
type service struct {
	listener net.Listener
	work     sync.WaitGroup

	mu   sync.Mutex
	pods []*pod
	next int
}

// newService listens for clients.
func newService(t *testing.T) *service {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &service{listener: l}
	s.work.Go(s.accept)
	t.Cleanup(func() {
		l.Close()
		s.work.Wait()
	})
	return s
}

// set says which pods are ready.
func (s *service) set(pods ...*pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pods = slices.Clone(pods)
}

func (s *service) accept() {
	for {
		client, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		p := s.pods[s.next%len(s.pods)]
		s.next++
		s.mu.Unlock()
		s.work.Go(func() { pass(client, p.addr) })
	}
}

// pass carries bytes both ways until one side ends.
func pass(client net.Conn, addr string) {
	defer client.Close()
	server, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer server.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(client, server)
		client.Close()
	}()
	io.Copy(server, client)
	server.(*net.TCPConn).CloseWrite()
	<-done
}

// TestRollingRestart restarts three pods one after the other under clients that come back as fast as phoenix.js does, while
// messages are published all the time.
func TestRollingRestart(t *testing.T) {
	const clients, ceiling = 2000, 400 // joins a second at one pod; without a spread they would all come at once
	server, topic := ownRedis(t), newTopic("rolling")
	start := func(n, generation int) *pod {
		p, err := startPod("socket", settings{
			"ROOST_POD_ID": fmt.Sprintf("roll-%d-%d", n, generation), "ROOST_DRAIN_TIMEOUT": "10s", "LOG_LEVEL": "warn",
			"ROOST_WEBHOOK_EVENTS": "join,push,leave",
		}, server.url())
		if err != nil {
			t.Fatalf("pod: %v", err)
		}
		t.Cleanup(func() {
			p.cmd.Process.Kill()
			p.cmd.Wait()
			p.log.Close()
		})
		return p
	}
	pods := []*pod{start(0, 0), start(1, 0), start(2, 0)}
	front := newService(t)
	front.set(pods...)

	ctx, stop := context.WithCancel(context.Background())
	crowd := newTimedCrowd()
	var living sync.WaitGroup
	defer living.Wait()
	defer stop()
	url := "ws://" + front.listener.Addr().String() + "/socket/websocket?vsn=2.0.0"
	for i := range clients {
		living.Go(func() {
			time.Sleep(time.Duration(i) * 2 * time.Millisecond)
			(&timedClient{url: url, topic: topic, crowd: crowd}).run(ctx)
		})
	}
	inside := func() error {
		if n := crowd.joined(); n != clients {
			return fmt.Errorf("%d of %d clients are joined", n, clients)
		}
		return nil
	}
	eventually(t, inside)
	living.Go(func() { // the steady publisher
		for ctx.Err() == nil {
			server.client.Publish(ctx, "roost:topic:"+topic, `{"event":"tick"}`)
			time.Sleep(500 * time.Millisecond)
		}
	})
	rolled := time.Now()
	for n, old := range slices.Clone(pods) {
		front.set(slices.DeleteFunc(slices.Clone(pods), func(p *pod) bool { return p == old })...)
		old.signal(t, syscall.SIGTERM)
		old.ended(t)
		pods[n] = start(n, 1)
		front.set(pods...)
	}
	eventually(t, inside)
	wantRolled(t, server, topic, crowd, rolled, ceiling)
	server.publish(t, "topic:"+topic, `{"event":"last"}`)
	eventually(t, func() error {
		if n := crowd.seen("last"); n != clients {
			return fmt.Errorf("%d of %d clients got the last message", n, clients)
		}
		return nil
	})
}

// wantRolled checks what pods, clients, Redis and the backend have to show after a rolling restart.
func wantRolled(t *testing.T, server *redisServer, topic string, crowd *timedCrowd, since time.Time, ceiling int) {
	t.Helper()
	crowd.mu.Lock()
	codes, total, clients := maps.Clone(crowd.codes), crowd.joins, crowd.inside
	crowd.mu.Unlock()
	for code := range codes {
		if code != 1012 {
			t.Errorf("got close codes %v, want 1012 only", codes)
		}
	}
	eventually(t, func() error {
		if n := len(server.members(t, topic)); n != clients {
			return fmt.Errorf("got %d members, want %d", n, clients)
		}
		return nil
	})
	told := lab.backend.await(t, total-clients, topic, leaves)
	distinct := map[string]bool{}
	for _, n := range told {
		distinct[n.Data.Connection+" "+string(n.Data.JoinRef)] = true
		if n.Data.Reason != "drained" {
			t.Errorf("got leave reason %q, want drained", n.Data.Reason)
		}
	}
	if len(distinct) != total-clients {
		t.Errorf("got notices of %d channels, want %d", len(distinct), total-clients)
	}
	// Joins of one second at one pod, as the backend saw them.
	rate := map[string]int{}
	for _, c := range lab.backend.seen(topic, func(c call) bool { return joins(c) && c.Timestamp.After(since) }) {
		pod, _, _ := strings.Cut(c.Data.Connection, ".")
		rate[fmt.Sprintf("%s at %d", pod, c.Timestamp.Unix())]++
	}
	most := slices.Max(slices.Collect(maps.Values(rate)))
	t.Logf("%d joins for %d clients, at most %d a second at one pod", total, clients, most)
	if most > ceiling {
		t.Errorf("got %d joins in a second at one pod, want %d at most", most, ceiling)
	}
}
