package hubtest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"roost/hub"
)

// TestBroker runs the contract, each part with two pods that newPod makes. The pods of one part must be connected with each
// other; parts may share a server.
func TestBroker(t *testing.T, newPod func(t *testing.T, podID string) Pod) {
	for _, part := range []struct {
		name string
		test func(t *testing.T, a, b *runningPod)
	}{
		{"subscribe ack", testSubscribeAck},
		{"order", testOrder},
		{"order of publishers", testOrderOfPublishers},
		{"unsubscribe", testUnsubscribe},
		{"subscribe again", testSubscribeAgain},
		{"connections", testConnections},
		{"many subscriptions", testManySubscriptions},
		{"bytes", testBytes},
		{"roster", testRoster},
		{"roster order", testRosterOrder},
		{"track", testTrack},
		{"track bytes", testTrackBytes},
		{"adopt", testAdopt},
		{"track many", testTrackMany},
	} {
		t.Run(part.name, func(t *testing.T) {
			suffix := "-" + strings.ReplaceAll(part.name, " ", "-")
			part.test(t, start(t, newPod, "a"+suffix), start(t, newPod, "b"+suffix))
		})
	}
}

// topic is one of the test's own.
func topic(t *testing.T, name string) string { return t.Name() + ":" + name }

func address(t *testing.T, name string) hub.Address { return hub.TopicAddress(topic(t, name)) }

// testSubscribeAck: what is published after done was told nil arrives, on the other pod and on the own one, and nowhere else.
func testSubscribeAck(t *testing.T, a, b *runningPod) {
	for i := range 50 {
		addr := address(t, fmt.Sprint(i))
		a.subscribe(t, addr)
		b.publish(t, addr, "from b")
		if got, want := a.sink.await(t, addr, 1), []string{"from b"}; !slices.Equal(got, want) {
			t.Fatalf("a got %q, want %q", got, want)
		}
		a.publish(t, addr, "from a")
		if got, want := a.sink.await(t, addr, 2), []string{"from b", "from a"}; !slices.Equal(got, want) {
			t.Fatalf("a got %q, want %q", got, want)
		}
	}
	barrier := address(t, "barrier")
	b.subscribe(t, barrier)
	a.publish(t, barrier, "")
	b.sink.await(t, barrier, 1)
	if got := b.sink.await(t, address(t, "0"), 0); len(got) > 0 {
		t.Errorf("b, which is not subscribed, got %q", got)
	}
}

// testOrder: messages arrive in the order in which they were published, each after the done of the one before, whoever
// publishes them.
func testOrder(t *testing.T, a, b *runningPod) {
	addr := address(t, "x")
	a.subscribe(t, addr)
	b.subscribe(t, addr)
	var want []string
	for i := range 200 {
		body := fmt.Sprint(i)
		want = append(want, body)
		[]*runningPod{a, b}[i%2].publish(t, addr, body)
	}
	for _, p := range []*runningPod{a, b} {
		if got := p.sink.await(t, addr, len(want)); !slices.Equal(got, want) {
			t.Errorf("%s got %q, want %q", p.id, got, want)
		}
	}
}

// testOrderOfPublishers: the messages of each of many publishers at once arrive in its order.
func testOrderOfPublishers(t *testing.T, a, b *runningPod) {
	const publishers, each = 8, 125
	addr := address(t, "x")
	a.subscribe(t, addr)
	b.subscribe(t, addr)
	var wg sync.WaitGroup
	errs := make(chan error, publishers*each)
	for i := range publishers {
		wg.Go(func() {
			for n := range each {
				done := make(chan error, 1)
				[]*runningPod{a, b}[i%2].Broker.Publish(addr, fmt.Appendf(nil, "%d %d", i, n), func(err error) { done <- err })
				errs <- <-done
			}
		})
	}
	wg.Wait()
	for range publishers * each {
		wait(t, "Publish", errs)
	}
	for _, p := range []*runningPod{a, b} {
		var next [publishers]int
		for _, body := range p.sink.await(t, addr, publishers*each) {
			var i, n int
			if _, err := fmt.Sscan(body, &i, &n); err != nil {
				t.Fatal(err)
			}
			if n != next[i] {
				t.Fatalf("%s got message %d of publisher %d, want %d", p.id, n, i, next[i])
			}
			next[i]++
		}
	}
}

// testUnsubscribe: nothing arrives after Unsubscribe, once a later subscription is confirmed.
func testUnsubscribe(t *testing.T, a, b *runningPod) {
	gone, other, barrier := address(t, "gone"), address(t, "other"), address(t, "barrier")
	a.subscribe(t, gone, other)
	a.Broker.Unsubscribe(gone, other, address(t, "never subscribed"))
	a.subscribe(t, barrier)
	b.publish(t, gone, "late")
	b.publish(t, other, "late")
	b.publish(t, barrier, "")
	a.sink.await(t, barrier, 1)
	for _, addr := range []hub.Address{gone, other} {
		if got := a.sink.await(t, addr, 0); len(got) > 0 {
			t.Errorf("got %q for %s after Unsubscribe", got, addr)
		}
	}
}

// testSubscribeAgain: the last call decides, every done is called once, and a confirmation is true.
func testSubscribeAgain(t *testing.T, a, b *runningPod) {
	for i := range 100 {
		addr := address(t, fmt.Sprint(i))
		first, second := make(chan error, 2), make(chan error, 2)
		a.Broker.Subscribe(addr, func(err error) { first <- err })
		if i%2 == 0 {
			a.Broker.Unsubscribe(addr)
		}
		a.Broker.Subscribe(addr, func(err error) { second <- err })
		wait(t, "second Subscribe", second)
		b.publish(t, addr, "x")
		a.sink.await(t, addr, 1)
		<-first // nil, or an error if the first subscription never stood
		a.subscribe(t, addr)
		if len(first)+len(second) > 0 {
			t.Fatal("done was called twice")
		}
		a.Broker.Unsubscribe(addr)
	}
}

// testConnections: messages for the connections of a pod come without a subscription, and only to that pod.
func testConnections(t *testing.T, a, b *runningPod) {
	addr, barrier := hub.ConnAddress(a.id+".81f3"), address(t, "barrier")
	b.subscribe(t, barrier)
	b.publish(t, addr, "hello")
	if got, want := a.sink.await(t, addr, 1), []string{"hello"}; !slices.Equal(got, want) {
		t.Errorf("a got %q, want %q", got, want)
	}
	a.publish(t, barrier, "")
	b.sink.await(t, barrier, 1)
	if got := b.sink.await(t, addr, 0); len(got) > 0 {
		t.Errorf("b got %q for a connection of a", got)
	}
}

// testManySubscriptions: ten thousand at once are all confirmed, and stand.
func testManySubscriptions(t *testing.T, a, b *runningPod) {
	addrs := make([]hub.Address, 10_000)
	for i := range addrs {
		addrs[i] = address(t, fmt.Sprint(i))
	}
	a.subscribe(t, addrs...)
	for i := 0; i < len(addrs); i += 97 {
		b.publish(t, addrs[i], "x")
		a.sink.await(t, addrs[i], 1)
	}
	a.Broker.Unsubscribe(addrs...)
}

// testBytes: bodies and addresses pass through as they are.
func testBytes(t *testing.T, a, b *runningPod) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	addr := address(t, string(all))
	a.subscribe(t, addr)
	want := []string{"", string(all), "{", "\r\n$-1\r\n", strings.Repeat(string(all), 2000)}
	for _, body := range want {
		b.publish(t, addr, body)
	}
	if got := a.sink.await(t, addr, len(want)); !slices.Equal(got, want) {
		t.Errorf("got %.200q, want %.200q", got, want)
	}
}
