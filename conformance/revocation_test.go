package conformance_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// swift is how soon a revocation must have reached everybody concerned.
const swift = time.Second

// TestRevocation takes rights away from one user among many connections on three pods.
func TestRevocation(t *testing.T) {
	many := 10_000
	if testing.Short() || raceEnabled {
		many = 600
	}
	rules := filepath.Join(t.TempDir(), "topics.yaml")
	if err := os.WriteFile(rules, []byte("topics:\n  - {topic: \"crowd:*\", join: allow, push: deny}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var pods []*pod
	for range 3 {
		pods = append(pods, ownPod(t, lab.redis.url(), settings{
			"ROOST_TOPICS_FILE": rules, "ROOST_WEBHOOK_EVENTS": "connect", "ROOST_DRAIN_TIMEOUT": "5s", "ROOST_IDLE_TIMEOUT": "10m",
		}))
	}
	topic := "crowd:" + newUser()
	one, others := gather(t, pods, newUser(), topic, 30), gather(t, pods, newUser(), topic, many-30)
	publish := func(body string) {
		t.Helper()
		one.began = time.Now()
		lab.redis.publish(t, "id:user:"+one.user, body)
	}

	publish(`{"topic":` + quote(topic) + `,"event":"phx_error"}`)
	one.wantWithin(t, swift, "phx_error", &one.errors, 30)
	one.rejoin(t)
	publish(`{"topic":` + quote(topic) + `,"event":"phx_close"}`)
	one.wantWithin(t, swift, "phx_close", &one.closes, 30)
	one.rejoin(t)

	if err := lab.redis.client.Set(t.Context(), "roost:ban:user:"+one.user, 1, time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	publish(disconnect)
	one.wantWithin(t, swift, "disconnect", &one.gone, 30)
	for _, p := range pods {
		if status := knock(p, one.user); status != http.StatusForbidden {
			t.Errorf("a banned user: got status %d, want 403", status)
		}
	}
	if got := others.errors.Load() + others.closes.Load() + others.gone.Load(); got > 0 {
		t.Errorf("got %d words to others, want none", got)
	}
	if err := lab.redis.client.Del(t.Context(), "roost:ban:user:"+one.user).Err(); err != nil {
		t.Fatal(err)
	}
	if status := knock(pods[0], one.user); status != http.StatusSwitchingProtocols {
		t.Errorf("a user whose ban has ended: got status %d, want 101", status)
	}

	others.began = time.Now()
	lab.redis.publish(t, "id:user:"+others.user, disconnect)
	others.wantWithin(t, patience, "disconnect", &others.gone, int64(many-30)) // that is work for a second or so
}

// gathering is all connections of one user in one topic.
type gathering struct {
	user, topic string
	conns       []*websocket.Conn

	began                        time.Time
	joined, errors, closes, gone atomic.Int64
}

// gather connects a user n times, to each pod in turn, and joins the topic.
func gather(t *testing.T, pods []*pod, user, topic string, n int) *gathering {
	t.Helper()
	g := &gathering{user: user, topic: topic, conns: make([]*websocket.Conn, n)}
	dialer := websocket.Dialer{ReadBufferSize: 512, WriteBufferSize: 512, HandshakeTimeout: patience}
	var next atomic.Int64
	var dialers, readers sync.WaitGroup
	for range 32 {
		dialers.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				conn, _, err := dialer.Dial(pods[i%int64(len(pods))].url("vsn=2.0.0&user_id="+user), nil)
				if err != nil {
					t.Errorf("connection %d: %v", i, err)
					return
				}
				g.conns[i] = conn
				readers.Go(func() { g.read(conn) })
				if err := conn.WriteMessage(websocket.TextMessage, g.join()); err != nil {
					t.Errorf("connection %d: %v", i, err)
				}
			}
		})
	}
	dialers.Wait()
	t.Cleanup(func() {
		for _, conn := range g.conns {
			if conn != nil {
				conn.Close()
			}
		}
		readers.Wait()
	})
	g.await(t, "joins", &g.joined, int64(n))
	return g
}

func (g *gathering) join() []byte {
	return fmt.Appendf(nil, `["1","1",%s,"phx_join",{}]`, quote(g.topic))
}

// rejoin joins again with all connections.
func (g *gathering) rejoin(t *testing.T) {
	t.Helper()
	g.joined.Store(0)
	for _, conn := range g.conns {
		if err := conn.WriteMessage(websocket.TextMessage, g.join()); err != nil {
			t.Fatal(err)
		}
	}
	g.await(t, "joins", &g.joined, int64(len(g.conns)))
}

// read counts what comes, until the connection ends.
func (g *gathering) read(conn *websocket.Conn) {
	for {
		_, frame, err := conn.ReadMessage()
		var closed *websocket.CloseError
		switch {
		case errors.As(err, &closed) && closed.Code == websocket.CloseGoingAway:
			g.gone.Add(1)
			return
		case err != nil:
			return
		case bytes.Contains(frame, []byte(`"phx_reply",{"status":"ok"`)):
			g.joined.Add(1)
		case bytes.Contains(frame, []byte(`"phx_error"`)):
			g.errors.Add(1)
		case bytes.Contains(frame, []byte(`"phx_close"`)):
			g.closes.Add(1)
		}
	}
}

// await waits until count is n.
func (g *gathering) await(t *testing.T, what string, count *atomic.Int64, n int64) {
	t.Helper()
	eventually(t, func() error {
		if got := count.Load(); got != n {
			return fmt.Errorf("got %d %s, want %d", got, what, n)
		}
		return nil
	})
}

// wantWithin fails the test unless count becomes n so soon after the last publish.
func (g *gathering) wantWithin(t *testing.T, limit time.Duration, what string, count *atomic.Int64, n int64) {
	t.Helper()
	g.await(t, what, count, n)
	took := time.Since(g.began)
	t.Logf("%s: all %d connections in %v", what, n, took)
	if took > limit {
		t.Errorf("%s: all %d connections in %v, want %v", what, n, took, limit)
	}
}

// knock connects as a user and returns the status.
func knock(p *pod, user string) int {
	conn, response, err := websocket.DefaultDialer.Dial(p.url("vsn=2.0.0&user_id="+user), nil)
	if err == nil {
		conn.Close()
	}
	if response == nil {
		return 0
	}
	return response.StatusCode
}
