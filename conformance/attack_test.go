package conformance_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"roost/phoenix/phoenixtest"
)

// attempt asks a pod for a WebSocket.
func attempt(t *testing.T, p *pod, query string, header http.Header) *phoenixtest.Raw {
	t.Helper()
	return phoenixtest.Open(t, p.addr, phoenixtest.Request{Target: p.path(query), Header: header})
}

// series returns the line of /metrics that begins with name.
func (p *pod) series(t *testing.T, name string) string {
	t.Helper()
	response, err := http.Get("http://" + p.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func TestOversizedHeaders(t *testing.T) {
	t.Parallel()
	p := sharedPod(t, "socket")
	many := http.Header{}
	for i := range 5000 {
		many[fmt.Sprintf("X-Header-%d", i)] = []string{"a"}
	}
	for name, header := range map[string]http.Header{
		"one large":  {"X-Large": {strings.Repeat("a", 64<<10)}},
		"many":       many,
		"a cookie":   {"Cookie": {strings.Repeat("a=b; ", 20_000)}},
		"a token":    {"Sec-Websocket-Protocol": {"phoenix, base64url.bearer.phx." + strings.Repeat("a", 64<<10)}},
		"an address": {"X-Forwarded-For": {strings.Repeat("192.0.2.1, ", 10_000)}},
	} {
		if got := attempt(t, p, "vsn=2.0.0", header).Status; got != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s: got status %d, want 431", name, got)
		}
	}
	for name, target := range map[string]string{
		"websocket": p.path("vsn=2.0.0&a=" + strings.Repeat("b", 64<<10)),
		"elsewhere": "/" + strings.Repeat("a/", 32<<10),
	} {
		if got := phoenixtest.Open(t, p.addr, phoenixtest.Request{Target: target}).Status; got != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s: got status %d, want 431", name, got)
		}
	}
	v2(t, "socket").Heartbeat()
}

// Who forges X-Forwarded-For is still who connects.
func TestForgedAddress(t *testing.T) {
	t.Parallel()
	p := ownPod(t, lab.redis.url(), settings{"ROOST_TRUSTED_PROXIES": "127.0.0.1", "ROOST_MAX_CONNECTIONS_PER_IP": "1"})
	tag := newUser()
	raw := attempt(t, p, "vsn=2.0.0&tag="+tag, http.Header{"X-Forwarded-For": {"10.0.0.1, 127.0.0.1, 192.0.2.1"}})
	wantStatus(t, raw, 101)
	if c := connectOf(tag); c == nil || c.Data.RemoteIP != "192.0.2.1" {
		t.Errorf("got call %+v, want remote_ip 192.0.2.1", c)
	}
	for _, forged := range []string{"192.0.2.1", "10.0.0.2, 192.0.2.1", "192.0.2.9, 192.0.2.1, 127.0.0.1"} {
		if got := attempt(t, p, "vsn=2.0.0", http.Header{"X-Forwarded-For": {forged}}).Status; got != http.StatusTooManyRequests {
			t.Errorf("%s: got status %d, want 429", forged, got)
		}
	}
	direct := sharedPod(t, "socket") // trusts nobody
	tag = newUser()
	attempt(t, direct, "vsn=2.0.0&tag="+tag, http.Header{"X-Forwarded-For": {"192.0.2.1"}})
	if c := connectOf(tag); c == nil || c.Data.RemoteIP != "127.0.0.1" {
		t.Errorf("got call %+v, want remote_ip 127.0.0.1", c)
	}
}

// A flood of connections is turned away, counted, and logged in few lines; who is inside does not notice.
func TestConnectFlood(t *testing.T) {
	t.Parallel()
	p := ownPod(t, lab.redis.url(), settings{"ROOST_CONNECT_RATE": "20/h"})
	inside := dial(t, p, "vsn=2.0.0").joined()
	refused, asked := 0, newUser()
	for range 500 {
		raw := attempt(t, p, "vsn=2.0.0&tag="+asked, nil)
		raw.Conn.Close()
		if raw.Status == http.StatusSwitchingProtocols {
			continue
		}
		refused++
		if wait, err := strconv.Atoi(raw.Header.Get("Retry-After")); raw.Status != http.StatusServiceUnavailable || err != nil || wait < 1 {
			t.Fatalf("got status %d, Retry-After %q, want 503 and a time", raw.Status, raw.Header.Get("Retry-After"))
		}
	}
	if refused != 481 {
		t.Errorf("got %d refused, want 481", refused)
	}
	calls := lab.backend.seen("", func(c call) bool { return connects(c) && c.Data.Params["tag"] == asked })
	if len(calls) != 19 {
		t.Errorf("got %d calls of the backend, want 19", len(calls))
	}
	if got := p.series(t, `roost_limited_total{kind="connect_rate"}`); got != "481" {
		t.Errorf("got roost_limited_total %q, want 481", got)
	}
	text, err := os.ReadFile(p.log.Name())
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(text, []byte("limit reached: connect_rate")); lines < 1 || lines > 50 {
		t.Errorf("got %d log lines, want a few", lines)
	}
	if !bytes.Contains(text, []byte("ROOST_CONNECT_RATE")) {
		t.Error("got no log line that names the setting")
	}
	inside.ask(`["1","2",$T,"ok",{}]`, `["1","2",$T,"phx_reply",ok{}]`)
}

// A client that sends too fast is told so, and closed when it goes on.
func TestMessageFlood(t *testing.T) {
	t.Parallel()
	p := ownPod(t, lab.redis.url(), settings{"ROOST_MESSAGE_RATE": "5/h", "ROOST_MAX_CHANNELS": "1"})
	c := dial(t, p, "vsn=2.0.0").joined()
	for n := 2; n <= 5; n++ {
		c.ask(fmt.Sprintf(`["1","%d",$T,"ok",{}]`, n), fmt.Sprintf(`["1","%d",$T,"phx_reply",ok{}]`, n))
	}
	for n := 6; n <= 10; n++ {
		c.ask(fmt.Sprintf(`["1","%d",$T,"ok",{}]`, n), fmt.Sprintf(`["1","%d",$T,"phx_reply",ERR({"reason":"too many messages"})]`, n))
	}
	c.send(`["1","11",$T,"ok",{}]`)
	c.WantClose(1008)
}

// A webhook call that was overheard is good for no other moment, id or body: backends that refuse old timestamps and known
// ids take it once.
func TestReplayedWebhook(t *testing.T) {
	t.Parallel()
	type request struct {
		header http.Header
		body   []byte
	}
	calls := make(chan request, 10)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		calls <- request{r.Header, body}
		io.WriteString(w, `{"status":"ok"}`)
	}))
	defer backend.Close()
	p := ownPod(t, lab.redis.url(), settings{"ROOST_WEBHOOK_URL": backend.URL, "ROOST_WEBHOOK_EVENTS": "join,push"})
	c := dial(t, p, "vsn=2.0.0")
	c.ask(`["1","1",$T,"phx_join",{}]`, `["1","1",$T,"phx_reply",ok{}]`)
	r := <-calls
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify(r.body, r.header); err != nil {
		t.Fatalf("as it came: got %v, want it taken", err)
	}
	stamp, err := strconv.ParseInt(r.header.Get("Webhook-Timestamp"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*request){
		"another time": func(r *request) { r.header.Set("Webhook-Timestamp", fmt.Sprint(stamp+1)) },
		"another id":   func(r *request) { r.header.Set("Webhook-Id", r.header.Get("Webhook-Id")+"1") },
		"another body": func(r *request) { r.body = bytes.Replace(r.body, []byte("join"), []byte("push"), 1) },
		"no signature": func(r *request) { r.header.Del("Webhook-Signature") },
		"ten minutes later": func(r *request) { // signed well, but then
			old := time.Now().Add(-10 * time.Minute)
			signature, err := verifier.Sign(r.header.Get("Webhook-Id"), old, r.body)
			if err != nil {
				t.Error(err)
			}
			r.header.Set("Webhook-Timestamp", fmt.Sprint(old.Unix()))
			r.header.Set("Webhook-Signature", signature)
		},
	} {
		forged := request{r.header.Clone(), bytes.Clone(r.body)}
		change(&forged)
		if verifier.Verify(forged.body, forged.header) == nil {
			t.Errorf("%s: got it taken, want it refused", name)
		}
	}
}
