package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"roost/gateway"
	"roost/hub"
)

// An answer that the kernel does not take at once goes out as the client reads, and nobody waits for it.
func TestParkedAnswerToASlowReader(t *testing.T) {
	t.Parallel()
	p := startPod(t, &backend{}, longWindow, func(c *gateway.Config) { c.OutboxLimit = 8 << 20 })
	f := startFront(t, p, func(s *httptest.Server) { s.Listener = &smallListener{s.Listener, plain} })
	c, other := p.polling().join("a"), p.polling().join("a")
	w := dialWire(t, f.addr)
	w.ask("GET", c.path())
	f.parked(t)
	payload := fmt.Sprintf(`{"fill":%q}`, strings.Repeat("x", 900_000))
	p.publish(hub.TopicAddress("a"), `{"event":"said","payload":`+payload+`}`)
	other.want(frame("", "", "a", "said", payload))
	settle() // the writer is stuck now
	said := p.say("a", 1)
	other.want(said)
	wantMessages(t, w.answer(), frame("", "", "a", "said", payload))
	w.ask("GET", c.path())
	wantMessages(t, w.answer(), said)
}

// A client that does not want to go on gets its answer and the end.
func TestParkedLastRequest(t *testing.T) {
	t.Parallel()
	p := startPod(t, &backend{}, longWindow)
	f := startFront(t, p)
	c := p.polling().join("a")
	for name, poll := range map[string]string{
		"Connection: close": request("GET", c.path(), "Connection: close"),
		"HTTP/1.0":          "GET " + c.path() + " HTTP/1.0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := dialWire(t, f.addr)
			w.write(poll)
			settle()
			got := w.answerTo(p, "a")
			wantMessages(t, got, frame("", "", "a", "said", `{"n":1}`))
			if !got.closes {
				t.Error("got an answer without Connection: close")
			}
			w.ended()
		})
	}
}

// ways are the kinds of servers that a gateway may be mounted in.
var ways = map[string]func(*httptest.Server){
	"HTTP/1.1": func(*httptest.Server) {},
	"TLS":      func(s *httptest.Server) { s.StartTLS() },
	"HTTP/2": func(s *httptest.Server) {
		s.EnableHTTP2 = true
		s.StartTLS()
	},
	"a wrapped writer": func(s *httptest.Server) {
		inner := s.Config.Handler
		s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inner.ServeHTTP(struct{ http.ResponseWriter }{w}, r) // nothing but the three methods
		})
	},
}

// Sessions work through any kind of server, and a drain ends held polls at once.
func TestLongPollWays(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startPod(t, &backend{}, longWindow)
			f := startFront(t, p, way)
			c := newLongPoller(t, f.URL, f.Client().Transport).open().join("a")
			for n := range 3 {
				answer := c.hold()
				settle()
				said := p.say("a", n)
				wantMessages(t, await(t, "answer", answer), said)
			}
			first := c.hold()
			settle()
			second := c.hold()
			if got := await(t, "answer to the older poll", first); got.Status != http.StatusNoContent {
				t.Errorf("got %q for the older of two polls, want status 204", got.body)
			}
			settle()
			said := p.say("a", 9)
			wantMessages(t, await(t, "answer to the newer poll", second), said)

			last := c.hold()
			settle()
			drained := make(chan error, 1)
			go func() { drained <- p.Drain(untilLater()) }()
			got := await(t, "answer to the poll held in a drain", last)
			if got.Status != http.StatusNoContent && got.Status != http.StatusInternalServerError {
				t.Errorf("got %q in a drain, want status 204 or 500", got.body)
			}
			if name != "HTTP/2" && !got.closes { // which has no such header
				t.Error("got an answer without Connection: close in a drain")
			}
			if err := await(t, "end of the drain", drained); err != nil {
				t.Errorf("Drain = %v, want nil", err)
			}
			if got := c.poll(); got.Status != http.StatusInternalServerError {
				t.Errorf("got %q after the drain, want status 500", got.body)
			}
		})
	}
}

// A server can be shut down and a gateway drained in either order, and neither waits for clients that are idle.
func TestParkedShutdown(t *testing.T) {
	for name, shutdownFirst := range map[string]bool{"Shutdown, then Drain": true, "Drain, then Shutdown": false} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			t.Run("pod", func(t *testing.T) {
				p := startPod(t, &backend{}, longWindow)
				f := startFront(t, p)
				c := p.polling().join("a")
				held, idle := dialWire(t, f.addr), dialWire(t, f.addr)
				idle.ask("GET", c.path())
				f.parked(t)
				wantMessages(t, idle.answerTo(p, "a"), frame("", "", "a", "said", `{"n":1}`))
				held.ask("GET", c.path())
				f.parked(t)
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				for _, shutdown := range []bool{shutdownFirst, !shutdownFirst} {
					stop, what := p.Drain, "Drain"
					if shutdown {
						stop, what = f.Config.Shutdown, "Shutdown"
					}
					if err := stop(ctx); err != nil {
						t.Errorf("%s = %v, want nil within 2 s", what, err)
					}
				}
				if got := held.answer(); got.Status != http.StatusNoContent || !got.closes {
					t.Errorf("got %q, Connection: close %t; want status 204 and the end", got.body, got.closes)
				}
				held.ended()
				idle.ended()
			})
			http.DefaultClient.CloseIdleConnections()
			goleak.VerifyNone(t, before)
		})
	}
}

// Polls that come while the pod drains are answered or cut off; the pod does not fall over.
func TestDrainWhilePollsArrive(t *testing.T) {
	t.Parallel()
	for range 30 {
		p := startPod(t, &backend{}, longWindow)
		var clients []*longPoller
		for range 4 {
			clients = append(clients, p.polling())
		}
		begin := make(chan struct{})
		ended := make(chan struct{})
		for _, c := range clients {
			go func() {
				defer func() { ended <- struct{}{} }()
				<-begin
				for {
					a, err := c.request(untilLater(), http.MethodGet, nil, nil)
					if err != nil || a.Status != http.StatusNoContent {
						return
					}
				}
			}()
		}
		close(begin)
		if err := p.Drain(untilLater()); err != nil {
			t.Errorf("Drain = %v, want nil", err)
		}
		for range clients {
			await(t, "end of a client", ended)
		}
	}
}
