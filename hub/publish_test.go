package hub_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"roost/hub"
)

// Publish with self returns only when the member's Deliver has been called with it, whatever else is published.
func TestPublishSelf(t *testing.T) {
	for name, id := range map[string]string{"plain": "a", "a pod id with a slash": "rack/a"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				memory := hub.NewMemory()
				a, b := startPod(t, memory, id, hub.Config{Workers: 3}), startPod(t, memory, "b", hub.Config{})
				self, other := a.join(t, "t", id+".1"), b.join(t, "t", "b.1")
				a.join(t, "t", id+".2")
				start := time.Now()
				for i := range 50 {
					a.send("t", fmt.Sprintf(`{"event":"noise%d"}`, i))
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					want := hub.Broadcast{Topic: "t", Event: fmt.Sprint(i), Payload: []byte(`{"n": 1.0}`)}
					if err := a.Publish(ctx, want, &self.sub); err != nil {
						t.Fatalf("Publish = %v, want nil", err)
					}
					cancel()
					log, _ := self.read()
					if got, want := log[len(log)-1], fmt.Sprintf(`t %d {"n": 1.0}`, i); got != want {
						t.Fatalf("Publish returned when the member had %q, want %q", got, want)
					}
				}
				if took := time.Since(start); took != 0 {
					t.Errorf("Publish waited %v for its context", took)
				}
				if got := len(other.await(t, 100)); got != 100 {
					t.Errorf("the other pod's member got %d lines, want 100", got)
				}
			})
		})
	}
}

// Publish with self waits for a Deliver that is under way, and one that leaves self out passes it as well.
func TestPublishSelfWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startPod(t, hub.NewMemory(), "a", hub.Config{Workers: 1})
		m := newMember("t", "a.1")
		entered, release := m.block(t)
		p.enter(t, m)
		published := make(chan error, 1)
		go func() {
			published <- p.Publish(t.Context(), hub.Broadcast{Topic: "t", Event: "x", Except: "a.2"}, &m.sub)
		}()
		<-entered
		synctest.Wait()
		if len(published) > 0 {
			t.Error("Publish returned before the member had it")
		}
		release()
		if err := <-published; err != nil {
			t.Errorf("Publish = %v, want nil", err)
		}
		if err := p.Publish(t.Context(), hub.Broadcast{Topic: "t", Event: "y", Except: "a.1"}, &m.sub); err != nil {
			t.Errorf("Publish = %v, want nil", err)
		}
		m.expect(t, "t x ")
	})
}

// A broadcast that ends channels does not keep its sender waiting until its deadline.
func TestPublishSelfOfControl(t *testing.T) {
	for _, event := range []string{"phx_close", "phx_error"} {
		t.Run(event, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := startPod(t, hub.NewMemory(), "a", hub.Config{})
				m := p.join(t, "t", "a.1")
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				start := time.Now()
				if err := p.Publish(ctx, hub.Broadcast{Topic: "t", Event: event}, &m.sub); err != nil {
					t.Errorf("Publish = %v, want nil", err)
				}
				if took := time.Since(start); took != 0 {
					t.Errorf("Publish took %v, want it not to wait for its deadline", took)
				}
				m.expect(t, "END "+event)
			})
		})
	}
}

// A full backlog does not keep a publisher waiting.
func TestPublishSelfIntoBacklog(t *testing.T) {
	p := startPod(t, hub.NewMemory(), "a", hub.Config{Workers: 1, BacklogLimit: 500})
	m := newMember("t", "a.1")
	entered, release := m.block(t)
	p.enter(t, m)
	p.send("t", numbered(0))
	<-entered
	const publishers = 20
	published := make(chan error, publishers)
	for range publishers {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), timeout)
			defer cancel()
			err := p.Publish(ctx, hub.Broadcast{Topic: "t", Event: "1", Payload: []byte(`{"x":"` + strings.Repeat("x", 70) + `"}`)}, &m.sub)
			published <- errors.Join(err, ctx.Err())
		}()
	}
	// Most are dropped and so settled while the worker is still held up; release lets go of the rest.
	for range publishers / 2 {
		if err := <-published; err != nil {
			t.Fatalf("Publish: %v", err)
		}
	}
	release()
	for range publishers - publishers/2 {
		if err := <-published; err != nil {
			t.Errorf("Publish: %v", err)
		}
	}
}

func TestPublishErrors(t *testing.T) {
	boom, gaveUp := errors.New("boom"), errors.New("gave up")
	small := hub.Broadcast{Topic: "t", Event: "x"}
	for name, c := range map[string]struct {
		b       hub.Broadcast
		publish func(e *edge) func(hub.Address, []byte, func(error))
		self    bool
		want    error
	}{
		"the broker refuses": {small, func(*edge) func(hub.Address, []byte, func(error)) {
			return func(_ hub.Address, _ []byte, done func(error)) { done(boom) }
		}, false, boom},
		"the broker refuses, with self": {small, func(*edge) func(hub.Address, []byte, func(error)) {
			return func(_ hub.Address, _ []byte, done func(error)) { done(boom) }
		}, true, boom},
		"the broker does not answer": {small, func(*edge) func(hub.Address, []byte, func(error)) {
			return func(hub.Address, []byte, func(error)) {}
		}, false, gaveUp},
		"the broker does not answer, with self": {small, func(*edge) func(hub.Address, []byte, func(error)) {
			return func(hub.Address, []byte, func(error)) {}
		}, true, gaveUp},
		"taken, but it does not come back": {small, func(*edge) func(hub.Address, []byte, func(error)) {
			return func(_ hub.Address, _ []byte, done func(error)) { done(nil) }
		}, true, nil},
		"too large":         {hub.Broadcast{Topic: "t", Event: "x", Payload: []byte(`{"x":"` + strings.Repeat("x", 1000) + `"}`)}, nil, true, hub.ErrTooLarge},
		"too large, binary": {hub.Broadcast{Topic: "t", Event: "x", Payload: make([]byte, 800), Binary: true}, nil, false, hub.ErrTooLarge},
		"large enough":      {hub.Broadcast{Topic: "t", Event: "x", Payload: []byte(`{"x":"` + strings.Repeat("x", 900) + `"}`)}, nil, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := startPod(t, hub.NewMemory(), "a", hub.Config{MaxMessage: 1000})
				m := p.join(t, "t", "a.1")
				if c.publish != nil {
					p.edge.publish = c.publish(p.edge)
				}
				var self *hub.Subscription
				if c.self {
					self = &m.sub
				}
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, gaveUp)
				defer cancel()
				if err := p.Publish(ctx, c.b, self); !errors.Is(err, c.want) {
					t.Errorf("Publish = %v, want %v", err, c.want)
				}
			})
		})
	}
}

// Bytes pass through a publish as they are: exactly the payload, and data of any kind.
func TestPublishBytes(t *testing.T) {
	p := startPod(t, hub.NewMemory(), "a", hub.Config{})
	m := p.join(t, "röom \"1\"\\\n:\u2028", "a.1")
	topic := m.entry.Topic
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	var want []string
	for _, b := range []hub.Broadcast{
		{Event: "new:msg", Payload: []byte(`{ "big":123456789012345678901234567890, "f":1.0,"b":1,"a":"</script>&\u00e9` + "\u2028" + `"}`)},
		{Event: "\"ev\\ent\"\n<&>\u2028\x00", Payload: []byte(`{}`)},
		{Event: "none"},
		{Event: "bin", Payload: all, Binary: true},
		{Event: "empty bin", Binary: true},
	} {
		b.Topic = topic
		if err := p.Publish(t.Context(), b, &m.sub); err != nil {
			t.Fatal(err)
		}
		want = append(want, line(topic, b.Event, b.Payload, b.Binary))
	}
	m.expect(t, want...)
	if err := p.Broadcast(t.Context(), topic, "last", []byte(`{"x":1}`)); err != nil {
		t.Fatal(err)
	}
	m.expect(t, append(want, line(topic, "last", []byte(`{"x":1}`), false))...)
}

func TestAppend(t *testing.T) {
	memory := hub.NewMemory()
	p := startPod(t, memory, "a", hub.Config{})
	if err := p.Append(t.Context(), hub.StreamEntry{}); err == nil {
		t.Error("Append without a stream = nil, want an error")
	}
	b := startPod(t, memory, "b", hub.Config{Stream: memory.Pod("b")})
	e := hub.StreamEntry{Connection: "b.1", ID: "user:1", Topic: "t", JoinRef: `"1"`, Ref: `"2"`, Event: "x", Payload: []byte(`{"n":1}`)}
	if err := b.Append(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	e.Payload[1] = '!'
	got := memory.Entries()
	if len(got) != 1 || string(got[0].Payload) != `{"n":1}` || got[0].Ref != `"2"` || got[0].ID != "user:1" {
		t.Errorf("got entries %+v, want the one appended", got)
	}
}
