package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// After its answer a parked connection serves on, with all that the server has to offer.
func TestParkedConnectionServesOn(t *testing.T) {
	t.Parallel()
	p := startPod(t, &backend{}, longWindow)
	f := startFront(t, p)
	c := p.polling().join("a")
	w := dialWire(t, f.addr)
	for n := range 3 {
		w.ask("GET", c.path())
		f.parked(t)
		a := p.say("a", n)
		got := w.answer()
		wantMessages(t, got, a)
		for name, want := range map[string]string{
			"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store", "Access-Control-Allow-Origin": "*",
		} {
			if got.header.Get(name) != want {
				t.Errorf("got %s %q, want %q", name, got.header.Get(name), want)
			}
		}
		if date, err := http.ParseTime(got.header.Get("Date")); err != nil || time.Since(date).Abs() > time.Minute {
			t.Errorf("got Date %q, want about now", got.header.Get("Date"))
		}
		if got.closes || got.Token != c.token {
			t.Errorf("got Connection: close %t and token %q, want none and %q", got.closes, got.Token, c.token)
		}
		w.ask("GET", "/other")
		if got := w.answer(); got.body != "other" {
			t.Errorf("got %q, want other", got.body)
		}
		w.ask("POST", c.path(), "Content-Type: application/x-ndjson", "Content-Length: 0")
		if got := w.answer(); got.Status != http.StatusOK {
			t.Errorf("got %q, want status 200", got.body)
		}
	}
}

// The connection of a parked poll is the server's again as if nothing had been: an idle one is kept as long as the server
// keeps idle ones.
func TestParkedConnectionIsKeptIdle(t *testing.T) {
	t.Parallel()
	p := startPod(t, &backend{}, longWindow)
	f := startFront(t, p, func(s *httptest.Server) {
		s.Config.ReadHeaderTimeout, s.Config.IdleTimeout = 200*time.Millisecond, time.Minute
	})
	c := p.polling().join("a")
	w := dialWire(t, f.addr)
	w.ask("GET", "/other")
	w.answer()
	time.Sleep(600 * time.Millisecond)
	w.ask("GET", c.path()) // still here, as it should be
	f.parked(t)
	wantMessages(t, w.answerTo(p, "a"), frame("", "", "a", "said", `{"n":1}`))
	time.Sleep(600 * time.Millisecond)
	w.ask("GET", "/other")
	if got := w.answer(); got.body != "other" {
		t.Errorf("got %q, want other", got.body)
	}
}

// A client that goes away takes no message with it, however its poll is held.
func TestHeldPollOfAClientThatLeft(t *testing.T) {
	for _, l := range []link{plain, wrapped} {
		t.Run(string(l), func(t *testing.T) {
			t.Parallel()
			p := startPodOn(t, l, &backend{}, longWindow)
			f := startFront(t, p, func(s *httptest.Server) { s.Listener = &smallListener{s.Listener, l} })
			c := p.polling().join("a")
			first := dialWire(t, f.addr) // shows whether the listener wraps its connections
			first.ask("GET", c.path())
			settle()
			first.answerTo(p, "a")
			for n := range 3 {
				w := dialWire(t, f.addr)
				w.ask("GET", c.path())
				settle()
				w.Close()
				settle()
				said := p.say("a", n)
				settle()
				answer := c.hold()
				settle()
				second := p.say("a", 100+n) // answers the poll even if the first is lost
				if got := await(t, "answer", answer); !strings.Contains(got.body, fmt.Sprintf(`{\"n\":%d}`, n)) {
					t.Fatalf("got %q, want the message sent after the client had gone, %s, in front of %s", got.body, said, second)
				} else if len(got.Messages) == 1 {
					c.want(second)
				}
			}
		})
	}
}

// A request that comes while the one before it is held is answered behind it.
func TestParkedPipeline(t *testing.T) {
	t.Parallel()
	p := startPod(t, &backend{}, longWindow)
	f := startFront(t, p)
	c := p.polling().join("a")
	t.Run("in one piece", func(t *testing.T) {
		w := dialWire(t, f.addr)
		w.write(request("GET", c.path()) + request("GET", "/other"))
		f.parked(t)
		w.silent()
		wantMessages(t, w.answerTo(p, "a"), frame("", "", "a", "said", `{"n":1}`))
		if got := w.answer(); got.body != "other" {
			t.Errorf("got %q, want other", got.body)
		}
	})
	t.Run("later", func(t *testing.T) {
		w := dialWire(t, f.addr)
		w.ask("GET", c.path())
		f.parked(t)
		w.write("GET /other HT")
		w.silent()
		wantMessages(t, w.answerTo(p, "a"), frame("", "", "a", "said", `{"n":1}`))
		w.write("TP/1.1\r\nHost: a\r\n\r\n")
		if got := w.answer(); got.body != "other" {
			t.Errorf("got %q, want other", got.body)
		}
	})
	t.Run("many polls, and then the client leaves", func(t *testing.T) {
		w := dialWire(t, f.addr)
		const polls = 5
		w.write(strings.Repeat(request("GET", c.path()), polls))
		for range polls {
			f.parked(t)
			wantMessages(t, w.answerTo(p, "a"), frame("", "", "a", "said", `{"n":1}`))
		}
		w.ask("GET", c.path())
		f.parked(t)
		w.Close()
		settle()
		said := p.say("a", 2)
		settle()
		next := c.hold()
		settle()
		p.say("a", 3) // answers the poll even if the first is lost
		if got := await(t, "answer", next); len(got.Messages) == 0 || got.Messages[0] != said {
			t.Errorf("got %q, want first %s, sent after the client had gone", got.body, said)
		}
	})
}

// The body of a poll means nothing, and is not the next request.
func TestParkedPollWithABody(t *testing.T) {
	t.Parallel()
	p := startPod(t, &backend{}, longWindow)
	f := startFront(t, p)
	c := p.polling().join("a")
	smuggled := request("GET", "/other")
	for name, poll := range map[string]string{
		"of a known length": request("GET", c.path(), fmt.Sprintf("Content-Length: %d", len(smuggled))) + smuggled,
		"in chunks":         request("GET", c.path(), "Transfer-Encoding: chunked") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled),
	} {
		t.Run(name, func(t *testing.T) {
			w := dialWire(t, f.addr)
			w.write(poll)
			settle()
			wantMessages(t, w.answerTo(p, "a"), frame("", "", "a", "said", `{"n":1}`))
			w.silent() // else the body has been answered as a request
		})
	}
}
