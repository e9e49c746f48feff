package redisbroker_test

import (
	"fmt"
	"testing"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

// inFlight is how many calls a benchmark keeps waiting.
const inFlight = 1000

// benchmark calls op again and again with a redis-server, at most inFlight at a time, and waits for all.
func benchmark(b *testing.B, op func(p *pod, i int, done func(error))) {
	s := redistest.Start(b)
	p := start(b, redisbroker.Config{URL: s.URL})
	free := make(chan error, inFlight)
	for range inFlight {
		free <- nil
	}
	done := func(err error) { free <- err }
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if err := <-free; err != nil {
			b.Fatal(err)
		}
		op(p, i, done)
		i++
	}
	for range inFlight {
		if err := <-free; err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSubscribe(b *testing.B) {
	benchmark(b, func(p *pod, i int, done func(error)) { p.Subscribe(hub.TopicAddress(fmt.Sprint("rooms:", i)), done) })
}

func BenchmarkAdd(b *testing.B) {
	benchmark(b, func(p *pod, i int, done func(error)) {
		p.Add(hub.Member{Topic: fmt.Sprint("rooms:", i%1000), Connection: fmt.Sprint("pod-a.", i), JoinRef: `"1"`}, done)
	})
}

func BenchmarkPublish(b *testing.B) {
	body := []byte(`{"event":"m","payload":{}}`)
	benchmark(b, func(p *pod, _ int, done func(error)) { p.Publish("topic:x", body, done) })
}
