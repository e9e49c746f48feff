package main

import (
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"roost/phoenix/phoenixtest"
)

// openRules let everybody in, and need no backend.
const openRules = "topics:\n  - {topic: \"open:*\", join: allow, push: broadcast}\n"

func TestServe(t *testing.T) {
	redis := miniredis.RunT(t)
	p := start(t, nil, "REDIS_URL=redis://"+redis.Addr(), "ROOST_TOPICS_FILE="+write(t, "topics.yaml", openRules),
		"ROOST_POD_ID=pod-a", "ROOST_REDIS_PREFIX=test:", "ROOST_SOCKET_PATH=/live/")
	clients, admin := p.ports()

	client := phoenixtest.Dial(t, "ws://"+clients+"/live/websocket?vsn=2.0.0", nil)
	client.Send(`["1","1","open:a","phx_join",{}]`)
	client.Want(`["1","1","open:a","phx_reply",{"status":"ok","response":{}}]`)
	members, err := redis.SMembers("test:{open:a}:members")
	if err != nil || len(members) != 1 || !strings.HasPrefix(members[0], "pod-a.") {
		t.Errorf("got members %q, error %v, want one of pod-a", members, err)
	}

	for path, want := range map[string]int{"/livez": 200, "/healthz": 200, "/readyz": 200, "/metrics": 200, "/live/websocket": 404} {
		if status, body := get(t, "http://"+admin+path); status != want {
			t.Errorf("GET %s of the admin port: got %d %s, want %d", path, status, body, want)
		}
	}
	if status, _ := get(t, "http://"+clients+"/metrics"); status != 404 {
		t.Errorf("GET /metrics of the client port: got %d, want 404", status)
	}
	if _, body := get(t, "http://"+admin+"/metrics"); !strings.Contains(body, "\nroost_build_info{") {
		t.Errorf("GET /metrics: roost_build_info is missing in\n%s", body)
	}

	redis.Close()
	status, body := get(t, "http://"+admin+"/readyz")
	for end := time.Now().Add(patience); status == 200 && time.Now().Before(end); status, body = get(t, "http://"+admin+"/readyz") {
		time.Sleep(5 * time.Millisecond)
	}
	if want := "not ready: the link to Redis is down\n"; status != 503 || body != want {
		t.Errorf("GET /readyz without Redis: got %d %q, want 503 %q", status, body, want)
	}
	if status, _ := get(t, "http://"+admin+"/livez"); status != 200 {
		t.Errorf("GET /livez without Redis: got %d, want 200", status)
	}
}

// A pod that stops tells its clients to go elsewhere, takes back its members and ends well.
func TestStop(t *testing.T) {
	redis := miniredis.RunT(t)
	p := start(t, []string{"serve"}, "REDIS_URL=redis://"+redis.Addr(), "ROOST_TOPICS_FILE="+write(t, "topics.yaml", openRules))
	clients, _ := p.ports()
	client := phoenixtest.Dial(t, "ws://"+clients+"/socket/websocket?vsn=2.0.0", nil)
	client.Send(`["1","1","open:a","phx_join",{}]`)
	client.Want(`["1","1","open:a","phx_reply",{"status":"ok","response":{}}]`)

	if code := p.exit(); code != exitOK {
		t.Errorf("got exit code %d, want 0:\n%s", code, p.stderr())
	}
	client.WantClose(1012)
	if redis.Exists("roost:{open:a}:members") {
		t.Error("got members after the pod has stopped, want none")
	}
}
