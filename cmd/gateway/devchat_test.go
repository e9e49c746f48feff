package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// ask calls the demo backend as the gateway does.
func ask(t *testing.T, body string) (int, string) {
	t.Helper()
	key, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	signature, err := key.Sign("msg_1", now, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/", strings.NewReader(body))
	r.Header.Set("webhook-id", "msg_1")
	r.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	r.Header.Set("webhook-signature", signature)
	w := httptest.NewRecorder()
	chatHandler(key, slog.New(slog.NewTextHandler(io.Discard, nil)))(w, r)
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestDemoBackend(t *testing.T) {
	const lobbyPush = `{"type":"channel.push","data":{"topic":"rooms:lobby","event":`
	for name, c := range map[string]struct{ call, want string }{
		"join the lobby": {
			`{"type":"channel.join","data":{"topic":"rooms:lobby","payload":{"user":"ann"}}}`,
			`{"status":"ok","push":[{"event":"join","payload":{"status":"connected"}}],"broadcast":[{"event":"user:entered","payload":{"user":"ann"}}]}`,
		},
		"join without a name": {
			`{"type":"channel.join","data":{"topic":"rooms:lobby","payload":{}}}`,
			`{"status":"ok","push":[{"event":"join","payload":{"status":"connected"}}],"broadcast":[{"event":"user:entered","payload":{"user":null}}]}`,
		},
		"join another room": {
			`{"type":"channel.join","data":{"topic":"rooms:secret","payload":{}}}`,
			`{"status":"error","response":{"reason":"unauthorized"}}`,
		},
		"say something": {
			lobbyPush + `"new:msg","payload":{"user":"ann","body":"<hi>"}}}`,
			`{"status":"ok","response":{"msg":"<hi>"},"broadcast":[{"event":"new:msg","payload":{"body":"<hi>","user":"ann"}}]}`,
		},
		"another event": {
			lobbyPush + `"shout","payload":{}}}`,
			`{"status":"error","response":{"reason":"the demo does not know the event \"shout\""}}`,
		},
		"not a message":       {lobbyPush + `"new:msg","payload":[1]}}`, `{"status":"error","response":{"reason":"not a chat message"}}`},
		"connect":             {`{"type":"socket.connect","data":{}}`, `{"status":"ok"}`},
		"notice of a leave":   {`{"type":"channel.leave","data":{"topic":"rooms:lobby","reason":"left"}}`, `{}`},
		"notice of a goodbye": {`{"type":"socket.disconnect","data":{"reason":"closed"}}`, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			if status, got := ask(t, c.call); status != http.StatusOK || got != c.want {
				t.Errorf("got %d %s, want 200 %s", status, got, c.want)
			}
		})
	}
}
