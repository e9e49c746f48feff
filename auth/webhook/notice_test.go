package webhook_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"roost/auth"
	"roost/auth/webhook"
)

// seen is what a backend learns of one notice.
type seen struct {
	Type string
	Data struct{ Connection, Topic, Reason string }
	id   string
	body string
}

func read(t testing.TB, r *http.Request) seen {
	s := seen{id: r.Header.Get("webhook-id")}
	b := body(t, r)
	s.body = string(b)
	if err := json.Unmarshal(b, &s); err != nil {
		t.Errorf("request %s: %v", b, err)
	}
	return s
}

func TestNoticeRetry(t *testing.T) {
	const secret = "whsec_bm90IGEgc2VjcmV0IGF0IGFsbCwgcmVhbGx5"
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	var tries atomic.Int64
	requests := make(chan seen, 10)
	registry := prometheus.NewRegistry()
	c := newClient(t, webhook.Config{Registerer: registry, Secrets: []string{secret}, URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
		s := read(t, r)
		if err := verifier.Verify([]byte(s.body), r.Header); err != nil {
			t.Errorf("verify: %v", err)
		}
		requests <- s
		switch tries.Add(1) {
		case 1:
			w.WriteHeader(http.StatusInternalServerError)
		case 2:
			w.WriteHeader(http.StatusNotFound)
		default:
			io.WriteString(w, "thanks")
		}
	})})
	c.Leave(leaveOf("a", "rooms:1"))
	first := receive(t, requests)
	for range 2 {
		if got := receive(t, requests); got != first || got.id == "" {
			t.Errorf("next try: got %+v, want %+v", got, first)
		}
	}
	eventually(t, "nothing is pending", func() bool { return gauge(t, registry, "roost_webhook_notices_pending") == 0 })
	if got := tries.Load(); got != 3 {
		t.Errorf("tries: got %d, want 3", got)
	}
}

func TestNoticeOrder(t *testing.T) {
	const connections, topics = 20, 10
	var mu sync.Mutex
	got := make(map[string][]string)
	done := make(chan struct{})
	total, fails := 0, 0
	c := newClient(t, webhook.Config{URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
		s := read(t, r)
		mu.Lock()
		defer mu.Unlock()
		if s.Data.Topic == "4" && fails < connections/2 {
			fails++
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		got[s.Data.Connection] = append(got[s.Data.Connection], s.Type+s.Data.Topic)
		if total++; total == connections*(topics+1) {
			close(done)
		}
	})})
	var want []string
	for i := range topics {
		want = append(want, fmt.Sprint("channel.leave", i))
		for j := range connections {
			c.Leave(leaveOf(fmt.Sprint("c", j), fmt.Sprint(i)))
		}
	}
	want = append(want, "socket.disconnect")
	for j := range connections {
		c.Disconnect(&auth.DisconnectNotice{Client: &auth.Client{Connection: fmt.Sprint("c", j)}, Reason: auth.ReasonClosed})
	}
	receive(t, done)
	mu.Lock()
	defer mu.Unlock()
	for connection, order := range got {
		if !slices.Equal(order, want) {
			t.Errorf("notices of %s: got %v, want %v", connection, order, want)
		}
	}
}

func TestNoticeTroubleStaysLocal(t *testing.T) {
	var healed atomic.Bool
	taken := make(chan string, 10)
	c := newClient(t, webhook.Config{MaxInFlight: 1, URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
		s := read(t, r)
		if s.Data.Connection == "bad" && !healed.Load() {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		taken <- s.Data.Connection
	})})
	c.Leave(leaveOf("bad", "t"))
	for range 3 {
		c.Leave(leaveOf("good", "t"))
	}
	for range 3 {
		if got := receive(t, taken); got != "good" {
			t.Errorf("taken: got %q, want %q", got, "good")
		}
	}
	healed.Store(true)
	if got := receive(t, taken); got != "bad" {
		t.Errorf("taken in the end: got %q, want %q", got, "bad")
	}
}

func TestNoticesLeaveRoom(t *testing.T) {
	for limit, lanes := range map[int]int{4: 2, 100: 16} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			const total = 50
			arrived, proceed := make(chan struct{}, total), make(chan struct{})
			c := newClient(t, webhook.Config{MaxInFlight: limit, Timeout: patience, URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
				if read(t, r).Type == "channel.leave" {
					arrived <- struct{}{}
					<-proceed
				}
				io.WriteString(w, `{"status":"ok"}`)
			})})
			release := sync.OnceFunc(func() { close(proceed) })
			t.Cleanup(release)
			for i := range total {
				c.Leave(leaveOf(fmt.Sprint(i), "t"))
			}
			for range lanes {
				receive(t, arrived)
			}
			if _, err := c.Join(t.Context(), joinOf("t")); err != nil {
				t.Errorf("Join beside a mass of leaves: got %v, want nil", err)
			}
			if got := len(arrived); got != 0 {
				t.Errorf("leaves at the same time: got %d, want %d", lanes+got, lanes)
			}
			release()
		})
	}
}

func TestNoticeOverflow(t *testing.T) {
	var log strings.Builder
	registry := prometheus.NewRegistry()
	c, err := webhook.New(webhook.Config{
		Events: allEvents, URL: "http://127.0.0.1:1", NoticeLimit: 4096,
		Registerer: registry, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	const total = 100
	for range total {
		c.Leave(leaveOf("a", "t"))
	}
	pending := gauge(t, registry, "roost_webhook_notices_pending")
	dropped := gauge(t, registry, "roost_webhook_notices_dropped_total", "overflow")
	if pending == 0 || pending > 8 || pending+dropped != total {
		t.Errorf("got %v pending and %v dropped, want a few pending and the rest of %d dropped", pending, dropped, total)
	}
	if got := strings.Count(log.String(), "\n"); got != 1 {
		t.Errorf("log: got %d lines, want 1:\n%s", got, log.String())
	}
}

func TestNoticeGetsTooOld(t *testing.T) {
	registry := prometheus.NewRegistry()
	c := newClient(t, webhook.Config{NoticeMaxAge: time.Nanosecond, Registerer: registry, URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	})})
	c.Leave(leaveOf("a", "t"))
	eventually(t, "it is dropped", func() bool {
		return gauge(t, registry, "roost_webhook_notices_dropped_total", "expired") == 1
	})
	if got := gauge(t, registry, "roost_webhook_notices_pending"); got != 0 {
		t.Errorf("pending: got %v, want 0", got)
	}
	if got := gauge(t, registry, "roost_webhook_calls_total", "server_error"); got != 1 {
		t.Errorf("tries: got %v, want 1", got)
	}
}

func TestNoticesTakenMakeRoom(t *testing.T) {
	registry := prometheus.NewRegistry()
	c := newClient(t, webhook.Config{NoticeLimit: 4096, Registerer: registry, URL: serve(t, func(http.ResponseWriter, *http.Request) {})})
	for range 20 {
		c.Leave(leaveOf("a", "t"))
		eventually(t, "it is taken", func() bool { return gauge(t, registry, "roost_webhook_notices_pending") == 0 })
	}
	if got := gauge(t, registry, "roost_webhook_notices_dropped_total"); got != 0 {
		t.Errorf("dropped: got %v, want 0", got)
	}
}
