package hub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"roost/hub"
)

// peer is a connection that keeps a log of what it is told.
type peer struct {
	*member // for its log and name
	entries []hub.Member
}

func newPeer(connection string, topics ...string) *peer {
	p := &peer{member: newMember("", connection)}
	for _, topic := range topics {
		p.entries = append(p.entries, hub.Member{Topic: topic, Connection: connection, JoinRef: `"1"`})
	}
	return p
}

func (p *peer) Push(topic, event string, payload []byte, binary bool) {
	p.write(line(topic, event, payload, binary))
}

func (p *peer) EndChannel(topic string, crash bool) { p.write(fmt.Sprint("end ", topic, " ", crash)) }
func (p *peer) Disconnect()                         { p.write("disconnect") }

func (p *peer) Members(yield func(hub.Member) bool) bool {
	for _, m := range p.entries {
		if !yield(m) {
			return false
		}
	}
	return true
}

func (p *pod) attach(t testing.TB, connection, id string) *peer {
	t.Helper()
	peer := newPeer(connection)
	p.Attach(t.Context(), peer, id)
	return peer
}

func TestAddresses(t *testing.T) {
	memory := hub.NewMemory()
	a, b := startPod(t, memory, "a", hub.Config{Workers: 3}), startPod(t, memory, "b", hub.Config{})
	one, two := a.attach(t, "a.1", "user:1"), a.attach(t, "a.2", "user:1")
	three, other := b.attach(t, "b.3", "user:1"), b.attach(t, "b.4", "user:2")
	nameless := a.attach(t, "a.5", "")
	publish := func(addr hub.Address, want int, body string) {
		t.Helper()
		if got := memory.Publish(addr, []byte(body)); got != want {
			t.Errorf("publish to %s reached %d pods, want %d", addr, got, want)
		}
	}
	publish(hub.IDAddress("user:1"), 2, `{"topic":"t","event":"e","payload":{"n": 1.0}}`)
	publish(hub.IDAddress("user:1"), 2, `{"topic":"t","event":"bin","payload_base64":"/wA="}`)
	publish(hub.IDAddress("user:1"), 2, `{"topic":"t","event":"phx_close"}`)
	publish(hub.IDAddress("user:1"), 2, `{"topic":"t","event":"phx_error"}`)
	publish(hub.IDAddress("user:1"), 2, `{"topic":"t","event":"disconnect"}`)
	publish(hub.IDAddress("user:1"), 2, `{"event":"disconnect"}`)
	all := []string{`t e {"n": 1.0}`, "t bin \xff\x00 (binary)", "end t false", "end t true", "t disconnect ", "disconnect"}
	for _, p := range []*peer{one, two, three} {
		p.expect(t, all...)
	}
	publish(hub.ConnAddress("a.1"), 1, `{"topic":"t","event":"mine"}`)
	publish(hub.ConnAddress("a.5"), 1, `{"event":"disconnect","topic":null}`)
	publish(hub.ConnAddress("b.4"), 1, `{"topic":"u","event":"phx_error"}`)
	publish(hub.ConnAddress("a.nobody"), 1, `{"event":"disconnect"}`)
	publish(hub.ConnAddress("c.1"), 0, `{"event":"disconnect"}`)
	publish(hub.IDAddress("user:3"), 0, `{"event":"disconnect"}`)
	one.expect(t, append(slices.Clone(all), "t mine ")...)
	nameless.expect(t, "disconnect")
	other.expect(t, "end u true")
	two.expect(t, all...)
	checkMalformed(t, a, nil)
	checkMalformed(t, b, nil)
}

// What is published to one address arrives in its order.
func TestAddressOrder(t *testing.T) {
	memory := hub.NewMemory()
	p := startPod(t, memory, "a", hub.Config{Workers: 4})
	one := p.attach(t, "a.1", "user:1")
	var want []string
	for i := range 500 {
		memory.Publish(hub.IDAddress("user:1"), fmt.Appendf(nil, `{"topic":"t","event":"%d"}`, i))
		want = append(want, fmt.Sprintf("t %d ", i))
	}
	one.expect(t, want...)
}

func TestDetach(t *testing.T) {
	memory := hub.NewMemory()
	p := startPod(t, memory, "a", hub.Config{})
	one, two, nameless := p.attach(t, "a.1", "user:1"), p.attach(t, "a.2", "user:1"), p.attach(t, "a.3", "")
	p.Detach(nameless, "")
	p.Detach(one, "user:1")
	addr := hub.IDAddress("user:1")
	for _, to := range []hub.Address{hub.ConnAddress("a.1"), hub.ConnAddress("a.3"), addr} {
		memory.Publish(to, []byte(`{"event":"disconnect"}`))
	}
	two.expect(t, "disconnect")
	if !p.listening(addr) {
		t.Error("the socket id is not subscribed while it has a connection")
	}
	p.Detach(two, "user:1")
	p.Detach(two, "user:1")
	if p.listening(addr) {
		t.Error("the socket id is subscribed without a connection")
	}
	again := p.attach(t, "a.4", "user:1")
	memory.Publish(addr, []byte(`{"event":"disconnect"}`))
	again.expect(t, "disconnect")
	for _, gone := range []*peer{one, nameless} {
		if log, _ := gone.read(); len(log) > 0 {
			t.Errorf("%s got %q after Detach", gone.Connection(), log)
		}
	}
}

// Attach waits for the subscription of the socket id, but for 2 s at most, and not while the link is down.
func TestAttachWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startByHand(t, "a", hub.Config{})
		p.edge.subscribe = func(addr hub.Address, done func(error)) {
			if addr == hub.IDAddress("user:2") {
				time.AfterFunc(time.Second, func() { done(nil) })
			}
		}
		took := func(connection, id string, ctx context.Context) time.Duration {
			start := time.Now()
			p.Attach(ctx, newPeer(connection), id)
			return time.Since(start)
		}
		if got := took("a.0", "", t.Context()); got != 0 {
			t.Errorf("without a socket id Attach took %v, want 0s", got)
		}
		if got := took("a.1", "user:1", t.Context()); got != 2*time.Second {
			t.Errorf("Attach took %v, want 2s", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got := took("a.2", "user:1", ctx); got != time.Second {
			t.Errorf("Attach took %v, want the second its context had", got)
		}
		if got := took("a.3", "user:2", t.Context()); got != time.Second {
			t.Errorf("Attach took %v, want the second the subscription took", got)
		}
		p.sink.LinkDown(errors.New("down"))
		if got := took("a.4", "user:3", t.Context()); got != 0 {
			t.Errorf("Attach took %v while the link is down, want 0s", got)
		}
	})
}

// The hub's Sink is a Census: it names the members of all connections, until it is told to stop.
func TestMembers(t *testing.T) {
	p := startByHand(t, "a", hub.Config{})
	for _, peer := range []*peer{newPeer("a.1", "x", "y"), newPeer("a.2"), newPeer("a.3", "x")} {
		p.Attach(t.Context(), peer, "")
	}
	census, ok := p.sink.(hub.Census)
	if !ok {
		t.Fatal("the hub's Sink is no Census, so a Broker cannot put the roster right")
	}
	var got []string
	for m := range census.Members {
		got = append(got, m.Topic+" "+m.Connection)
	}
	slices.Sort(got)
	if want := []string{"x a.1", "x a.3", "y a.1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for stop := 1; stop <= 3; stop++ {
		n := 0
		for range census.Members {
			if n++; n == stop {
				break
			}
		}
		if n != stop {
			t.Errorf("got %d members, want to stop after %d", n, stop)
		}
	}
}

// Ready follows the link.
func TestReady(t *testing.T) {
	p := newPod(hub.NewMemory(), "a", hub.Config{})
	if p.Ready() {
		t.Error("a hub that does not run is ready")
	}
	h := startByHand(t, "b", hub.Config{})
	for _, lost := range []bool{false, true} {
		h.sink.LinkUp(lost)
		if !h.Ready() {
			t.Error("got not ready with the link up")
		}
		h.sink.LinkDown(errors.New("down"))
		if h.Ready() {
			t.Error("got ready with the link down")
		}
	}
	if got := h.PodID(); got != "b" {
		t.Errorf("PodID = %q, want b", got)
	}
}

// An error of the broker ends the hub; the end of its context is none.
func TestRunEnds(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct{ broker, want error }{{boom, boom}, {nil, nil}, {context.Canceled, nil}} {
		p := newPod(hub.NewMemory(), "a", hub.Config{})
		p.edge.run = func(ctx context.Context, _ hub.Sink) error {
			if c.broker == boom {
				return boom
			}
			<-ctx.Done()
			return c.broker
		}
		ctx, cancel := context.WithCancel(t.Context())
		if c.broker != boom {
			cancel()
		}
		if err := p.Run(ctx); !errors.Is(err, c.want) {
			t.Errorf("Run = %v, want %v", err, c.want)
		}
		cancel()
	}
}
