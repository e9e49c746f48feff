package gateway_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/gateway"
	"roost/hub"
	"roost/phoenix/phoenixtest"
)

// Whatever comes from wherever, to a client that is always behind: whole frames, and each source in its order.
func TestOutboxOrder(t *testing.T) {
	for _, l := range []link{plain, wrapped, secured} {
		t.Run(string(l), func(t *testing.T) {
			t.Parallel()
			p := startPodOn(t, l, &backend{}, func(c *gateway.Config) { c.OutboxLimit = 64 << 20 })
			client := p.raw(nil)
			topics := []string{"a", "b", "c"}
			for i, topic := range topics {
				ref := fmt.Sprint(i + 1)
				send(client, join(ref, topic))
				client.Want(phoenixtest.OpText, joined(ref, topic))
			}
			connection := p.members("a")[0]
			for _, behind := range []bool{false, true} {
				sent := everything(p, client, connection, topics)
				if behind {
					sent.Wait() // into the outbox, far more than the kernel takes
				}
				inOrder(t, client, rounds, "bc a", "bc b", "bc c", "push", "reply", "heartbeat", "pong")
				sent.Wait()
			}
		})
	}
}

// rounds is how many frames each source sends.
const rounds = 60

// everything makes all sources send to client at once.
func everything(p *pod, client *phoenixtest.Raw, connection string, topics []string) *sync.WaitGroup {
	var sources sync.WaitGroup
	each := func(what func(n int)) {
		sources.Go(func() {
			for n := range rounds {
				what(n)
			}
		})
	}
	for _, topic := range topics {
		each(func(n int) {
			p.publish(hub.TopicAddress(topic), fmt.Sprintf(`{"event":"bc %s","payload":{"n":%d,"fill":%q}}`, topic, n, fill(n)))
		})
	}
	each(func(n int) {
		p.publish(hub.ConnAddress(connection), fmt.Sprintf(`{"topic":"a","event":"push","payload":{"n":%d,"fill":%q}}`, n, fill(n)))
	})
	each(func(n int) { // one client, so one source of what it sends
		client.Send(phoenixtest.Frame{Opcode: phoenixtest.OpPing, Payload: []byte(strconv.Itoa(n))},
			text(frame("2", fmt.Sprint("m", n), "b", "say", fmt.Sprintf(`{"n":%d,"fill":%q}`, n, fill(n)))),
			text(frame("", fmt.Sprint("h", n), "phoenix", "heartbeat", "{}")))
	})
	return &sources
}

// fill returns something to carry, now small, now large.
func fill(n int) string { return strings.Repeat("x", []int{0, 60, 120, 5000, 130, 20000}[n%6]) }

func text(s string) phoenixtest.Frame {
	return phoenixtest.Frame{Opcode: phoenixtest.OpText, Payload: []byte(s)}
}

func send(r *phoenixtest.Raw, frames ...string) {
	for _, s := range frames {
		r.Send(text(s))
	}
}

// inOrder reads rounds frames of each source, which must be numbered from 0.
func inOrder(t *testing.T, client *phoenixtest.Raw, rounds int, sources ...string) {
	t.Helper()
	next := map[string]int{}
	for range rounds * len(sources) {
		f, err := client.Read()
		if err != nil {
			t.Fatalf("got %v after %v, want all frames", err, next)
		}
		source, n, size := origin(t, f)
		if n != next[source] {
			t.Fatalf("%s: got number %d, want %d", source, n, next[source])
		}
		if size >= 0 && size != len(fill(n)) {
			t.Fatalf("%s: got %d bytes in number %d, want %d", source, size, n, len(fill(n)))
		}
		next[source]++
	}
	for _, s := range sources {
		if next[s] != rounds {
			t.Errorf("got %d frames of %s, want %d", next[s], s, rounds)
		}
	}
}

// origin returns the source of a frame, its number there, and how much it carries, or -1.
func origin(t *testing.T, f phoenixtest.Frame) (source string, n, size int) {
	t.Helper()
	if f.Opcode == phoenixtest.OpPong {
		n, err := strconv.Atoi(string(f.Payload))
		if err != nil {
			t.Fatalf("got pong %q, want a number", f.Payload)
		}
		return "pong", n, -1
	}
	type carried struct {
		N    int
		Fill string
	}
	var payload struct {
		carried
		Response carried
	}
	var ref, topic, event string
	fields := []any{new(any), &ref, &topic, &event, &payload}
	if err := json.Unmarshal(f.Payload, &fields); err != nil || f.Opcode != phoenixtest.OpText {
		t.Fatalf("got frame %d %.100q (%v), want a whole message", f.Opcode, f.Payload, err)
	}
	switch {
	case strings.HasPrefix(ref, "h"):
		n, _ := strconv.Atoi(ref[1:])
		return "heartbeat", n, -1
	case event == "phx_reply":
		return "reply", payload.Response.N, len(payload.Response.Fill)
	}
	return event, payload.N, len(payload.Fill)
}

// A client that never reads is closed when the outbox is full, and only it.
func TestSlowClient(t *testing.T) {
	for _, l := range []link{plain, wrapped, secured} {
		t.Run(string(l), func(t *testing.T) {
			t.Parallel()
			const limit, size, kernel = 512 << 10, 16 << 10, 512 << 10
			b := &backend{}
			p := startPodOn(t, l, b, func(c *gateway.Config) { c.OutboxLimit = limit })
			slow, quick := p.raw(nil), p.raw(nil)
			for _, c := range []*phoenixtest.Raw{slow, quick} {
				send(c, join("1", "room"))
				c.Want(phoenixtest.OpText, joined("1", "room"))
			}
			sent := 0
			for ; len(b.gone()) == 0 && sent*size <= limit+kernel; sent++ {
				p.publish(hub.TopicAddress("room"), fmt.Sprintf(`{"event":"e","payload":{"n":%d,"fill":%q}}`, sent, strings.Repeat("x", size)))
				if _, n, got := origin(t, read(t, quick)); n != sent || got != size {
					t.Fatalf("got number %d with %d bytes, want %d with %d", n, got, sent, size)
				}
			}
			if sent*size < limit || sent*size > limit+kernel {
				t.Errorf("closed after %d bytes, want about %d", sent*size, limit)
			}
			b.wantGone(t, "slow")
			b.wantLeft(t, `room "1" slow`)
			p.wantCounter(1, "roost_slow_clients_total")
			p.wantCounter(1, "roost_connections_closed_total", "code=1013", "reason=slow")
			p.wantCounter(1, "roost_connections")
			if got := len(p.members("room")); got != 1 {
				t.Errorf("got %d members, want the other one", got)
			}
			told(t, slow)
		})
	}
}

func read(t *testing.T, r *phoenixtest.Raw) phoenixtest.Frame {
	t.Helper()
	f, err := r.Read()
	if err != nil {
		t.Fatalf("got %v, want a frame", err)
	}
	return f
}

// told reads what the kernel and the outbox still had for a client that was too slow: whole frames in order, then 1013.
func told(t *testing.T, slow *phoenixtest.Raw) {
	t.Helper()
	for want := 0; ; want++ {
		f, err := slow.Read()
		if err != nil {
			t.Fatalf("got %v after %d frames, want close 1013", err, want)
		}
		if f.Opcode == phoenixtest.OpClose {
			if got := string(f.Payload); got != "\x03\xf5" {
				t.Errorf("got close % x, want 1013", got)
			}
			return
		}
		if _, n, _ := origin(t, f); n != want {
			t.Fatalf("got number %d, want %d", n, want)
		}
	}
}

// A client that takes nothing for WriteTimeout is slow, however little waits for it.
func TestWriteTimeout(t *testing.T) {
	for _, l := range []link{plain, wrapped, secured} {
		t.Run(string(l), func(t *testing.T) {
			t.Parallel()
			b := &backend{}
			p := startPodOn(t, l, b, func(c *gateway.Config) { c.WriteTimeout, c.OutboxLimit = 100*time.Millisecond, 64<<20 })
			slow := p.raw(nil)
			send(slow, join("1", "room"))
			slow.Want(phoenixtest.OpText, joined("1", "room"))
			for n := range 200 {
				p.publish(hub.TopicAddress("room"), fmt.Sprintf(`{"event":"e","payload":{"n":%d,"fill":%q}}`, n, strings.Repeat("x", 10_000)))
			}
			b.wantGone(t, "slow")
			b.wantLeft(t, `room "1" slow`)
			p.wantCounter(1, "roost_slow_clients_total")
			p.wantCounter(0, "roost_connections")
			if l != secured { // a TLS record cut short cannot be mended
				told(t, slow)
			}
		})
	}
}

// However many find out at once that a client is slow, it is counted once.
func TestSlowClientIsCountedOnce(t *testing.T) {
	const clients, topics = 20, 6
	b := &backend{}
	p := startPod(t, b, func(c *gateway.Config) { c.OutboxLimit = 1 })
	for range clients {
		slow := p.raw(nil)
		for i := range topics {
			ref := fmt.Sprint(i + 1)
			send(slow, join(ref, "topic"+ref))
			slow.Want(phoenixtest.OpText, joined(ref, "topic"+ref))
		}
	}
	body := fmt.Sprintf(`{"event":"e","payload":{"fill":%q}}`, strings.Repeat("x", 100_000))
	for range 30 {
		for i := range topics {
			p.publish(hub.TopicAddress(fmt.Sprint("topic", i+1)), body)
		}
	}
	eventually(t, "end of all clients", func() bool { return len(b.gone()) == clients })
	p.wantCounter(clients, "roost_connections_closed_total", "reason=slow")
	p.wantCounter(clients, "roost_slow_clients_total")
}
