package redisbroker_test

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

// publishLarge lets Redis itself make the message, so that no client in this process holds it.
func publishLarge(t *testing.T, s *redistest.Server, addr hub.Address, size int) {
	t.Helper()
	const script = "return redis.call('PUBLISH', KEYS[1], string.rep('x', tonumber(ARGV[1])))"
	if err := s.Client.Eval(t.Context(), script, []string{"roost:" + string(addr)}, size).Err(); err != nil {
		t.Fatal(err)
	}
}

// TestOversize: a message that is too large is told and not held, and the next one arrives.
func TestOversize(t *testing.T) {
	const limit, large = 1 << 20, 50_000_000
	redistest.Each(t, func(t *testing.T, s *redistest.Server) {
		if s.IsReal() {
			if err := s.Client.ConfigSet(t.Context(), "client-output-buffer-limit", "pubsub 0 0 0").Err(); err != nil {
				t.Fatal(err)
			}
		}
		p := start(t, redisbroker.Config{URL: s.URL, MaxMessageSize: limit})
		p.subscribe(t, "topic:x")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		publishLarge(t, s, "topic:x", large)
		publish(t, s, "topic:x", "next")
		p.awaitMessages(t, "topic:x", 1)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; s.IsReal() && got > 5*limit {
			t.Errorf("got %d bytes allocated for a message of %d, want a small part of that", got, large)
		}
		publishLarge(t, s, "topic:x", limit)
		publishLarge(t, s, "topic:x", limit+1)
		publishLarge(t, s, hub.ConnAddress("pod-a.1"), limit+1)
		publish(t, s, "topic:x", "last")
		p.awaitMessages(t, "topic:x", 3)
		redistest.Eventually(t, "three are told", func() bool { // the one for a connection has an order of its own
			p.mu.Lock()
			defer p.mu.Unlock()
			return len(p.oversize) == 3
		})
		p.mu.Lock()
		defer p.mu.Unlock()
		if want := []int64{large, limit + 1, limit + 1}; !slices.Equal(p.oversize, want) {
			t.Errorf("got oversize %v, want %v", p.oversize, want)
		}
		if got := len(p.messages["topic:x"][1]); got != limit {
			t.Errorf("got a message of %d bytes, want %d", got, limit)
		}
	})
}

// TestOversizeForRedis: a message beyond Redis's own limit for subscribers costs the link, which comes back.
func TestOversizeForRedis(t *testing.T) {
	s := redistest.Start(t)
	p := start(t, redisbroker.Config{URL: s.URL})
	p.subscribe(t, "topic:x")
	publishLarge(t, s, "topic:x", 50_000_000)
	p.awaitUps(t, 2)
	publish(t, s, "topic:x", "next")
	p.awaitMessages(t, "topic:x", 1)
}

// TestPublishQueueIsBounded: what waits for Redis is limited by number and by bytes, and what is more fails at once.
func TestPublishQueueIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		body []byte
		fits int
	}{
		"number": {nil, 100_000},
		"bytes":  {make([]byte, 1<<20-len("topic:x")), 64},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, redisbroker.Config{URL: "redis://" + closedPort(t), PodID: "pod-a"})
			results := make(chan error, c.fits+1)
			for range c.fits {
				b.Publish("topic:x", c.body, func(err error) { results <- err })
			}
			if len(results) > 0 {
				t.Fatalf("got %v from one of %d, want all to wait", <-results, c.fits)
			}
			b.Publish("topic:x", c.body, func(err error) { results <- err })
			if len(results) != 1 {
				t.Fatal("done was not called at once")
			}
			if err := <-results; !errors.Is(err, redisbroker.ErrFull) {
				t.Errorf("got %v, want ErrFull", err)
			}
			run(t, b) // without Redis all of them fail, and none is forgotten
			for range c.fits {
				if err := await(t, results); err == nil {
					t.Fatal("Publish without Redis: got nil, want an error")
				}
			}
		})
	}
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestLongAddress: an address that is longer than what the link can read is refused, and a message for one is skipped.
func TestLongAddress(t *testing.T) {
	redistest.Each(t, func(t *testing.T, s *redistest.Server) {
		p := start(t, redisbroker.Config{URL: s.URL})
		long := strings.Repeat("x", 100_000)
		done := make(chan error, 1)
		p.Subscribe(hub.TopicAddress(long), func(err error) { done <- err })
		if err := await(t, done); err == nil {
			t.Error("Subscribe to 100 kB: got nil, want an error")
		}
		p.subscribe(t, hub.TopicAddress(long[:10_000]))
		publish(t, s, hub.ConnAddress("pod-a."+long), "skipped")
		publish(t, s, hub.TopicAddress(long[:10_000]), "hello")
		p.awaitMessages(t, hub.TopicAddress(long[:10_000]), 1)
		if len(p.messages) != 1 {
			t.Errorf("got messages for %d addresses, want 1", len(p.messages))
		}
	})
}

// TestFewCommands: what waits together leaves in few commands.
func TestFewCommands(t *testing.T) {
	s := redistest.Start(t)
	b := open(t, redisbroker.Config{URL: s.URL, PodID: "pod-a"})
	const many = 10_000
	done := make(chan error, 3*many)
	for i := range many {
		b.Subscribe(hub.TopicAddress(fmt.Sprint(i)), func(err error) { done <- err })
		b.Add(member("t", i), func(err error) { done <- err })
		b.Publish("topic:0", nil, func(err error) { done <- err })
	}
	run(t, b)
	for range 3 * many {
		if err := await(t, done); err != nil {
			t.Fatal(err)
		}
	}
	info, err := s.Client.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for command, most := range map[string]int{"subscribe": 20, "hset": 10, "sadd": 10} {
		var got int
		_, rest, _ := strings.Cut(info, "cmdstat_"+command+":calls=")
		if _, err := fmt.Sscan(strings.NewReplacer(",", " ").Replace(rest), &got); err != nil {
			t.Fatalf("no %s in %s", command, info)
		}
		if got > most {
			t.Errorf("got %d calls of %s for %d entries, want %d at most", got, command, many, most)
		}
	}
}
