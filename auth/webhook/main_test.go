package webhook_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"

	"roost/auth"
	"roost/auth/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = time.Minute

var allEvents = []string{"connect", "join", "push", "leave", "disconnect"}

// serve starts a backend on loopback.
func serve(t testing.TB, handle http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	return s.URL
}

// newClient returns a client that asks about everything, and runs it until the test ends.
func newClient(t testing.TB, config webhook.Config) *webhook.Client {
	t.Helper()
	if config.Events == nil {
		config.Events = allEvents
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	c, err := webhook.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
	})
	return c
}

// answering returns a client whose backend always answers so.
func answering(t testing.TB, code int, body string) *webhook.Client {
	t.Helper()
	return newClient(t, webhook.Config{URL: serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		io.WriteString(w, body)
	})})
}

// someone is a client with all that a request tells about it.
func someone() *auth.Client {
	token := "t0k\"en"
	return &auth.Client{
		Connection: "pod-a.81f3",
		ID:         "user:42",
		Transport:  "websocket",
		VSN:        "2.0.0",
		RemoteIP:   "192.0.2.7",
		Params:     json.RawMessage(`{"a": 1.0,"b":["<&>"]}`),
		Headers:    json.RawMessage(`{"user-agent":"x"}`),
		AuthToken:  &token,
		Assigns:    json.RawMessage(`{"big":12345678901234567890}`),
	}
}

func joinOf(topic string) *auth.JoinRequest {
	return &auth.JoinRequest{Client: someone(), Topic: topic, JoinRef: `"3"`, Ref: `"3"`, Payload: []byte(`{}`)}
}

func pushOf(event string) *auth.PushRequest {
	return &auth.PushRequest{Client: someone(), Topic: "rooms:lobby", JoinRef: `"3"`, Ref: `"4"`, Event: event, Payload: []byte(`{}`)}
}

func leaveOf(connection, topic string) *auth.LeaveNotice {
	c := someone()
	c.Connection = connection
	return &auth.LeaveNotice{Client: c, Topic: topic, JoinRef: `"3"`, Reason: auth.ReasonLeft}
}

// receive returns the next value of c.
func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("got nothing within %v", patience)
		panic("unreachable")
	}
}

// eventually waits until is is true.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain until %s", patience, what)
		}
	}
}

// body returns what a request holds.
func body(t testing.TB, r *http.Request) []byte {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Errorf("read request: %v", err)
	}
	return b
}
