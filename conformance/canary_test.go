package conformance_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/phoenix/phoenixtest"
)

// canary is in every secret of TestCanary, and must be nowhere else.
const canary = "c4n4ry"

// canaryKey is the webhook's second secret. Neither its text nor its bytes may be seen.
var canaryKey = "whsec_" + base64.StdEncoding.EncodeToString([]byte(canary+" as a signing key!"))

// cage watches what gateways say where strangers or operators can read it.
type cage struct {
	t       *testing.T
	environ settings
	heard   []string // what was said, to tell that there was something to hear
}

// hear fails the test if text has a secret in it.
func (c *cage) hear(where, text string) {
	c.t.Helper()
	c.heard = append(c.heard, text)
	for _, secret := range []string{canary, strings.TrimPrefix(canaryKey, "whsec_"), base64.StdEncoding.EncodeToString([]byte(canary))[:8]} {
		if i := strings.Index(text, secret); i >= 0 {
			c.t.Errorf("%s has a secret in it: %.400q", where, text[max(0, i-200):])
		}
	}
}

// wantHeard fails the test unless what it provoked has happened.
func (c *cage) wantHeard(words ...string) {
	c.t.Helper()
	all := strings.Join(c.heard, "\n")
	for _, word := range words {
		if !strings.Contains(all, word) {
			c.t.Errorf("nothing said %q, so the test has not seen whether a secret is beside it", word)
		}
	}
}

// pod starts a pod full of secrets.
func (c *cage) pod(redisURL string, more settings) *pod {
	c.t.Helper()
	environ := maps.Clone(c.environ)
	maps.Copy(environ, more)
	p, err := startPod("lp", environ, redisURL)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			if err := p.stop(); err != nil {
				c.t.Error(err)
			}
		}
		text, err := os.ReadFile(p.log.Name())
		if err != nil {
			c.t.Error(err)
		}
		c.hear("the log", string(text))
	})
	return p
}

// run runs a command of the gateway to its end.
func (c *cage) run(environ settings, args ...string) {
	c.t.Helper()
	cmd := exec.Command(lab.binary, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range environ {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	timer := time.AfterFunc(3*time.Second, func() { cmd.Process.Kill() }) // a pod that likes its settings runs on
	defer timer.Stop()
	_ = cmd.Wait() // what it says counts
	c.hear(fmt.Sprint("gateway ", args), out.String())
}

// ask makes a handshake that may fail, and hears what the gateway says to that.
func (c *cage) ask(p *pod, r phoenixtest.Request) *phoenixtest.Raw {
	c.t.Helper()
	raw := phoenixtest.Open(c.t, p.addr, r)
	c.hear(r.Method+" "+r.Target, fmt.Sprint(raw.Status, raw.Header, string(raw.Body)))
	return raw
}

// asOperator hears what the admin port says.
func (c *cage) asOperator(p *pod) {
	c.t.Helper()
	for _, path := range []string{"/metrics", "/livez", "/readyz", "/healthz", "/", "/api/v1/stats", "/debug/vars"} {
		response, err := http.Get("http://" + p.admin + path)
		if err != nil {
			c.t.Errorf("%s: %v", path, err)
			continue
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			c.t.Errorf("%s: %v", path, err)
		}
		c.hear(path, fmt.Sprint(response.Header, string(body)))
	}
}

// TestCanary puts a word into every secret and everything that clients and backends send, makes all that can fail do so, and looks for it in logs,
// metrics, answers and what commands print.
func TestCanary(t *testing.T) {
	t.Parallel()
	server := ownRedis(t, "--user", "app", "on", ">"+canary, "~*", "&*", "+@all")
	spans := newCollector(t)
	c := &cage{t: t, environ: settings{
		"OTEL_EXPORTER_OTLP_ENDPOINT": spans.url, "OTEL_EXPORTER_OTLP_HEADERS": "x-key=" + canary,
		"LOG_LEVEL":              "debug",
		"ROOST_API_TOKEN":        canary + "-opens-the-api",
		"ROOST_WEBHOOK_SECRET":   secret + " " + canaryKey,
		"ROOST_WEBHOOK_URL":      strings.Replace(lab.backend.url, "http://", "http://app:"+canary+"@", 1) + "/lp?key=" + canary,
		"ROOST_CONNECT_HEADERS":  "authorization,cookie",
		"ROOST_WEBHOOK_TIMEOUT":  "1s",
		"ROOST_MAX_MESSAGE_SIZE": "2000",
		"ROOST_LONGPOLL_WINDOW":  "1s",
	}}
	t.Cleanup(func() { // after the pods' logs have been read
		c.hear("traces", spans.all())
		c.wantHeard("join crashed", "push failed", "connect failed", "origin refused", "dropped a malformed publish", "limit reached",
			"long-poll owner", "bad answer", "WRONGPASS", "redis link down", "roost_connections_rejected_total", "JWK Set not fetched", "REDIS_URL", "(set)", "service.name")
	})
	redisURL := "redis://app:" + canary + "@" + server.addr()
	well := c.pod(redisURL, nil)
	lonely := c.pod(redisURL, settings{"ROOST_WEBHOOK_URL": "http://app:" + canary + "@127.0.0.1:1/" + "?key=" + canary})
	c.handshakes(well)
	c.handshakes(lonely)
	guarded := c.pod(redisURL, settings{
		"ROOST_JWT_KEY":      canary + "-and-enough-characters-for-a-secret",
		"ROOST_JWT_JWKS_URL": "http://app:" + canary + "@127.0.0.1:1/keys?key=" + canary,
	})
	c.handshakes(guarded)
	c.ask(guarded, phoenixtest.Request{Target: guarded.path("vsn=2.0.0"), Header: bearer(forge(`{"alg":"ES256","kid":"`+canary+`"}`, `{"sub":"`+canary+`"}`, canary))})
	c.asOperator(guarded)
	c.channels(well, server)
	c.polls(well)
	c.commands(redisURL)
	c.rejected(server)
	doomed := c.pod(redisURL, nil)
	orphan := openPoll(t, doomed.addr, "token="+canary)
	doomed.kill()
	wantPolled(t, orphan.at(well.addr).poll(), http.StatusInternalServerError)
	c.asOperator(well)
	server.kill()
	c.withoutRedis(well)
	if err := server.start(); err != nil {
		t.Fatal(err)
	}
	if err := well.awaitReady(patience); err != nil {
		t.Error(err)
	}
	c.asOperator(lonely)
}

// collector takes the spans of pods.
type collector struct {
	url string

	mu    sync.Mutex
	spans []byte
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.spans = append(c.spans, body...)
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// all returns the spans that came, as they came: texts are readable in them.
func (c *collector) all() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.spans)
}

// secretive is the header of a client that has much to hide.
var secretive = http.Header{
	"Authorization": {"Bearer " + canary}, "Cookie": {"session=" + canary}, "X-Phoenix-Authtoken": {canary},
	"Sec-Websocket-Protocol": {"phoenix, base64url.bearer.phx." + base64.RawStdEncoding.EncodeToString([]byte(canary+"token"))},
}

// handshakes succeed and fail in every way.
func (c *cage) handshakes(p *pod) {
	for _, query := range []string{
		"vsn=2.0.0", "vsn=" + canary, "vsn=2.0.0&reject=true", "vsn=2.0.0&ratelimit=true", "vsn=2.0.0&crash=true", "vsn=2.0.0&a=%ff",
		"vsn=2.0.0&bad=html", "vsn=2.0.0&bad=half", "vsn=2.0.0&bad=nothing", "vsn=2.0.0&" + strings.Repeat("a", 40<<10),
	} {
		query += "&password=" + canary + "&token=" + canary
		for _, change := range []http.Header{nil, {"Origin": {"https://evil.example"}}, {"Upgrade": nil}, {"Sec-Websocket-Protocol": {"phoenix, base64url.bearer.phx.%" + canary}}} {
			header := secretive.Clone()
			maps.Copy(header, change)
			c.ask(p, phoenixtest.Request{Target: p.path(query), Header: header})
		}
		header := secretive.Clone()
		for _, name := range []string{"Connection", "Upgrade", "Sec-Websocket-Key"} {
			header[name] = nil
		}
		c.ask(p, phoenixtest.Request{Target: "/lp/longpoll?" + query, Header: header})
		header.Set("Content-Length", "0")
		c.ask(p, phoenixtest.Request{Method: "POST", Target: p.path(query), Header: header})
		c.ask(p, phoenixtest.Request{Target: "/elsewhere?" + query, Header: secretive})
	}
}

// channels are joined and pushed to, and fail in every way.
func (c *cage) channels(p *pod, server *redisServer) {
	client := dial(c.t, p, "vsn=2.0.0&user_id="+newUser()+"&token="+canary)
	payload := func(more string) string { return fmt.Sprintf(`{"password":%q%s}`, canary, more) }
	wrong := []string{payload(`,"status":500`), payload(`,"status":401`), payload(`,"bad":"html"`), payload(`,"bad":"half"`), payload(`,"bad":"array"`), payload(`,"refuse":true`)}
	for i, p := range wrong {
		client.send(fmt.Sprintf(`["%d","%d",$T,"phx_join",%s]`, i, i, p))
		drain(client)
	}
	client.send(`["9","9","room:crash`+newUser()+`","phx_join",`+payload("")+`]`, `["1","10",$T,"phx_join",`+payload("")+`]`)
	drain(client)
	for i, event := range []string{"ok", "crash", "status", "bad", "nothing", "stop"} {
		for j, p := range append(wrong, payload("")) {
			client.send(fmt.Sprintf(`["1","1%d%d",$T,%q,%s]`, i, j, event, p))
		}
	}
	listener := dial(c.t, p, "vsn=2.0.0&token="+canary).joined()
	for _, body := range []string{canary, `{"event":7,"payload":"` + canary + `"}`, `{"password":"` + canary + `"}`, `{"event":"e","payload_base64":"` + canary + `"}`,
		`{"event":"e","payload":` + payload("") + `,"payload_base64":"` + canary + `"}`, `{"event":"last","payload":` + payload("") + `}`} {
		server.publish(c.t, "topic:"+listener.topic, body)
	}
	listener.want(`[null,null,$T,"last",` + payload("") + `]`)
	for _, frame := range []string{canary, `["1","1",$T,"e",` + canary + `]`, `["1","1",$T,"e","` + strings.Repeat(canary, 500) + `"]`} {
		dial(c.t, p, "vsn=2.0.0&token="+canary).named(client.topic).send(frame)
	}
	drain(client)
}

// drain reads until the answer to a heartbeat comes, by then the topic's line has had a moment, too.
func drain(c *client) {
	c.t.Helper()
	ask, answer := c.NextHeartbeat()
	c.Send(ask)
	for !phoenixtest.Same(c.Next(), answer) {
	}
}

// polls use tokens that are none.
func (c *cage) polls(p *pod) {
	session := openPoll(c.t, p.addr, "password="+canary)
	for _, token := range []string{canary, "roost1." + canary + "." + canary, session.token + canary, canary + session.token} {
		for _, method := range []string{"GET", "POST", "PUT", "OPTIONS"} {
			header := http.Header{"X-Phoenix-Longpoll-Token": {token}, "Connection": nil, "Upgrade": nil}
			if method == "POST" {
				header.Set("Content-Length", "0")
			}
			c.ask(p, phoenixtest.Request{Method: method, Target: "/lp/longpoll?vsn=2.0.0&token=" + token, Header: header})
		}
	}
	for _, body := range []string{canary, `["1","1","` + canary, strings.Repeat(canary, 1000), strings.Repeat(`[]`+"\n", 2000)} {
		session := openPoll(c.t, p.addr)
		a := session.post(body)
		c.hear("POST", fmt.Sprint(a.code, a.header, a.body))
	}
}

// commands print settings, right and wrong.
func (c *cage) commands(redisURL string) {
	environ := maps.Clone(c.environ)
	environ["REDIS_URL"] = redisURL
	c.run(environ, "config")
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, canary, http.StatusTeapot) }))
	defer stranger.Close()
	for _, url := range []string{stranger.URL, "http://127.0.0.1:1"} {
		wrong := maps.Clone(environ)
		wrong["ROOST_WEBHOOK_URL"] = strings.Replace(url, "http://", "http://app:"+canary+"@", 1) + "?key=" + canary
		c.run(wrong, "doctor")
	}
	c.run(environ, "publish", "room:a", "e", `{"password":"x"}`)
	for name, value := range map[string]string{
		"REDIS_URL": "redis://app:" + canary + "@%zz", "ROOST_WEBHOOK_URL": "http://app:" + canary + "@%zz", "ROOST_WEBHOOK_SECRET": canary,
		"ROOST_API_TOKEN": canary, "ROOST_JWT_KEY": canary, "ROOST_WEBHOOK_SECRT": canary, "REDIS_URL_FILE": "/nowhere",
	} {
		wrong := maps.Clone(environ)
		wrong[name] = value
		c.run(wrong, "config")
		c.run(wrong)
	}
}

// rejected is a pod whose password Redis refuses.
func (c *cage) rejected(server *redisServer) {
	environ := maps.Clone(c.environ)
	environ["REDIS_URL"] = "redis://app:" + canary + "wrong@" + server.addr()
	environ["PORT"], environ["ROOST_ADMIN_PORT"] = "0", "0"
	c.run(environ)
}

// withoutRedis does what needs Redis while it is away.
func (c *cage) withoutRedis(p *pod) {
	client := dial(c.t, p, "vsn=2.0.0&user_id="+newUser()+"&token="+canary)
	client.send(`["1","1",$T,"phx_join",{"password":"` + canary + `"}]`)
	client.Next() // an error, once it is clear that Redis is away
	c.asOperator(p)
}
