package redisbroker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

// TestEnd: what was queued when Run's context ended has left when Run returns, and everything later fails at once.
func TestEnd(t *testing.T) {
	redistest.Each(t, func(t *testing.T, s *redistest.Server) {
		other := start(t, redisbroker.Config{URL: s.URL, PodID: "pod-b"})
		other.subscribe(t, "topic:x")
		p := start(t, redisbroker.Config{URL: s.URL})
		const many = 3000
		queued := make(chan error, 2*many)
		for i := range many {
			p.Publish("topic:x", fmt.Append(nil, i), func(err error) { queued <- err })
			p.join(member("t", i), func(err error) { queued <- err })
		}
		p.stop()
		if len(queued) != 2*many {
			t.Fatalf("got %d results when Run had ended, want %d", len(queued), 2*many)
		}
		for range 2 * many {
			if err := <-queued; err != nil {
				t.Fatalf("queued: got %v, want nil", err)
			}
		}
		other.awaitMessages(t, "topic:x", many)
		if got := len(members(t, s, "t")); got != 0 {
			t.Errorf("got %d members of a pod that is gone, want none", got)
		}

		late := make(chan error, 3)
		p.Publish("topic:x", nil, func(err error) { late <- err })
		p.Subscribe("topic:x", func(err error) { late <- err })
		p.Add(member("t", many), func(err error) { late <- err })
		p.Remove(member("t", many), nil)
		p.Unsubscribe("topic:x")
		if len(late) != 3 {
			t.Fatalf("got %d results at once, want 3", len(late))
		}
		for range 3 {
			if err := <-late; !errors.Is(err, redisbroker.ErrClosed) {
				t.Errorf("got %v, want ErrClosed", err)
			}
		}
		if err := p.Append(t.Context(), hub.StreamEntry{}); !errors.Is(err, redisbroker.ErrClosed) {
			t.Errorf("Append: got %v, want ErrClosed", err)
		}
		if err := p.Run(t.Context(), p); err == nil {
			t.Error("second Run: got nil, want an error")
		}
	})
}

// TestEndWithoutRedis: an end does not wait for a Redis that is away, and fails what waits.
func TestEndWithoutRedis(t *testing.T) {
	b := open(t, redisbroker.Config{URL: "redis://" + closedPort(t), PodID: "pod-a"})
	waiting := make(chan error, 1)
	b.Subscribe("topic:x", func(err error) { waiting <- err })
	run(t, b).stop()
	if err := await(t, waiting); !errors.Is(err, redisbroker.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

func TestStream(t *testing.T) {
	test := func(t *testing.T, s *redistest.Server) {
		p := start(t, redisbroker.Config{URL: s.URL})
		text := hub.StreamEntry{Connection: "pod-a.1", ID: "user:1", Topic: "t", JoinRef: `"1"`, Ref: `"2"`, Event: "e", Payload: []byte(`{"a":1.0}`)}
		binary := text
		binary.Payload, binary.Binary = []byte{0, 255}, true
		for _, e := range []hub.StreamEntry{text, binary} {
			if err := p.Append(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Client.XRange(t.Context(), "roost:pushes", "-", "+").Result()
		if err != nil || len(got) != 2 {
			t.Fatalf("got %v, %v; want two entries", got, err)
		}
		want := map[string]any{"connection": "pod-a.1", "id": "user:1", "topic": "t", "join_ref": `"1"`, "ref": `"2"`, "event": "e", "payload": `{"a":1.0}`}
		if fmt.Sprint(got[0].Values) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got[0].Values, want)
		}
		delete(want, "payload")
		want["payload_base64"] = "AP8="
		if fmt.Sprint(got[1].Values) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got[1].Values, want)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.Append(ended, text); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Append with a context that ended: got %v, want nil or context.Canceled", err)
		}
	}
	redistest.Each(t, test)
	t.Run("cluster", func(t *testing.T) { test(t, redistest.Cluster(t)) })
}

// TestStreamLength: old entries make room for new ones.
func TestStreamLength(t *testing.T) {
	s := redistest.Start(t)
	b := open(t, redisbroker.Config{URL: s.URL, PodID: "pod-a", StreamLength: 100})
	run(t, b)
	for range 1000 {
		if err := b.Append(t.Context(), hub.StreamEntry{Topic: "t"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Client.XLen(t.Context(), "roost:pushes").Val(); got < 100 || got > 300 {
		t.Errorf("got %d entries, want about 100", got)
	}
}

func TestMetrics(t *testing.T) {
	s := redistest.Start(t)
	reg := prometheus.NewPedanticRegistry()
	p := start(t, redisbroker.Config{URL: s.URL, MaxMessageSize: 10, Registerer: reg})
	p.subscribe(t, "topic:x")
	p.subscribe(t, "topic:y")
	p.Unsubscribe("topic:y")
	joinAll(t, p, member("t", 1), member("t", 2))
	publish(t, s, "topic:x", "12345678901")
	publish(t, s, "topic:x", "1")
	done := make(chan error, 1)
	p.Publish("topic:x", []byte("2"), func(err error) { done <- err })
	if err := await(t, done); err != nil {
		t.Fatal(err)
	}
	p.awaitMessages(t, "topic:x", 2)
	const want = `
# HELP roost_redis_link_up Whether the subscription link stands, 0 or 1.
# TYPE roost_redis_link_up gauge
roost_redis_link_up 1
# HELP roost_redis_oversize_total Messages that came and were thrown away because of their size.
# TYPE roost_redis_oversize_total counter
roost_redis_oversize_total 1
# HELP roost_redis_publishes_total Messages this pod published, by result.
# TYPE roost_redis_publishes_total counter
roost_redis_publishes_total{result="ok"} 1
# HELP roost_redis_received_total Messages that came over the subscription link.
# TYPE roost_redis_received_total counter
roost_redis_received_total 2
# HELP roost_redis_roster_writes_total Entries of membership sets written or removed, by result.
# TYPE roost_redis_roster_writes_total counter
roost_redis_roster_writes_total{result="ok"} 2
# HELP roost_redis_subscriptions Channels this pod is, or wants to be, subscribed to.
# TYPE roost_redis_subscriptions gauge
roost_redis_subscriptions 1
`
	names := []string{"roost_redis_link_up", "roost_redis_oversize_total", "roost_redis_publishes_total", "roost_redis_received_total",
		"roost_redis_roster_writes_total", "roost_redis_subscriptions"}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	s.Stop(t)
	s.Restart(t)
	p.awaitUps(t, 2)
	if err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP roost_redis_reconnects_total How often the subscription link was restored.
# TYPE roost_redis_reconnects_total counter
roost_redis_reconnects_total 1
`), "roost_redis_reconnects_total"); err != nil {
		t.Error(err)
	}
	if _, err := redisbroker.Open(redisbroker.Config{URL: s.URL, PodID: "pod-b", Registerer: reg}); err == nil {
		t.Error("second broker with the same registerer: got nil, want an error")
	}
}
