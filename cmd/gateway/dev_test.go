package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"roost/phoenix/phoenixtest"
)

const (
	annEntered = `[null,null,"rooms:lobby","user:entered",{"user":"ann"}]`
	bobEntered = `[null,null,"rooms:lobby","user:entered",{"user":"bob"}]`
	bobSaid    = `[null,null,"rooms:lobby","new:msg",{"user":"bob","body":"hi"}]`
	redisSaid  = `[null,null,"rooms:lobby","new:msg",{"user":"redis","body":"hi"}]`
)

// enter joins the lobby of gateway dev as user.
func enter(t *testing.T, addr, user, entered string) *phoenixtest.Client {
	t.Helper()
	client := phoenixtest.Dial(t, "ws://"+addr+"/socket/websocket?vsn=2.0.0", nil)
	client.Send(`["1","1","rooms:lobby","phx_join",{"user":"` + user + `"}]`)
	client.Want(`["1","1","rooms:lobby","phx_reply",{"status":"ok","response":{}}]`,
		`["1",null,"rooms:lobby","join",{"status":"connected"}]`, entered)
	return client
}

func TestDev(t *testing.T) {
	p := start(t, []string{"dev"})
	clients, admin := p.ports()
	redisPort := p.find(`redis-cli -p (\d+) PUBLISH roost:topic:rooms:lobby '(.*)'`)
	p.find("ROOST DEV MODE")

	ann := enter(t, clients, "ann", annEntered)
	bob := enter(t, clients, "bob", bobEntered)
	ann.Want(bobEntered)
	bob.Send(`["1","2","rooms:lobby","new:msg",{"user":"bob","body":"hi"}]`)
	bob.Want(bobSaid, `["1","2","rooms:lobby","phx_reply",{"status":"ok","response":{"msg":"hi"}}]`)
	ann.Want(bobSaid)

	client := redis.NewClient(&redis.Options{Addr: net.JoinHostPort(loopback, redisPort[1])})
	defer client.Close()
	if pods, err := client.Publish(t.Context(), "roost:topic:rooms:lobby", redisPort[2]).Result(); err != nil || pods != 1 {
		t.Errorf("PUBLISH: got %d pods, error %v, want 1", pods, err)
	}
	ann.Want(redisSaid)
	bob.Want(redisSaid)
	if n, err := client.SCard(t.Context(), "roost:{rooms:lobby}:members").Result(); err != nil || n != 2 {
		t.Errorf("SCARD: got %d members, error %v, want 2", n, err)
	}

	bob.Send(`["3","3","rooms:secret","phx_join",{}]`)
	bob.Want(`["3","3","rooms:secret","phx_reply",{"status":"error","response":{"reason":"unauthorized"}}]`)

	if status, body := get(t, "http://"+clients+"/"); status != 200 || !strings.Contains(body, "redis-cli -p "+redisPort[1]) {
		t.Errorf("GET /: got %d %s, want the page with the redis-cli line", status, body)
	}
	for _, addr := range []string{clients, admin} {
		if host, _, _ := net.SplitHostPort(addr); host != loopback {
			t.Errorf("got a listener on %s, want %s", addr, loopback)
		}
	}
	if code := p.exit(); code != exitOK {
		t.Errorf("got exit code %d, want 0:\n%s", code, p.stderr())
	}
	ann.WantClose(1012)
}

// A second gateway dev takes the next port for its Redis.
func TestDevBesideDev(t *testing.T) {
	first, second := start(t, []string{"dev"}), start(t, []string{"dev"})
	const line = `redis-cli -p (\d+) PUBLISH`
	if a, b := first.find(line)[1], second.find(line)[1]; a == b {
		t.Errorf("got port %s for both, want two ports", a)
	}
}

// What is set is used, and nothing is started instead.
func TestDevWithRedisAndBackendOfOnesOwn(t *testing.T) {
	server := miniredis.RunT(t)
	signatures := make(chan string, 1)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		signatures <- r.Header.Get("webhook-signature")
		_, _ = w.Write([]byte(`{"status":"ok","response":{"mine":true}}`))
	}))
	defer backend.Close()
	p := start(t, []string{"dev"}, "REDIS_URL=redis://"+server.Addr(), "ROOST_WEBHOOK_URL="+backend.URL, "ROOST_WEBHOOK_EVENTS=join,push")
	clients, _ := p.ports()
	p.find(`redis-cli -u "\$REDIS_URL" PUBLISH`)
	client := phoenixtest.Dial(t, "ws://"+clients+"/socket/websocket?vsn=2.0.0", nil)
	client.Send(`["1","1","any","phx_join",{}]`)
	client.Want(`["1","1","any","phx_reply",{"status":"ok","response":{"mine":true}}]`)
	if got := <-signatures; got != "" {
		t.Errorf("got signature %q, want none without a secret", got)
	}
	if members, _ := server.SMembers("roost:{any}:members"); len(members) != 1 {
		t.Errorf("got members %q in the Redis that was set, want one", members)
	}
}

// The backend is really behind the webhook: a call that the gateway did not sign is refused.
func TestDemoBackendChecksSignatures(t *testing.T) {
	p := start(t, []string{"dev"})
	url := p.find(`by webhook at (\S+)`)[1]
	response, err := http.Post(url, "application/json", strings.NewReader(`{"type":"channel.join","data":{"topic":"rooms:lobby"}}`))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("got %d, want 401", response.StatusCode)
	}
}

// What the banner says to paste works in a shell.
func TestDevRedisCLI(t *testing.T) {
	cli, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Skip("redis-cli is not installed")
	}
	p := start(t, []string{"dev"})
	clients, _ := p.ports()
	command := p.find(`redis-cli (-p \d+ PUBLISH .*)`)[1]
	ann := enter(t, clients, "ann", annEntered)
	output, err := exec.CommandContext(t.Context(), "sh", "-c", cli+" "+command).CombinedOutput()
	if err != nil || strings.TrimSpace(string(output)) != "1" {
		t.Errorf("redis-cli %s: got %q, error %v, want 1", command, output, err)
	}
	ann.Want(redisSaid)
}
