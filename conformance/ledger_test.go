package conformance_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// ledger is a backend that keeps account of joins and notices. It fails every notice the first time, and all while it is down.
type ledger struct {
	t   testing.TB
	url string

	crashes func(push call) bool // whether the answer ends the channel, or nil

	mu     sync.Mutex
	down   bool
	joins  []call
	failed map[string]bool   // webhook-ids that were failed once
	taken  map[string][]call // notices by webhook-id, in the order they were taken
	order  []call            // notices, each when it was taken first
}

func newLedger(t testing.TB) *ledger {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	l := &ledger{t: t, failed: map[string]bool{}, taken: map[string][]call{}}
	reader := backend{verifier: verifier, schemas: lab.backend.schemas}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := reader.read(r)
		if err != nil {
			t.Errorf("a call that a backend must refuse: %v", err)
			http.Error(w, "bad call", http.StatusBadRequest)
			return
		}
		if !l.take(c) {
			fail(w)
			return
		}
		a := answer{Status: "ok", Response: wrap("got", c.Data.Payload), Assigns: []byte(`{"of":` + quote(c.Type) + `}`)}
		var shows struct{ Key, Meta json.RawMessage }
		if json.Unmarshal(c.Data.Payload, &shows) == nil && shows.Key != nil {
			a.Presence = presence(shows.Key, shows.Meta)
		}
		if l.crashes != nil && c.Type == "channel.push" && l.crashes(c) {
			a.Stop = "error"
		}
		a.write(w)
	}))
	l.url = server.URL
	t.Cleanup(server.Close)
	return l
}

// take writes a call down, unless it is one to fail.
func (l *ledger) take(c call) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !leaves(c) && !disconnects(c) {
		if joins(c) {
			l.joins = append(l.joins, c)
		}
		return true
	}
	if l.down || !l.failed[c.WebhookID] {
		l.failed[c.WebhookID] = l.failed[c.WebhookID] || !l.down
		return false
	}
	if l.taken[c.WebhookID] == nil {
		l.order = append(l.order, c)
	}
	l.taken[c.WebhookID] = append(l.taken[c.WebhookID], c)
	return true
}

// setDown makes all notices fail, or takes them again.
func (l *ledger) setDown(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
}

// notices returns the distinct notices that match, in the order they came.
func (l *ledger) notices(match func(call) bool) (found []call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.order {
		if match(c) {
			found = append(found, c)
		}
	}
	return found
}

// end names what a notice tells the end of.
func (c call) end() string {
	return c.Type + " " + c.Data.Connection + " " + c.Data.Topic + " " + string(c.Data.JoinRef)
}

// wantEnds waits until exactly n notices match, and checks that each tells another end and has an id of its own.
func (l *ledger) wantEnds(n int, match func(call) bool) []call {
	l.t.Helper()
	for end := time.Now().Add(patience + time.Duration(n)*10*time.Millisecond); len(l.notices(match)) < n && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	found := l.notices(match)
	if len(found) != n {
		l.t.Fatalf("got %d notices, want %d", len(found), n)
	}
	ends := map[string]bool{}
	for _, c := range found {
		if ends[c.end()] {
			l.t.Errorf("two distinct notices tell %s", c.end())
		}
		ends[c.end()] = true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, copies := range l.taken {
		for _, c := range copies {
			if c.end() != copies[0].end() {
				l.t.Errorf("notice %s tells %s and %s", id, copies[0].end(), c.end())
			}
		}
	}
	return found
}

// because matches leaves with this reason.
func because(reason string) func(call) bool {
	return func(c call) bool { return leaves(c) && c.Data.Reason == reason }
}

// pod starts a pod that asks l, with a short lease. It may be killed.
func (l *ledger) pod(server *redisServer, id string, more settings) *pod {
	l.t.Helper()
	all := settings{
		"ROOST_POD_LEASE": leaseTime.String(), "ROOST_POD_ID": id, "ROOST_WEBHOOK_URL": l.url, "ROOST_RESYNC_SPREAD": "1s",
		"ROOST_WEBHOOK_EVENTS": "join,push,leave", "ROOST_WEBHOOK_BREAKER": "off",
	}
	for k, v := range more {
		all[k] = v
	}
	p, err := startPod("socket", all, server.url())
	if err != nil {
		l.t.Fatalf("pod: %v", err)
	}
	l.t.Cleanup(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		p.log.Close()
	})
	return p
}

// assemble joins n clients of p to topic.
func assemble(t testing.TB, p *pod, topic string, n int) (clients []*client) {
	t.Helper()
	for range n {
		clients = append(clients, dial(t, p, "vsn=2.0.0").named(topic).joined())
	}
	return clients
}

// wantRest waits until Redis keeps no notice any more, so that no other can come.
func wantRest(t testing.TB, server *redisServer) {
	t.Helper()
	ctx := context.Background()
	eventually(t, func() error {
		streams, err := server.client.Keys(ctx, "roost:pod:*:notices").Result()
		if err != nil {
			return err
		}
		for _, stream := range streams {
			if n, err := server.client.XLen(ctx, stream).Result(); err != nil || n > 0 {
				return fmt.Errorf("got %d notices in %s, error %v, want none", n, stream, err)
			}
		}
		return nil
	})
}

// wantReasons checks how many leaves have which reason.
func wantReasons(t testing.TB, found []call, want map[string]int) {
	t.Helper()
	got := map[string]int{}
	for _, c := range found {
		got[c.Data.Reason]++
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got reasons %v, want %v", got, want)
	}
}

// refs returns the join refs of notices.
func refs(found []call) (list []string) {
	for _, c := range found {
		list = append(list, string(c.Data.JoinRef))
	}
	return list
}

// containsAll tells whether text holds all parts.
func containsAll(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// wantMetric waits until the pod's metrics have a line.
func (p *pod) wantMetric(t testing.TB, line string) {
	t.Helper()
	eventually(t, func() error {
		response, err := http.Get("http://" + p.admin + "/metrics")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil || !strings.Contains("\n"+string(text), "\n"+line+"\n") {
			return fmt.Errorf("got metrics without %q, error %v", line, err)
		}
		return nil
	})
}
