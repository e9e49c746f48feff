package backends_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roost/internal/redistest"
	"roost/phoenix/phoenixtest"
)

// Every backend of the README works behind a gateway, and is as short as the README says.
func TestBackends(t *testing.T) {
	gateway := filepath.Join(t.TempDir(), "gateway")
	if out, err := command(t, "go", "build", "-o", gateway, "roost/cmd/gateway").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	all := readme(t)
	t.Run("in parallel", func(t *testing.T) { // the folder of the binary outlives them
		for _, b := range all {
			t.Run(b.name, func(t *testing.T) {
				t.Parallel()
				if n := linesOfCode(t, b.file); n > maxLines {
					t.Errorf("%s has %d lines of code, more than %d", b.file, n, maxLines)
				}
				b.start(t)
				b.checkSignatures(t)
				b.checkAnswers(t)
				b.checkChat(t, gateway)
			})
		}
	})
}

const maxLines = 40

// linesOfCode counts the lines of a file that are not empty and not comments.
func linesOfCode(t *testing.T, file string) (n int) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "//") && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, `"""`) {
			n++
		}
	}
	return n
}

// checkChat lets two clients chat through a gateway, started as the README says.
func (b *backend) checkChat(t *testing.T, gateway string) {
	port, admin := freePort(t), freePort(t)
	environ := []string{"PORT=" + port, "ROOST_ADMIN_PORT=" + admin, "ROOST_ADMIN_HOST=127.0.0.1", "REDIS_URL=" + redistest.Start(t).URL,
		"ROOST_WEBHOOK_URL=" + b.url(), "ROOST_WEBHOOK_SECRET=" + secret, "ROOST_WEBHOOK_TIMEOUT=60s",
		"ROOST_WEBHOOK_EVENTS=connect,join,push,leave", "ROOST_TOPICS_FILE=topics.yaml"}
	spawn(t, environ, gateway)
	eventually(t, "ready gateway", func() bool {
		response, err := http.Get("http://127.0.0.1:" + admin + "/readyz")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	socket := "ws://127.0.0.1:" + port + "/socket/websocket?vsn=2.0.0"

	for _, query := range []string{"", "&nick=", "&nick[]=ann"} {
		if _, err := phoenixtest.Connect(t, socket+query, nil); err == nil || !strings.Contains(err.Error(), "403") {
			t.Errorf("connect with %q: got %v, want 403", query, err)
		}
	}
	ann := phoenixtest.Dial(t, socket+"&nick=ann", nil)
	ann.Send(`["1","1","rooms:secret","phx_join",{}]`)
	ann.Want(`["1","1","rooms:secret","phx_reply",{"status":"error","response":{"reason":"members only"}}]`)
	ann.Send(`["2","2","rooms:lobby","phx_join",{}]`)
	ann.Want(`["2","2","rooms:lobby","phx_reply",{"status":"ok","response":{}}]`)
	await(t, ann, "presence_diff", `"joins":{"ann":`)

	bob := phoenixtest.Dial(t, socket+"&nick=Bob%C3%B6", nil)
	bob.Send(`["1","1","rooms:lobby","phx_join",{}]`)
	bob.Want(`["1","1","rooms:lobby","phx_reply",{"status":"ok","response":{}}]`)
	await(t, bob, "presence_state", `"ann":`)
	await(t, ann, "presence_diff", `"joins":{"Bobö":`)

	bob.Send(`["1","2","rooms:lobby","new_msg",{"body":"hi 👋 <b>"}]`)
	const said = `{"body":"hi 👋 <b>","nick":"Bobö"}`
	await(t, ann, "new_msg", said)
	await(t, bob, "new_msg", said)
	await(t, bob, "phx_reply", `"status":"ok"`)
	bob.Send(`["1","3","rooms:lobby","new_msg","no object"]`)
	await(t, bob, "phx_reply", `"status":"error"`)

	bob.Send(`["1","4","rooms:lobby","phx_leave",{}]`)
	await(t, ann, "presence_diff", `"leaves":{"Bobö":`)
	b.awaitLog(t, "Bobö left rooms:lobby left")
	ann.Drop()
	b.awaitLog(t, "ann left rooms:lobby closed")

	for want, args := range map[string][]string{
		"got the message":                   {"check", "ws://127.0.0.1:" + port + "/socket?nick=ann", "rooms:lobby"},
		"takes our signature, and no other": {"doctor"},
	} {
		cmd := command(t, gateway, args...)
		cmd.Env = environ
		if out, err := cmd.CombinedOutput(); !strings.Contains(string(out), want) {
			t.Errorf("gateway %q: got %s, error %v, want %q", args, out, err, want)
		}
	}
}

// await takes messages until one has this event, and a payload with this part when its keys are sorted.
func await(t *testing.T, c *phoenixtest.Client, event, part string) {
	t.Helper()
	for {
		m := c.Next()
		var fields []any
		if err := json.Unmarshal(m.Data, &fields); err != nil || len(fields) != 5 {
			t.Fatalf("got %s, want a message", m)
		}
		var payload bytes.Buffer
		e := json.NewEncoder(&payload)
		e.SetEscapeHTML(false)
		if err := e.Encode(fields[4]); err != nil {
			t.Fatal(err)
		}
		if fields[3] == event && strings.Contains(payload.String(), part) {
			return
		}
		if fields[3] == "phx_reply" {
			t.Fatalf("got %s, want %s with %s", m, event, part)
		}
	}
}
