package redisbroker_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

// TestRedisRestart: after Redis crashed and came back, everything is subscribed again, without a call.
func TestRedisRestart(t *testing.T) {
	redistest.Each(t, func(t *testing.T, s *redistest.Server) {
		p := start(t, redisbroker.Config{URL: s.URL})
		const topics = 2000
		addr := func(i int) hub.Address { return hub.TopicAddress(fmt.Sprint(i)) }
		for i := range topics {
			p.Subscribe(addr(i), nil)
		}
		p.subscribe(t, "topic:last")

		// Some of these acknowledgements are on their way when Redis crashes.
		const inFlight = 1000
		var calls, failed atomic.Int32
		for i := range inFlight {
			p.Subscribe(addr(topics+i), func(err error) {
				calls.Add(1)
				if err != nil {
					failed.Add(1)
				}
			})
		}
		s.Stop(t)
		p.awaitDown(t)
		p.Unsubscribe(addr(1))
		away := make(chan error, 2)
		p.Subscribe("topic:new", func(err error) { away <- err })
		failure := make(chan error, 1)
		p.Publish(addr(0), []byte("x"), func(err error) { failure <- err })
		if err := await(t, failure); err == nil {
			t.Error("Publish without Redis: got nil, want an error")
		}
		if len(away) > 0 {
			t.Fatal("Subscribe was confirmed without Redis")
		}

		s.Restart(t)
		if err := await(t, away); err != nil {
			t.Errorf("Subscribe while Redis was away: got %v, want nil", err)
		}
		p.awaitUps(t, 2)
		if !p.ups[1] {
			t.Error("got LinkUp(false) after a loss, want true")
		}
		if got := calls.Load(); got != inFlight || failed.Load() != 0 {
			t.Errorf("got %d confirmations, %d of them errors; want %d, 0", got, failed.Load(), inFlight)
		}
		for _, addr := range []hub.Address{addr(0), addr(topics - 1), addr(topics + inFlight - 1), "topic:new", hub.ConnAddress("pod-a.1")} {
			publish(t, s, addr, "back")
			p.awaitMessages(t, addr, 1)
		}
		publish(t, s, addr(1), "late")
		publish(t, s, addr(0), "barrier")
		p.awaitMessages(t, addr(0), 2)
		if got := p.got(addr(1)); len(got) > 0 {
			t.Errorf("got %q for what was unsubscribed while Redis was away", got)
		}
		if len(away) > 0 {
			t.Error("done was called twice")
		}
	})
}

// TestRedisStartsLater: a broker does not need Redis to begin.
func TestRedisStartsLater(t *testing.T) {
	s := redistest.Start(t)
	s.Stop(t)
	p := run(t, open(t, redisbroker.Config{URL: s.URL, PodID: "pod-a"}))
	failure := make(chan error, 1)
	p.Publish("topic:x", nil, func(err error) { failure <- err })
	if err := await(t, failure); err == nil {
		t.Error("Publish without Redis: got nil, want an error")
	}
	s.Restart(t)
	p.subscribe(t, "topic:x")
	publish(t, s, "topic:x", "hello")
	p.awaitMessages(t, "topic:x", 1)
	if want := []bool{false}; !slices.Equal(p.ups, want) {
		t.Errorf("got LinkUp with %v, want %v", p.ups, want)
	}
}

// TestRedisStopped: a Redis that keeps its connections open and says nothing is noticed, and nobody is blocked by it.
func TestRedisStopped(t *testing.T) {
	s := redistest.Start(t)
	p := start(t, redisbroker.Config{URL: s.URL})
	p.subscribe(t, "topic:x")
	s.Pause(t)
	const calls = 1000
	published, added := make(chan error, calls), make(chan error, calls)
	for i := range calls {
		p.Publish("topic:x", []byte("x"), func(err error) { published <- err })
		p.Subscribe(hub.TopicAddress(fmt.Sprint(i)), nil)
		p.Unsubscribe(hub.TopicAddress(fmt.Sprint(i)))
		p.join(hub.Member{Topic: "x", Connection: fmt.Sprint("pod-a.", i)}, func(err error) { added <- err })
	}
	p.awaitDown(t)
	for range calls {
		if err := await(t, published); err == nil {
			t.Fatal("Publish to a stopped Redis: got nil, want an error")
		}
		if err := await(t, added); err == nil {
			t.Fatal("Add on a stopped Redis: got nil, want an error")
		}
	}
	s.Resume(t)
	p.awaitUps(t, 2)
	n := len(p.got("topic:x"))
	publish(t, s, "topic:x", "hello")
	redistest.Eventually(t, "message", func() bool { return slices.Contains(p.got("topic:x")[n:], "hello") })
}
