package conformance_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roost/internal/redistest"
)

// burstReader reads one topic as fast as it can, and checks that nothing is missing.
type burstReader struct {
	conn *websocket.Conn
	next int   // the number that should come next
	code int   // of the close frame, if one came
	told bool  // got phx_error
	err  error // what must not be
}

// readBurst joins topic and reads n numbered messages, or until the pod ends the connection or the channel.
func readBurst(t *testing.T, p *pod, topic string, n int) (r *burstReader, done chan struct{}) {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial(p.url("vsn=2.0.0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.WriteMessage(websocket.TextMessage, []byte(`["1","1",`+quote(topic)+`,"phx_join",{}]`)); err != nil {
		t.Fatal(err)
	}
	if _, answer, err := conn.ReadMessage(); err != nil || !bytes.Contains(answer, []byte(`"ok"`)) {
		t.Fatalf("the join was answered %q, %v", answer, err)
	}
	r, done = &burstReader{conn: conn}, make(chan struct{})
	go func() {
		defer close(done)
		for r.next < n && !r.told && r.err == nil && r.code == 0 {
			r.read()
		}
	}()
	return r, done
}

// deafReader joins topic and does not read on its own.
func deafReader(t *testing.T, p *pod, topic string) *burstReader {
	t.Helper()
	r, done := readBurst(t, p, topic, 0)
	<-done
	return r
}

var numberMark = []byte(`"e",{"n":`)

func (r *burstReader) read() {
	_ = r.conn.SetReadDeadline(time.Now().Add(patience))
	_, frame, err := r.conn.ReadMessage()
	if err != nil {
		var closed *websocket.CloseError
		if r.err = err; errors.As(err, &closed) {
			r.code, r.err = closed.Code, nil
		}
		return
	}
	i := bytes.Index(frame, numberMark)
	if i < 0 {
		if r.told = bytes.Contains(frame, []byte(`"phx_error"`)); !r.told {
			r.err = fmt.Errorf("got %s", frame)
		}
		return
	}
	digits := frame[i+len(numberMark):]
	digits = digits[:bytes.IndexByte(digits, ',')]
	if n, err := strconv.Atoi(string(digits)); err != nil || n != r.next {
		r.err = fmt.Errorf("got message %s, want %d", digits, r.next)
		return
	}
	r.next++
}

// burst publishes numbered messages of about 100 bytes as fast as Redis takes them.
func burst(t *testing.T, s *redistest.Server, topic string, from, to int) {
	t.Helper()
	for i := from; i < to; {
		pipe := s.Client.Pipeline()
		for range min(1000, to-i) {
			pipe.Publish(context.Background(), "roost:topic:"+topic, fmt.Sprintf(`{"event":"e","payload":{"n":%d,"x":"%060d"}}`, i, i))
			i++
		}
		if _, err := pipe.Exec(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBurst: what is published at full speed reaches every subscriber that reads, whole and in order; who cannot keep up, and
// one who does not read until it is over (unless it fits into the network's buffers), is closed with 1013 and counted, and no
// message is missing among those that it got.
func TestBurst(t *testing.T) {
	for name, c := range map[string]struct{ messages, subscribers int }{
		"100,000 to one":  {100_000, 1},
		"20,000 to fifty": {20_000, 50},
	} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			p := ownPod(t, s.URL, nil)
			topic := newTopic("burst")
			readers, ends := make([]*burstReader, c.subscribers), make([]chan struct{}, c.subscribers)
			for i := range readers {
				readers[i], ends[i] = readBurst(t, p, topic, c.messages)
			}
			lame := deafReader(t, p, topic)
			began := time.Now()
			burst(t, s, topic, 0, c.messages)
			published := time.Since(began)
			slow := 0
			for i, r := range readers {
				<-ends[i]
				switch {
				case r.err != nil:
					t.Errorf("subscriber %d, after %d messages: %v", i, r.next, r.err)
				case r.code == websocket.CloseTryAgainLater:
					slow++
				case r.next != c.messages:
					t.Errorf("subscriber %d got %d of %d messages, phx_error %t, close code %d", i, r.next, c.messages, r.told, r.code)
				}
			}
			t.Logf("published in %v, all over after %v; %d of %d subscribers could not keep up", published, time.Since(began), slow, c.subscribers)
			for lame.next < c.messages && lame.err == nil && lame.code == 0 {
				lame.read()
			}
			switch {
			case lame.code == websocket.CloseTryAgainLater, errors.Is(lame.err, syscall.ECONNRESET):
				slow++
			case lame.next != c.messages:
				t.Errorf("the client that did not read: got %d messages, close code %d, error %v", lame.next, lame.code, lame.err)
			}
			eventually(t, func() error {
				if got := p.metric(t, "roost_slow_clients_total"); got != float64(slow) {
					return fmt.Errorf("got %v closes with 1013 counted, want %d", got, slow)
				}
				return nil
			})
		})
	}
}

// TestBurstBeyondRedis: Redis cuts a link that does not take its messages in time. The pod's channels are told so; nobody
// misses a message in silence.
func TestBurstBeyondRedis(t *testing.T) {
	s := redistest.Start(t, "--client-output-buffer-limit", "pubsub 1mb 1mb 1")
	p := ownPod(t, s.URL, settings{"ROOST_RESYNC_SPREAD": "1s"})
	topic := newTopic("burst")
	const many = 100_000
	r, end := readBurst(t, p, topic, many)
	burst(t, s, topic, 0, 1000)
	p.signal(t, syscall.SIGSTOP)
	t.Cleanup(func() { p.signal(t, syscall.SIGCONT) }) // or it could not stop
	burst(t, s, topic, 1000, many)
	p.signal(t, syscall.SIGCONT)
	<-end
	if r.err != nil || !r.told || r.next == many {
		t.Errorf("got %d of %d messages, phx_error %t, close code %d, error %v; want the first ones and then phx_error", r.next, many, r.told, r.code, r.err)
	}
}
