package hub_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"roost/hub"
)

// TestOrder: every publisher's broadcasts arrive in its order, and all members of a topic see the same order.
func TestOrder(t *testing.T) {
	const publishers, each = 8, 150
	topics := []string{"rooms:1", "rooms:2", "rooms:3"}
	memory := hub.NewMemory()
	pods := []*pod{startPod(t, memory, "a", hub.Config{Workers: 3}), startPod(t, memory, "b", hub.Config{Workers: 2})}
	members := map[string][]*member{}
	for _, topic := range topics {
		for i := range 6 {
			p := pods[i%2]
			members[topic] = append(members[topic], p.join(t, topic, fmt.Sprintf("%s.%d", p.PodID(), i)))
		}
	}
	var wg sync.WaitGroup
	for i := range publishers {
		wg.Go(func() {
			for n := range each {
				payload := fmt.Appendf(nil, `{"n":%d}`, n)
				if err := pods[i%2].Broadcast(t.Context(), topics[n%len(topics)], fmt.Sprint(i), payload); err != nil {
					t.Errorf("Broadcast = %v, want nil", err)
				}
			}
		})
	}
	wg.Wait()
	for k, topic := range topics {
		first := members[topic][0].await(t, publishers*each/len(topics))
		next := map[string]int{}
		for _, got := range first {
			var name, publisher string
			var n int
			if _, err := fmt.Sscanf(got, "%s %s {\"n\":%d}", &name, &publisher, &n); err != nil {
				t.Fatal(err)
			}
			if want := next[publisher]*len(topics) + k; name != topic || n != want {
				t.Fatalf("got %q in %s, want message %d of publisher %s", got, topic, want, publisher)
			}
			next[publisher]++
		}
		for _, m := range members[topic][1:] {
			if got := m.await(t, len(first)); !slices.Equal(got, first) {
				t.Errorf("%s saw another order of %s than %s", m.Connection(), topic, members[topic][0].Connection())
			}
		}
	}
}

// counter is a Listener that checks that the broadcasts come one after the other.
type counter struct {
	connection string
	sub        *hub.Subscription
	next       int
	wrong      string
	done       func()
	last       int
}

func (c *counter) Connection() string { return c.connection }
func (c *counter) End(bool)           { c.wrong = "ended" }

func (c *counter) Deliver(b *hub.Batch) {
	for _, got := range b.Broadcasts {
		if want := fmt.Sprint(c.next); got.Event != want && c.wrong == "" {
			c.wrong = fmt.Sprintf("got %s, want %s", got.Event, want)
		}
		if c.next++; c.next == c.last {
			c.done()
		}
	}
}

// A topic of more members than one worker carries is split: each member gets all, in order.
func TestGiantTopic(t *testing.T) {
	const size, messages = 3000, 60
	p := startPod(t, hub.NewMemory(), "a", hub.Config{Workers: 4})
	var all sync.WaitGroup
	counters := make([]*counter, size)
	for i := range counters {
		all.Add(1)
		c := &counter{sub: new(hub.Subscription), connection: fmt.Sprintf("a.%d", i), done: all.Done, last: messages}
		counters[i] = c
		if err := p.Join(t.Context(), c.sub, c, hub.Member{Topic: "giant", Connection: c.connection}, false); err != nil {
			t.Fatal(err)
		}
	}
	// Some leave again, so that shards have room and are filled up.
	for i := 0; i < size; i += 3 {
		c := counters[i]
		p.Leave(c.sub, hub.Member{Topic: "giant", Connection: c.connection}, nil)
		c.sub = new(hub.Subscription)
		if err := p.Join(t.Context(), c.sub, c, hub.Member{Topic: "giant", Connection: c.connection}, false); err != nil {
			t.Fatal(err)
		}
	}
	for n := range messages {
		if err := p.Broadcast(t.Context(), "giant", fmt.Sprint(n), nil); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
	for _, c := range counters {
		if c.wrong != "" {
			t.Errorf("%s: %s", c.connection, c.wrong)
		}
	}
}

// The parts of a giant topic do not wait for each other.
func TestGiantTopicIsSplit(t *testing.T) {
	p := startPod(t, hub.NewMemory(), "a", hub.Config{Workers: 4})
	blocked := newMember("giant", "a.0")
	entered, release := blocked.block(t)
	p.enter(t, blocked)
	var last *member
	for i := range 2000 {
		last = p.join(t, "giant", fmt.Sprintf("a.%d", i+1))
	}
	p.send("giant", `{"event":"x"}`)
	<-entered
	last.expect(t, "giant x ")
	// A member waits for its own part only.
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	if err := p.Publish(ctx, hub.Broadcast{Topic: "giant", Event: "y"}, &last.sub); err != nil || ctx.Err() != nil {
		t.Errorf("Publish = %v, %v, want nil", err, ctx.Err())
	}
	last.expect(t, "giant x ", "giant y ")
	release()
	blocked.expect(t, "giant x ", "giant y ")
}

// Broadcasts that wait together leave together, in order, and are written once for each encoding.
func TestBatch(t *testing.T) {
	const waiting, members = 20, 10
	p := startByHand(t, "a", hub.Config{Workers: 1})
	encodings := []*countingEncoding{{name: "x"}, {name: "y"}}
	gate := newMember("t", "a.gate")
	entered, release := gate.block(t)
	p.enter(t, gate)
	var frames [members][]byte
	var all []*member
	for i := range members {
		m := newMember("t", fmt.Sprintf("a.%d", i))
		m.onDeliver = func(b *hub.Batch) { frames[i] = b.Encode(encodings[i%2]) }
		all = append(all, p.enter(t, m))
	}
	p.receive("t", `{"event":"first"}`)
	<-entered
	want := []string{"t first "}
	for n := range waiting {
		p.receive("t", fmt.Sprintf(`{"event":"e%d","payload":{}}`, n))
		want = append(want, fmt.Sprintf("t e%d {}", n))
	}
	release()
	for _, m := range all {
		m.expect(t, want...)
	}
	for i, m := range all {
		if got := m.batches; got != 2 {
			t.Errorf("%s got %d deliveries, want 2: one broadcast, and %d that waited together", m.Connection(), got, waiting)
		}
		if &frames[i][0] != &frames[i%2][0] {
			t.Errorf("%s was handed bytes of its own", m.Connection())
		}
	}
	for _, e := range encodings {
		if e.calls != waiting+1 {
			t.Errorf("encoding %s wrote %d broadcasts, want %d", e.name, e.calls, waiting+1)
		}
	}
}

// countingEncoding counts the broadcasts it writes.
type countingEncoding struct {
	name  string
	calls int
}

func (e *countingEncoding) AppendBroadcast(dst []byte, b *hub.Broadcast) []byte {
	e.calls++
	return fmt.Appendf(dst, "%s %s;", e.name, b.Event)
}
