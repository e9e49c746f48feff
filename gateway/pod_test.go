package gateway_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"roost/gateway"
	"roost/hub"
	"roost/phoenix/phoenixtest"
)

// pod is a gateway at work, with a hub on a Memory of its own.
type pod struct {
	*gateway.Gateway
	hub      *hub.Hub
	memory   *hub.Memory
	backend  *backend
	registry *prometheus.Registry
	addr     string // host:port
	roots    *tls.Config

	tb testing.TB
}

// startPod starts a pod on a plain socket. It ends with the test, which fails if connections are left behind.
func startPod(tb testing.TB, b *backend, change ...func(*gateway.Config)) *pod {
	tb.Helper()
	return startPodOn(tb, plain, b, change...)
}

// link says what kind of connection the gateway is given by its HTTP server.
type link string

const (
	plain   link = "a TCP socket"
	wrapped link = "a wrapped socket"
	patient link = "a wrapped socket that knows no future deadlines"
	secured link = "TLS"
)

func startPodOn(tb testing.TB, l link, b *backend, change ...func(*gateway.Config)) *pod {
	tb.Helper()
	p := &pod{tb: tb, backend: b, memory: hub.NewMemory(), registry: prometheus.NewRegistry()}
	log := slog.New(slog.NewTextHandler(tb.Output(), nil))
	seams := p.memory.Pod("pod-a")
	p.hub = hub.New(hub.Config{PodID: "pod-a", Broker: seams, Roster: seams, Stream: seams, PresenceGrace: time.Hour, Logger: log})
	cfg := gateway.Config{Hub: p.hub, Logger: log, Registerer: p.registry}
	if b != nil {
		cfg.Backend = b
	}
	for _, f := range change {
		f(&cfg)
	}
	gw, err := gateway.New(cfg)
	if err != nil {
		tb.Fatalf("New = %v, want a gateway", err)
	}
	p.Gateway = gw
	running(tb, p.hub.Run)
	running(tb, gw.Run)
	eventually(tb, "link of the hub", p.hub.Ready)
	server := httptest.NewUnstartedServer(gw)
	server.Listener = &smallListener{server.Listener, l}
	if l == secured {
		server.StartTLS()
		p.roots = server.Client().Transport.(*http.Transport).TLSClientConfig
	} else {
		server.Start()
	}
	p.addr = server.Listener.Addr().String()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := gw.Drain(ctx); err != nil {
			tb.Errorf("Drain = %v, want all connections gone", err)
		}
		server.Close()
	})
	return p
}

// running runs a part of the program until the test ends.
func running(tb testing.TB, run func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	tb.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			tb.Errorf("Run = %v, want nil", err)
		}
	})
}

// smallListener gives connections a small send buffer, so that a client that reads slowly is noticed early.
type smallListener struct {
	net.Listener
	link link
}

func (l *smallListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if err := conn.(*net.TCPConn).SetWriteBuffer(64 << 10); err != nil {
		return nil, err
	}
	switch l.link {
	case wrapped:
		return struct{ net.Conn }{conn}, nil
	case patient:
		return patientConn{conn}, nil
	default:
		return conn, nil
	}
}

// patientConn shows who waits for a timeout, because it never comes.
type patientConn struct{ net.Conn }

func (c patientConn) SetDeadline(t time.Time) error {
	if time.Until(t) > 0 {
		t = time.Time{}
	}
	return c.Conn.SetDeadline(t)
}

// dial connects a client that speaks V2.
func (p *pod) dial() *phoenixtest.Client {
	p.tb.Helper()
	return phoenixtest.Dial(p.tb, p.url("?vsn=2.0.0"), nil)
}

func (p *pod) url(query string) string { return "ws://" + p.addr + "/socket/websocket" + query }

// raw connects a client with a small receive buffer, which reads when the test does.
func (p *pod) raw(header http.Header) *phoenixtest.Raw {
	p.tb.Helper()
	raw, err := phoenixtest.Ask(p.tb, p.connect(), p.addr, phoenixtest.Request{Target: "/socket/websocket?vsn=2.0.0", Header: header})
	if err != nil || raw.Status != http.StatusSwitchingProtocols {
		p.tb.Fatalf("got %+v, %v, want a WebSocket", raw, err)
	}
	return raw
}

// connect makes a network connection with a small receive buffer.
func (p *pod) connect() net.Conn {
	p.tb.Helper()
	conn, err := net.DialTimeout("tcp", p.addr, patience)
	if err != nil {
		p.tb.Fatal(err)
	}
	p.tb.Cleanup(func() { conn.Close() })
	if err := conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		p.tb.Fatal(err)
	}
	if p.roots == nil {
		return conn
	}
	roots := p.roots.Clone()
	roots.ServerName = "example.com"
	return tls.Client(conn, roots)
}

// status does a handshake by hand and returns the status of the answer.
func (p *pod) status(target string, header http.Header) int {
	p.tb.Helper()
	raw := phoenixtest.Open(p.tb, p.addr, phoenixtest.Request{Target: target, Header: header})
	raw.Conn.Close()
	return raw.Status
}

// publish does what a backend does with Redis.
func (p *pod) publish(addr hub.Address, body string) { p.memory.Publish(addr, []byte(body)) }

// members returns the membership set of topic.
func (p *pod) members(topic string) []string { return p.memory.MembersOf(topic) }

// counter returns the sum of all series of a metric whose labels contain each of these values.
func (p *pod) counter(name string, labels ...string) float64 {
	p.tb.Helper()
	families, err := p.registry.Gather()
	if err != nil {
		p.tb.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			has := " "
			for _, l := range m.GetLabel() {
				has += l.GetName() + "=" + l.GetValue() + " "
			}
			matches := true
			for _, l := range labels {
				matches = matches && strings.Contains(has, " "+l+" ")
			}
			if matches {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// wantCounter waits until a metric has a value.
func (p *pod) wantCounter(want float64, name string, labels ...string) {
	p.tb.Helper()
	if !holds(func() bool { return p.counter(name, labels...) == want }) {
		p.tb.Fatalf("got %s%v = %v, want %v", name, labels, p.counter(name, labels...), want)
	}
}

func TestMetricsAreWellFormed(t *testing.T) {
	p := startPod(t, &backend{})
	p.dial().Heartbeat()
	problems, err := testutil.GatherAndLint(p.registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("got %v, %v, want no problems", problems, err)
	}
}

// frame returns a V2 text frame. Refs are strings, except null, which is written "".
func frame(joinRef, ref, topic, event, payload string) string {
	quote := func(s string) string {
		if s == "" {
			return "null"
		}
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf(`[%s,%s,%q,%q,%s]`, quote(joinRef), quote(ref), topic, event, payload)
}

// okay and refused return replies.
func okay(joinRef, ref, topic, response string) string {
	return frame(joinRef, ref, topic, "phx_reply", `{"status":"ok","response":`+response+`}`)
}

func refused(joinRef, ref, topic, reason string) string {
	return frame(joinRef, ref, topic, "phx_reply", `{"status":"error","response":{"reason":"`+reason+`"}}`)
}

func join(ref, topic string) string   { return frame(ref, ref, topic, "phx_join", "{}") }
func joined(ref, topic string) string { return okay(ref, ref, topic, "{}") }

// closed and crashed return what ends a channel.
func closed(joinRef, topic string) string { return frame(joinRef, joinRef, topic, "phx_close", "{}") }
func crashed(joinRef, topic string) string {
	return frame(joinRef, joinRef, topic, "phx_error", `{"reason":"channel_crash"}`)
}

// joins sends joins, numbered from 1, and reads their replies.
func joins(c *phoenixtest.Client, topics ...string) {
	for i, topic := range topics {
		ref := fmt.Sprint(i + 1)
		c.Send(join(ref, topic))
		c.Want(joined(ref, topic))
	}
}

// until returns a context that ends with patience.
func until(tb testing.TB) context.Context {
	ctx, cancel := context.WithDeadline(tb.Context(), time.Now().Add(patience))
	tb.Cleanup(cancel)
	return ctx
}
