package webhook_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"roost/auth"
	"roost/auth/webhook"
)

// breaking is a backend that breaks the connection of all but the last of its calls, once it has read them.
func breaking(t *testing.T, calls int) (url string, ids func() []string) {
	var mu sync.Mutex
	var seen []string
	url = serve(t, func(w http.ResponseWriter, r *http.Request) {
		body(t, r)
		mu.Lock()
		defer mu.Unlock()
		if seen = append(seen, r.Header.Get("webhook-id")); len(seen) >= calls {
			io.WriteString(w, `{"status":"ok"}`)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	})
	return url, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(seen)
	}
}

func TestBrokenConnections(t *testing.T) {
	for name, tries := range map[string]int{"connect": 4, "join": 4, "push": 1} {
		t.Run(name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			url, ids := breaking(t, 4)
			c := newClient(t, webhook.Config{URL: url, Registerer: registry, Timeout: patience})
			err := calls[name](t.Context(), c)
			if (err == nil) != (tries > 1) {
				t.Errorf("%s: got %v, want success: %v", name, err, tries > 1)
			}
			got := ids()
			if len(got) != tries || len(slices.Compact(got)) != 1 {
				t.Errorf("ids of the requests: got %v, want %d times the same", got, tries)
			}
			if got := gauge(t, registry, "roost_webhook_retries_total"); got != float64(tries-1) {
				t.Errorf("retries counted: got %v, want %d", got, tries-1)
			}
		})
	}
}

func TestRetriesEnd(t *testing.T) {
	for name, c := range map[string]struct {
		retries, want int
		timeout       time.Duration
	}{
		"after three":                   {0, 4, 5 * time.Second},
		"after as many as it is set":    {1, 2, 5 * time.Second},
		"at once if they are off":       {-1, 1, 5 * time.Second},
		"when the deadline leaves none": {1000, 0, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var tries atomic.Int64
				start := time.Now()
				client, err := webhook.New(webhook.Config{URL: "http://backend.test", Retries: c.retries, Timeout: c.timeout,
					Transport: transport(func(*http.Request) (*http.Response, error) { tries.Add(1); return nil, errors.New("broken") })})
				if err != nil {
					t.Fatal(err)
				}
				_, err = client.Join(t.Context(), joinOf("t"))
				wantFailure(t, err, "broken")
				if !errors.Is(err, auth.ErrLate) {
					t.Errorf("got %v, want one that is ErrLate: the backend may have answered", err)
				}
				if got := int(tries.Load()); c.want == 0 && got > 15 || c.want > 0 && got != c.want || time.Since(start) > c.timeout {
					t.Errorf("got %d tries in %v, want %d", got, time.Since(start), c.want)
				}
			})
		})
	}
}

// proxied puts a proxy in front of a backend, which a test can take away and bring back.
func proxied(t *testing.T, handle http.HandlerFunc) *toxiproxy.Proxy {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()),
		"backend", "127.0.0.1:0", strings.TrimPrefix(s.URL, "http://"))
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	return proxy
}

func TestBackendThatRestarts(t *testing.T) {
	proxy := proxied(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"status":"ok"}`) })
	registry := prometheus.NewRegistry()
	c := newClient(t, webhook.Config{URL: "http://" + proxy.Listen, Registerer: registry, Timeout: time.Minute, Retries: 1000})
	if _, err := c.Join(t.Context(), joinOf("t")); err != nil {
		t.Fatalf("before: got %v, want nil", err)
	}
	proxy.Stop()
	joined := make(chan error, 1)
	go func() { _, err := c.Join(t.Context(), joinOf("t")); joined <- err }()
	eventually(t, "the join has failed and waits for its next try", func() bool {
		return gauge(t, registry, "roost_webhook_calls_total", "unreachable") >= 2
	})
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, joined); err != nil {
		t.Errorf("while the backend restarted: got %v, want nil", err)
	}
}

func TestFailuresThatAreNotTheConnections(t *testing.T) {
	for name, want := range map[string]func(w http.ResponseWriter, r *http.Request){
		"5xx":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"a no":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) },
		"no answer": func(w http.ResponseWriter, r *http.Request) { body(t, r); <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			var tries atomic.Int64
			c := newClient(t, webhook.Config{Timeout: 200 * time.Millisecond, URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
				tries.Add(1)
				want(w, r)
			})})
			if _, err := c.Join(t.Context(), joinOf("t")); err == nil {
				t.Error("got nil, want an error")
			}
			if got := tries.Load(); got != 1 {
				t.Errorf("tries: got %d, want 1", got)
			}
		})
	}
}
func TestKeptConnectionThatTheBackendClosed(t *testing.T) {
	for name, again := range map[string]bool{"connect": true, "join": true, "push": false} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var ids []string
			c := newClient(t, webhook.Config{URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				body(t, r)
				if ids = append(ids, r.Header.Get("webhook-id")); len(ids) != 2 {
					io.WriteString(w, `{"status":"ok"}`)
					return
				}
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				conn.Close()
			})})
			call := calls[name]
			if err := call(t.Context(), c); err != nil {
				t.Fatalf("first %s: got %v, want nil", name, err)
			}
			if err := call(t.Context(), c); (err == nil) != again {
				t.Errorf("second %s, on a connection that breaks: got %v, want success: %v", name, err, again)
			}
			mu.Lock()
			defer mu.Unlock()
			want := 2
			if again {
				want = 3
			}
			if len(ids) != want || ids[0] == ids[1] || again && ids[1] != ids[2] {
				t.Errorf("ids of the requests: got %v, want %d, the second and later ones the same", ids, want)
			}
		})
	}
}
