package redisbroker_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

// TestLogin: password alone, and user with password.
func TestLogin(t *testing.T) {
	s := redistest.Start(t, "--requirepass", "p@ss/word", "--user", "roost", "on", ">s3cr3t", "~roost:*", "&*", "+@all")
	host := strings.TrimPrefix(s.URL, "redis://")
	for name, user := range map[string]string{"password": ":p%40ss%2Fword@", "user": "roost:s3cr3t@"} {
		t.Run(name, func(t *testing.T) {
			p := start(t, redisbroker.Config{URL: "redis://" + user + host})
			p.subscribe(t, "topic:x")
			done := make(chan error, 1)
			p.Publish("topic:x", []byte("hello"), func(err error) { done <- err })
			if err := await(t, done); err != nil {
				t.Fatal(err)
			}
			p.awaitMessages(t, "topic:x", 1)
		})
	}
}

// TestLoginRefused: a wrong password is logged without it, and is no reason to give up.
func TestLoginRefused(t *testing.T) {
	s := redistest.Start(t, "--requirepass", "right")
	host := strings.TrimPrefix(s.URL, "redis://")
	for name, c := range map[string]struct{ user, want string }{
		"wrong": {":s3cr3t@", "WRONGPASS"},
		"none":  {"", "NOAUTH"},
	} {
		t.Run(name, func(t *testing.T) {
			var text lockedBuffer
			run(t, open(t, redisbroker.Config{URL: "redis://" + c.user + host, PodID: "pod-a", Logger: slog.New(slog.NewTextHandler(&text, nil))}))
			redistest.Eventually(t, "line in the log", func() bool {
				return strings.Contains(text.String(), `msg="redis link down"`) && strings.Contains(text.String(), c.want)
			})
			if strings.Contains(text.String(), "s3cr3t") {
				t.Errorf("the log tells the password: %s", text.String())
			}
		})
	}
}

// lockedBuffer is a log that can be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
