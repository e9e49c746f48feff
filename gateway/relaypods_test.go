package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roost/gateway"
	"roost/hub"
)

// relays are pods that share a Memory and a directory.
type relays struct {
	memory *hub.Memory
	key    []byte

	mu     sync.Mutex
	urls   map[string]string
	failed error           // what the directory answers
	asked  map[string]bool // the pods it was asked for
}

var _ hub.Directory = (*relays)(nil)

func newRelays() *relays {
	return &relays{memory: hub.NewMemory(), key: []byte("the secret that these pods share"), urls: map[string]string{}, asked: map[string]bool{}}
}

func (d *relays) Key(context.Context) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.key, nil
}

func (d *relays) URL(_ context.Context, pod string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked[pod] = true
	return d.urls[pod], d.failed
}

// set makes the directory answer differently.
func (d *relays) set(pod, url string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.urls[pod], d.failed = url, err
}

// loopBound is how many requests one pod of a test gets at most. More are a loop.
const loopBound = 100

// relayPod is one of them. It counts requests.
type relayPod struct {
	*gateway.Gateway
	url      string
	requests atomic.Int64
	server   *httptest.Server
	memory   *hub.Memory
}

// start starts a pod. The change may be nil.
func (d *relays) start(t *testing.T, id string, change func(*gateway.Config)) *relayPod {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	seams := d.memory.Pod(id)
	h := hub.New(hub.Config{PodID: id, Broker: seams, Roster: seams, Stream: seams, Logger: log})
	cfg := gateway.Config{Hub: h, Backend: &backend{}, Directory: d, Logger: log, LongPollWindow: time.Hour}
	if change != nil {
		change(&cfg)
	}
	gw, err := gateway.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := &relayPod{Gateway: gw, memory: d.memory}
	running(t, h.Run)
	running(t, gw.Run)
	eventually(t, "link of the hub", h.Ready)
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.requests.Add(1) > loopBound {
			http.Error(w, "a loop", http.StatusLoopDetected)
			return
		}
		gw.ServeHTTP(w, r)
	}))
	p.url = p.server.URL
	d.set(id, p.url, nil)
	t.Cleanup(func() {
		if err := gw.Drain(untilLater()); err != nil {
			t.Errorf("Drain = %v, want nil", err)
		}
		p.server.Close()
	})
	return p
}

// open opens a session at p.
func (p *relayPod) open(t *testing.T) *longPoller {
	t.Helper()
	return newLongPoller(t, p.url, http.DefaultTransport).open()
}

func said(topic string, n int) string {
	return frame("", "", topic, "said", fmt.Sprintf(`{"n":%d}`, n))
}

func (d *relays) say(topic string, n int) {
	d.memory.Publish(hub.TopicAddress(topic), fmt.Appendf(nil, `{"event":"said","payload":{"n":%d}}`, n))
}

// nobody returns an address where nobody listens.
func nobody(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// odd returns the address of a server that speaks no HTTP.
func odd(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Read(make([]byte, 1<<10))
			conn.Write([]byte("+PONG\r\n\r\n"))
			conn.Close()
		}
	})
	t.Cleanup(func() {
		l.Close()
		work.Wait()
	})
	return l.Addr().String()
}

// cutWay is a way to a server that can be cut, as if the server had crashed.
type cutWay struct {
	addr string
	cut  func()
}

func startCut(t *testing.T, to string) *cutWay {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var conns []net.Conn
	var work sync.WaitGroup
	work.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			mu.Lock()
			conns = append(conns, near, far)
			mu.Unlock()
			for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
				work.Go(func() {
					_, _ = pair[0].(*net.TCPConn).ReadFrom(pair[1])
					pair[0].Close()
				})
			}
		}
	})
	w := &cutWay{addr: l.Addr().String(), cut: sync.OnceFunc(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		work.Wait()
	})}
	t.Cleanup(w.cut)
	return w
}
