package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"roost/gateway"
	"roost/hub"
)

// front is a server of a program that has a gateway among its handlers.
type front struct {
	*httptest.Server
	addr   string
	states chan http.ConnState // of connections
}

// startFront starts a server that has p's gateway at its path, and "other" at /other.
func startFront(t *testing.T, p *pod, change ...func(*httptest.Server)) *front {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/socket/", p)
	mux.HandleFunc("/other", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "other") })
	f := &front{Server: httptest.NewUnstartedServer(mux), states: make(chan http.ConnState, 1000)}
	f.Config.ConnState = func(_ net.Conn, s http.ConnState) { f.states <- s }
	for _, c := range change {
		c(f.Server)
	}
	if f.TLS == nil {
		f.Start()
	}
	f.addr = f.Listener.Addr().String()
	t.Cleanup(func() {
		if err := p.Drain(untilLater()); err != nil {
			t.Errorf("Drain = %v, want nil", err)
		}
		f.Close()
	})
	return f
}

// untilLater returns a context with patience that outlives the test.
func untilLater() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	context.AfterFunc(ctx, cancel)
	return ctx
}

// parked waits until a connection has been taken out of the server's hands.
func (f *front) parked(t *testing.T) {
	t.Helper()
	for await(t, "parked connection", f.states) != http.StateHijacked {
	}
}

// wire is a connection on which a test writes requests by hand.
type wire struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func dialWire(t *testing.T, addr string) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	return &wire{conn, t, bufio.NewReader(conn)}
}

// ask writes a request.
func (w *wire) ask(method, path string, header ...string) {
	w.t.Helper()
	w.write(request(method, path, header...))
}

func (w *wire) write(s string) {
	w.t.Helper()
	if _, err := io.WriteString(w.Conn, s); err != nil {
		w.t.Fatal(err)
	}
}

func request(method, path string, header ...string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: a\r\n" + strings.Join(append(header, "\r\n"), "\r\n")
}

// pollPath is the path of a session's requests.
func (c *longPoller) path() string { return "/socket/longpoll?vsn=2.0.0&token=" + c.token }

// answer reads an answer.
func (w *wire) answer() pollAnswer {
	w.t.Helper()
	w.SetReadDeadline(time.Now().Add(patience))
	response, err := http.ReadResponse(w.r, nil)
	if err != nil {
		w.t.Fatalf("got %v, want an answer", err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatalf("got %v behind %.100q, want an answer", err, text)
	}
	a := pollAnswer{code: response.StatusCode, header: response.Header, closes: response.Close, body: string(text)}
	_ = json.Unmarshal(text, &a)
	return a
}

// silent fails the test if something comes soon.
func (w *wire) silent() {
	w.t.Helper()
	w.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if b, err := w.r.Peek(1); err == nil {
		more, _ := w.r.Peek(w.r.Buffered())
		w.t.Fatalf("got %q, %q; want silence", b, more)
	}
}

// ended waits for the end of the connection.
func (w *wire) ended() {
	w.t.Helper()
	w.SetReadDeadline(time.Now().Add(patience))
	if b, err := w.r.ReadByte(); err != io.EOF {
		w.t.Fatalf("got %q, %v; want the end of the connection", b, err)
	}
}

// say makes the gateway send an event to everybody in topic, and returns it.
func (p *pod) say(topic string, n int) string {
	payload := fmt.Sprintf(`{"n":%d}`, n)
	p.publish(hub.TopicAddress(topic), `{"event":"said","payload":`+payload+`}`)
	return frame("", "", topic, "said", payload)
}

func longWindow(c *gateway.Config) { c.LongPollWindow = time.Hour }

func wantMessages(t *testing.T, a pollAnswer, frames ...string) {
	t.Helper()
	if a.Status != http.StatusOK || len(a.Messages) != len(frames) {
		t.Fatalf("got %d %.1000q, want messages %.1000q", a.code, a.body, frames)
	}
	for i := range frames {
		if a.Messages[i] != frames[i] {
			t.Errorf("got message %s, want %s", a.Messages[i], frames[i])
		}
	}
}

func (w *wire) answerTo(p *pod, topic string) pollAnswer {
	w.t.Helper()
	p.say(topic, 1)
	return w.answer()
}
