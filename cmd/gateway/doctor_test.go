package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"roost/internal/redistest"
)

// runs runs a command to its end.
func runs(t *testing.T, args []string, environ ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, environ, &out, &err)
	return code, out.String(), err.String()
}

// verifier is a backend that checks signatures.
func verifier(t *testing.T) string {
	t.Helper()
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	return server(t, func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		body.ReadFrom(r.Body)
		if err := hook.Verify(body.Bytes(), r.Header); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusNotFound) // as backends do with a type they do not know
	})
}

func server(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestDoctorFindsAllWell(t *testing.T) {
	redis := redistest.Start(t)
	code, out, _ := runs(t, []string{"doctor", "https://app.example.com"}, "REDIS_URL="+redis.URL, "ROOST_WEBHOOK_URL="+verifier(t),
		"ROOST_WEBHOOK_SECRET="+secret, "ROOST_CHECK_ORIGIN=//*.example.com")
	if code != exitOK || strings.Contains(out, "FAIL") {
		t.Errorf("got exit code %d and\n%s\nwant all well", code, out)
	}
	for _, want := range []string{"ok    redis     version 7", "ok    pub/sub", "ok    clock", "takes our signature, and no other", "https://app.example.com may connect\n", "open files are allowed"} {
		if !strings.Contains(out, want) {
			t.Errorf("got\n%s\nwant %q in it", out, want)
		}
	}
	if keys := redis.Client.Keys(t.Context(), "*").Val(); len(keys) > 0 {
		t.Errorf("got keys %q in Redis, want none", keys)
	}
}

// Each thing that is wrong is named, with what to change.
func TestDoctorNamesTheTrouble(t *testing.T) {
	redis := redistest.Start(t)
	locked := redistest.Start(t, "--requirepass", "hunter2")
	evicting := redistest.Start(t, "--maxmemory-policy", "allkeys-lru")
	fine := verifier(t)
	answer := func(code int) string {
		return server(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, c := range map[string]struct {
		environ []string // more than what is well
		pages   []string
		code    int
		want    []string
	}{
		"settings":           {[]string{"ROOST_NONSENSE=1"}, nil, exitError, []string{"FAIL  settings  ROOST_NONSENSE: no such setting"}},
		"no Redis":           {[]string{"REDIS_URL=redis://127.0.0.1:1"}, nil, exitError, []string{"FAIL  redis", "connection refused", "is it running?"}},
		"password missing":   {[]string{"REDIS_URL=redis://" + locked.Addr()}, nil, exitError, []string{"FAIL  redis", "put the password into REDIS_URL"}},
		"eviction":           {[]string{"REDIS_URL=" + evicting.URL}, nil, exitOK, []string{"warn  redis", "allkeys-lru", "set maxmemory-policy"}},
		"backend gone":       {[]string{"ROOST_WEBHOOK_URL=" + gone.URL}, nil, exitError, []string{"FAIL  webhook", "connection refused", "host.docker.internal"}},
		"another secret":     {[]string{"ROOST_WEBHOOK_SECRET=whsec_YW5vdGhlcg=="}, nil, exitError, []string{"FAIL  webhook", "answers 401 to a signed call", "same ROOST_WEBHOOK_SECRET"}},
		"no verification":    {[]string{"ROOST_WEBHOOK_URL=" + answer(200)}, nil, exitOK, []string{"warn  webhook", "wrong signature", "verify signatures"}},
		"backend fails":      {[]string{"ROOST_WEBHOOK_URL=" + answer(502)}, nil, exitError, []string{"FAIL  webhook", "answers 502"}},
		"backend redirects":  {[]string{"ROOST_WEBHOOK_URL=" + answer(301)}, nil, exitError, []string{"FAIL  webhook", "redirects are not followed"}},
		"page of a stranger": {[]string{"ROOST_CHECK_ORIGIN=//example.com"}, []string{"https://app.other.com"}, exitError, []string{"FAIL  origins", "add //app.other.com"}},
		"too few files":      {[]string{"ROOST_MAX_CONNECTIONS=2000000000"}, nil, exitError, []string{"FAIL  files", "ROOST_MAX_CONNECTIONS is 2000000000", "lower ROOST_MAX_CONNECTIONS"}},
		"no page":            {nil, []string{"app"}, exitError, []string{"FAIL  origins", "not the URL of a page"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			environ := append([]string{"REDIS_URL=" + redis.URL, "ROOST_WEBHOOK_URL=" + fine, "ROOST_WEBHOOK_SECRET=" + secret}, c.environ...)
			code, out, _ := runs(t, append([]string{"doctor"}, c.pages...), environ...)
			if code != c.code {
				t.Errorf("got exit code %d, want %d", code, c.code)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("got\n%s\nwant %q in it", out, want)
				}
			}
			if strings.Contains(out, "hunter2") || strings.Contains(out, secret) {
				t.Errorf("got a secret in\n%s", out)
			}
		})
	}
}

func TestPublishCommand(t *testing.T) {
	redis := redistest.Start(t)
	env := []string{"REDIS_URL=" + redis.URL, "ROOST_REDIS_PREFIX=test:"}
	if code, out, _ := runs(t, []string{"publish", "rooms:a", "hi"}, env...); code != exitOK || !strings.Contains(out, "no pod listens") {
		t.Errorf("got exit code %d and %q, want that nobody listens", code, out)
	}
	listening := redis.Client.Subscribe(t.Context(), "test:topic:rooms:a")
	defer listening.Close()
	if _, err := listening.Receive(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := runs(t, []string{"publish", "rooms:a", "hi", `{"n":1.0}`}, env...); code != exitOK || !strings.Contains(out, "1 pod listens") {
		t.Errorf("got exit code %d and %q, want that one pod listens", code, out)
	}
	if m, err := listening.ReceiveMessage(t.Context()); err != nil || m.Payload != `{"event":"hi","payload":{"n":1.0}}` {
		t.Errorf("got %v, %v, want the broadcast byte for byte", m, err)
	}
	for name, c := range map[string]struct {
		args []string
		env  []string
		code int
		want string
	}{
		"no object":  {[]string{"publish", "rooms:a", "hi", "[1]"}, env, exitError, "is not a JSON object"},
		"no event":   {[]string{"publish", "rooms:a", ""}, env, exitError, "needs an event"},
		"too little": {[]string{"publish", "rooms:a"}, env, exitUsage, "takes TOPIC EVENT [JSON]"},
		"no Redis":   {[]string{"publish", "rooms:a", "hi"}, nil, exitError, "REDIS_URL: not set"},
		"Redis gone": {[]string{"publish", "rooms:a", "hi"}, []string{"REDIS_URL=redis://127.0.0.1:1"}, exitError, "connection refused"},
	} {
		if code, _, said := runs(t, c.args, c.env...); code != c.code || !strings.Contains(said, c.want) {
			t.Errorf("%s: got exit code %d and %q, want %d and %q in it", name, code, said, c.code, c.want)
		}
	}
}

func TestCompletion(t *testing.T) {
	code, script, _ := runs(t, []string{"completion", "bash"})
	if code != exitOK {
		t.Fatalf("got exit code %d, want 0", code)
	}
	out, err := exec.Command("bash", "-c", script+`
COMP_WORDS=(gateway do) COMP_CWORD=1; _gateway; echo "${COMPREPLY[*]}"
COMP_WORDS=(gateway completion z) COMP_CWORD=2; _gateway; echo "${COMPREPLY[*]}"`).CombinedOutput()
	if err != nil || string(out) != "doctor\nzsh\n" {
		t.Errorf("got %q, %v, want doctor and zsh", out, err)
	}
	for _, shell := range []string{"zsh", "fish"} {
		if code, script, _ := runs(t, []string{"completion", shell}); code != exitOK || !strings.Contains(script, "doctor") {
			t.Errorf("%s: got exit code %d and %q", shell, code, script)
		}
	}
	if code, _, said := runs(t, []string{"completion", "cmd"}); code != exitError || !strings.Contains(said, "there are bash, zsh and fish") {
		t.Errorf("got exit code %d and %q, want an error that names the shells", code, said)
	}
}
