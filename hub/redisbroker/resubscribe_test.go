package redisbroker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

// TestResubscribe: after a link was lost, 20,000 topics stand again in a few commands, and who subscribes meanwhile waits.
func TestResubscribe(t *testing.T) {
	s := redistest.Start(t)
	p := start(t, redisbroker.Config{URL: s.URL})
	const topics = 20_000
	addr := func(i int) hub.Address { return hub.TopicAddress(fmt.Sprint("rooms:", i)) }
	subscribeAll(t, p, topics, addr)
	s.Stop(t)
	p.awaitDown(t)
	meanwhile := make(chan error, 100)
	for i := range cap(meanwhile) {
		p.Subscribe(addr(topics+i), func(err error) { meanwhile <- err })
	}
	s.Restart(t)
	began := time.Now()
	for range cap(meanwhile) {
		if err := await(t, meanwhile); err != nil {
			t.Errorf("Subscribe while the link was down: got %v, want nil", err)
		}
	}
	p.awaitUps(t, 2)
	t.Logf("%d topics stood again %v after Redis", topics, time.Since(began))
	if got, most := calls(t, s, "subscribe"), 2*(topics+cap(meanwhile))/512; got > most {
		t.Errorf("got %d SUBSCRIBE commands for %d topics, want %d at most", got, topics, most)
	}
	for i := 0; i < topics; i += 997 {
		publish(t, s, addr(i), "back")
		p.awaitMessages(t, addr(i), 1)
	}
}

// TestResubscribeSharded: the same where every slot needs a command of its own.
func TestResubscribeSharded(t *testing.T) {
	c := redistest.StartCluster(t, 0)
	p := start(t, redisbroker.Config{URL: c.URL, ShardedPubSub: true})
	const topics = 20_000
	addr := func(i int) hub.Address { return hub.TopicAddress(fmt.Sprint("rooms:", i)) }
	subscribeAll(t, p, topics, addr)
	began := time.Now()
	for _, n := range c.Nodes {
		if err := n.Client.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
			t.Fatal(err)
		}
	}
	redistest.Eventually(t, "gap of every topic", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.gaps) >= topics
	})
	t.Logf("%d topics stood again %v after their links broke", topics, time.Since(began))
	for i := 0; i < topics; i += 997 {
		spublish(t, &c.Server, addr(i), "back")
		p.awaitMessages(t, addr(i), 1)
	}
}

func subscribeAll(t *testing.T, p *pod, n int, addr func(int) hub.Address) {
	t.Helper()
	done := make(chan error, n)
	for i := range n {
		p.Subscribe(addr(i), func(err error) { done <- err })
	}
	for range n {
		if err := await(t, done); err != nil {
			t.Fatal(err)
		}
	}
}

// calls returns how often a server has carried out a command.
func calls(t *testing.T, s *redistest.Server, command string) (n int) {
	t.Helper()
	info, err := s.Client.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(info, "cmdstat_"+command+":calls=")
	if _, err := fmt.Sscan(strings.NewReplacer(",", " ").Replace(rest), &n); err != nil {
		t.Fatalf("no %s in %s", command, info)
	}
	return n
}
