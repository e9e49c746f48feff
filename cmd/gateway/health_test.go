package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// runCommand runs one command and returns what it says.
func runCommand(t *testing.T, args []string, environ ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, wrong bytes.Buffer
	code = run(t.Context(), args, environ, &out, &wrong)
	return code, out.String(), wrong.String()
}

func TestHealthCommand(t *testing.T) {
	redis := miniredis.RunT(t)
	p := start(t, nil, "REDIS_URL=redis://"+redis.Addr(), "ROOST_TOPICS_FILE="+write(t, "topics.yaml", openRules))
	_, admin := p.ports()
	_, port, err := net.SplitHostPort(admin)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args   []string
		host   string
		stdout string
	}{
		"alive":                {[]string{"health"}, "", "ok\n"},
		"alive, in full":       {[]string{"health", "live"}, "0.0.0.0", "ok\n"},
		"ready":                {[]string{"health", "ready"}, "::", "ready\n"},
		"on a host of its own": {[]string{"health", "ready"}, "127.0.0.1", "ready\n"},
	} {
		code, stdout, stderr := runCommand(t, c.args, "ROOST_ADMIN_PORT="+port, "ROOST_ADMIN_HOST="+c.host)
		if code != exitOK || stdout != c.stdout {
			t.Errorf("%s: got exit code %d, %q and %q, want 0 and %q", name, code, stdout, stderr, c.stdout)
		}
	}
	if code, _, stderr := runCommand(t, []string{"health", "well"}); code != exitUsage || !strings.Contains(stderr, "live (the default) or ready") {
		t.Errorf("health well: got exit code %d and %q, want %d and what there is", code, stderr, exitUsage)
	}

	redis.Close()
	code, _, stderr := runCommand(t, []string{"health", "ready"}, "ROOST_ADMIN_PORT="+port)
	for end := time.Now().Add(patience); code == exitOK && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		code, _, stderr = runCommand(t, []string{"health", "ready"}, "ROOST_ADMIN_PORT="+port)
	}
	if code != exitError || !strings.Contains(stderr, "not ready: ") {
		t.Errorf("ready without Redis: got exit code %d and %q, want 1 and why", code, stderr)
	}
	if code, _, stderr := runCommand(t, []string{"health"}, "ROOST_ADMIN_PORT="+port); code != exitOK {
		t.Errorf("alive without Redis: got exit code %d and %q, want 0", code, stderr)
	}
	p.exit()
	if code, _, _ := runCommand(t, []string{"health"}, "ROOST_ADMIN_PORT="+port); code != exitError {
		t.Errorf("after the end: got exit code %d, want 1", code)
	}
}

func TestCheck(t *testing.T) {
	redis := miniredis.RunT(t)
	rules := "topics:\n  - {topic: \"open:*\", join: allow, push: deny, members: false}\n  - {topic: \"shut:*\", join: deny}\n"
	environ := []string{"REDIS_URL=redis://" + redis.Addr(), "ROOST_REDIS_PREFIX=test:"}
	p := start(t, nil, append(environ, "ROOST_TOPICS_FILE="+write(t, "topics.yaml", rules))...)
	clients, _ := p.ports()
	for name, c := range map[string]struct {
		args    []string
		environ []string
		code    int
		want    string
	}{
		"a message comes":    {[]string{"ws://" + clients + "/socket", "open:a"}, environ, exitOK, "got the message that was published to test:topic:open:a"},
		"URL of a pod":       {[]string{"http://" + clients + "/socket/websocket/?token=x", "open:a", `{"a":1}`}, environ, exitOK, "got the message"},
		"without Redis":      {[]string{"ws://" + clients + "/socket", "open:a"}, nil, exitOK, "REDIS_URL is not set"},
		"refused":            {[]string{"ws://" + clients + "/socket", "shut:a"}, environ, exitError, `join "shut:a": the answer was {"status":"error"`},
		"no such topic":      {[]string{"ws://" + clients + "/socket", "other"}, environ, exitError, "unmatched topic"},
		"no such path":       {[]string{"ws://" + clients + "/sockets", "open:a"}, environ, exitError, "connect: the server answered 404"},
		"nobody there":       {[]string{"ws://127.0.0.1:1/socket", "open:a"}, environ, exitError, "connect: "},
		"not a URL":          {[]string{"localhost:4000", "open:a"}, environ, exitError, "does not begin with ws://"},
		"payload not JSON":   {[]string{"ws://" + clients, "open:a", "{"}, environ, exitError, "not JSON"},
		"not enough is said": {[]string{"ws://" + clients}, environ, exitUsage, "URL TOPIC"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := runCommand(t, append([]string{"check"}, c.args...), c.environ...)
			if code != c.code || !strings.Contains(stdout+stderr, c.want) {
				t.Errorf("got exit code %d, %q and %q, want %d and %q", code, stdout, stderr, c.code, c.want)
			}
		})
	}
}

// A check that publishes where the pods do not listen says so.
func TestCheckOfTheWrongPrefix(t *testing.T) {
	redis := miniredis.RunT(t)
	p := start(t, nil, "REDIS_URL=redis://"+redis.Addr(), "ROOST_TOPICS_FILE="+write(t, "topics.yaml", openRules))
	clients, _ := p.ports()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var stderr bytes.Buffer
	code := run(ctx, []string{"check", "ws://" + clients + "/socket", "open:a"},
		[]string{"REDIS_URL=redis://" + redis.Addr(), "ROOST_REDIS_PREFIX=other:"}, io.Discard, &stderr)
	if code != exitError || !strings.Contains(stderr.String(), "nobody listens there") {
		t.Errorf("got exit code %d and %q, want 1 and that nobody listens", code, &stderr)
	}
}
