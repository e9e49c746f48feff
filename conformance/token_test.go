package conformance_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// tokenSecret signs the tokens of these tests.
const tokenSecret = "a secret of the token tests, 32+"

var tokenKey = strings.ReplaceAll(tokenSecret, " ", "-")

// makeToken makes a token as a newcomer does.
func makeToken(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.Command(lab.binary, append([]string{"token"}, args...)...)
	cmd.Env = []string{"ROOST_JWT_KEY=" + tokenKey}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("gateway token: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// forge is a token with any header and claims, signed with key.
func forge(header, claims, key string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	sum := hmac.New(sha256.New, []byte(key))
	sum.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(sum.Sum(nil))
}

// aboutTokens are the settings of a pod that wants tokens.
func aboutTokens(t testing.TB, more settings) settings {
	t.Helper()
	rules := filepath.Join(t.TempDir(), "topics.yaml")
	text := "topics:\n  - {topic: \"by-token:*\", join: token, push: broadcast}\n  - {topic: \"*\"}\n"
	if err := os.WriteFile(rules, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := settings{"ROOST_JWT_KEY": tokenKey, "ROOST_TOPICS_FILE": rules, "ROOST_WEBHOOK_EVENTS": "join,push,leave", "ROOST_LONGPOLL_WINDOW": "2s"}
	for k, v := range more {
		s[k] = v
	}
	return s
}

// bearer is the subprotocol by which phoenix.js sends its authToken.
func bearer(token string) http.Header {
	return http.Header{"Sec-Websocket-Protocol": {"phoenix, base64url.bearer.phx." + base64.RawStdEncoding.EncodeToString([]byte(token))}}
}

// knockPoll asks for a long-poll session with a token, as authToken, and returns the answer.
func knockPoll(t testing.TB, p *pod, token string) pollAnswer {
	t.Helper()
	c := pollOf(t, p.addr)
	c.path = "/socket/longpoll"
	c.header.Set("X-Phoenix-AuthToken", token)
	return c.poll()
}

// TestTokens: who may connect and join by a token, over both transports.
func TestTokens(t *testing.T) {
	t.Parallel()
	p := ownPod(t, lab.redis.url(), aboutTokens(t, settings{"ROOST_JWT_ISSUER": "", "ROOST_REFUSAL_MEMORY": "off"}))
	token := makeToken(t, "42", "by-token:own:{sub}", "by-token:all:*")

	t.Run("connect, claims and topics", func(t *testing.T) {
		for _, query := range []string{"vsn=2.0.0&token=" + token, "vsn=1.0.0&token=" + token + "&more=1"} {
			if raw := attempt(t, p, query, nil); raw.Status != http.StatusSwitchingProtocols {
				t.Errorf("%s: got %d, want 101", query[:12], raw.Status)
			}
		}
		if raw := attempt(t, p, "vsn=2.0.0", bearer(token)); raw.Status != http.StatusSwitchingProtocols {
			t.Errorf("authToken: got %d, want 101", raw.Status)
		}
		if a := knockPoll(t, p, token); a.Status != http.StatusGone || a.Token == "" {
			t.Errorf("long-poll: got %v, want a session", a)
		}
		c := dial(t, p, "vsn=2.0.0&token="+token)
		c.joined()
		joins := lab.backend.await(t, 1, c.topic, joins)
		var assigns struct {
			Claims struct {
				Sub    string
				Topics []string
			}
		}
		if err := json.Unmarshal(joins[0].Data.Assigns, &assigns); err != nil || assigns.Claims.Sub != "42" || len(assigns.Claims.Topics) != 2 || joins[0].Data.ID != "user:42" {
			t.Errorf("the backend got id %q and assigns %s, want user:42 and its claims", joins[0].Data.ID, joins[0].Data.Assigns)
		}
		for topic, answer := range map[string]string{
			"by-token:own:42": `["1","1",$T,"phx_reply",ok{}]`, "by-token:all:x": `["1","1",$T,"phx_reply",ok{}]`,
			"by-token:own:43": `["1","1",$T,"phx_reply",ERR({"reason":"forbidden"})]`, "by-token:": `["1","1",$T,"phx_reply",ERR({"reason":"forbidden"})]`,
		} {
			c.named(topic).ask(`["1","1",$T,"phx_join",{}]`, answer)
		}
		lab.redis.publish(t, "id:user:42", `{"topic":"by-token:own:42","event":"hi","payload":{}}`)
		c.named("by-token:own:42").want(`["1",null,$T,"hi",{}]`)
	})

	t.Run("refused", func(t *testing.T) {
		hs, claims := `{"alg":"HS256","typ":"JWT"}`, `{"sub":"42"}`
		for name, bad := range map[string]string{
			"none":              "",
			"garbage":           "garbage",
			"alg none":          forge(`{"alg":"none"}`, claims, tokenKey),
			"alg none unsigned": strings.TrimRight(forge(`{"alg":"none"}`, claims, ""), "-_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"),
			"another secret":    forge(hs, claims, tokenKey+"x"),
			"expired":           forge(hs, `{"sub":"42","exp":1700000000}`, tokenKey),
			"not yet":           forge(hs, `{"sub":"42","nbf":9700000000}`, tokenKey),
			"no sub":            forge(hs, `{"name":"42"}`, tokenKey),
			"two subs":          forge(hs, `{"sub":"42","sub":"1"}`, tokenKey),
			"kid of a file":     forge(`{"alg":"HS256","kid":"../../../../dev/null"}`, claims, ""),
			"RS256 by HMAC":     forge(`{"alg":"RS256"}`, claims, tokenKey),
			"large":             forge(hs, `{"sub":"42","x":"`+strings.Repeat("x", 15_000)+`"}`, tokenKey),
		} {
			query := "vsn=2.0.0&token=" + bad
			if name == "none" {
				query = "vsn=2.0.0"
			}
			if raw := attempt(t, p, query, nil); raw.Status != http.StatusForbidden || len(raw.Body) != 0 {
				t.Errorf("%s, as a param: got %d %q, want 403 without a word", name, raw.Status, raw.Body)
			}
			if name == "none" || name == "large" { // a header of that size is refused before
				continue
			}
			if raw := attempt(t, p, "vsn=2.0.0", bearer(bad)); raw.Status != http.StatusForbidden || len(raw.Body) != 0 {
				t.Errorf("%s, as authToken: got %d %q, want 403 without a word", name, raw.Status, raw.Body)
			}
			if a := knockPoll(t, p, bad); a.Status != http.StatusForbidden || a.Token != "" {
				t.Errorf("%s, over long-poll: got %v, want 403", name, a)
			}
		}
		// A good param does not help a bad authToken.
		if raw := attempt(t, p, "vsn=2.0.0&token="+token, bearer("garbage")); raw.Status != http.StatusForbidden {
			t.Errorf("a bad authToken beside a good param: got %d, want 403", raw.Status)
		}
		if p.series(t, `roost_tokens_refused_total{reason="algorithm"}`) == "" {
			t.Error("alg none is not counted")
		}
	})
}

// TestTokenEnds: a token's end closes the connection with 1008, unless another came meanwhile.
func TestTokenEnds(t *testing.T) {
	t.Parallel()
	p := ownPod(t, lab.redis.url(), aboutTokens(t, settings{"ROOST_JWT_LEEWAY": "0s", "ROOST_IDLE_TIMEOUT": "10s", "ROOST_WEBHOOK_EVENTS": "join,push,leave,disconnect"}))
	short := makeToken(t, "-for", "5s", "42", "by-token:a")
	lives, dies := dial(t, p, "vsn=2.0.0&token="+short), dial(t, p, "vsn=2.0.0&token="+short)
	for _, c := range []*client{lives, dies} {
		c.named("by-token:a").ask(`["1","1",$T,"phx_join",{}]`, `["1","1",$T,"phx_reply",ok{}]`)
	}
	dies.named(newTopic("a")).joined()
	long := makeToken(t, "42", "by-token:a", "by-token:b")
	lives.named("by-token:b").ask(`["2","2",$T,"phx_join",{}]`, `["2","2",$T,"phx_reply",ERR({"reason":"forbidden"})]`)
	for payload, reason := range map[string]string{
		`{}`: "token is missing", `{"token":"garbage"}`: "unauthorized", `{"token":"` + makeToken(t, "43") + `"}`: "forbidden",
	} {
		lives.ask(`[null,"3","phoenix","access_token",`+payload+`]`, `[null,"3","phoenix","phx_reply",ERR({"reason":"`+reason+`"})]`)
	}
	lives.send(`[null,"4","phoenix","access_token",{"token":"` + long + `"}]`)
	if m := lives.Next(); !strings.HasPrefix(string(m.Data), `[null,"4","phoenix","phx_reply",{"status":"ok","response":{"expires_at":"20`) {
		t.Errorf("got %s, want ok and when it ends", m)
	}
	lives.named("by-token:b").ask(`["2","5",$T,"phx_join",{}]`, `["2","5",$T,"phx_reply",ok{}]`)
	lives.send(`["2","6",$T,"access_token",{"token":"` + long + `"}]`) // on a topic, too
	if m := lives.Next(); !strings.Contains(string(m.Data), `"by-token:b","phx_reply",{"status":"ok"`) {
		t.Errorf("got %s, want ok", m)
	}
	dies.WantClose(1008)
	dies.wantLeft(lab.backend.await(t, 1, dies.topic, joins)[0].Data.Connection, "1", "expired")
	lives.Heartbeat()
	if raw := attempt(t, p, "vsn=2.0.0&token="+short, nil); raw.Status != http.StatusForbidden {
		t.Errorf("with the old token: got %d, want 403", raw.Status)
	}
	p.wantMetric(t, `roost_expiries_total{of="connection",result="ended"} 1`)
}

// expiring is a backend whose answers run out, and which changes its mind when a test says so.
type expiring struct {
	*httptest.Server

	mu    sync.Mutex
	calls map[string]int // by type
	token string         // auth_token of the last connect
	code  int            // of all answers from now on, if it is not 0
	bare  bool           // answers run out no more
}

func newExpiring(t *testing.T) *expiring {
	b := &expiring{calls: map[string]int{}}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var c struct {
			Type string
			Data struct {
				AuthToken string `json:"auth_token"`
			}
		}
		body, _ := io.ReadAll(r.Body)
		json.Unmarshal(body, &c)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.calls[c.Type]++
		if c.Type == "socket.connect" {
			b.token = c.Data.AuthToken
		}
		switch {
		case b.code != 0:
			w.WriteHeader(b.code)
		case b.bare || c.Type != "socket.connect" && c.Type != "channel.join":
			io.WriteString(w, `{"status":"ok","id":"user:7"}`)
		default:
			fmt.Fprintf(w, `{"status":"ok","id":"user:7","expires_at":%q}`, time.Now().Add(time.Second).Format(time.RFC3339Nano))
		}
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *expiring) say(code int, bare bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.code, b.bare = code, bare
}

func (b *expiring) count(kind string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls[kind]
}

// TestExpiresAt: what a backend lets in for a while it is asked about again. A no ends it; nothing else does.
func TestExpiresAt(t *testing.T) {
	t.Parallel()
	pod := func(t *testing.T, b *expiring, events string) *pod {
		return ownPod(t, lab.redis.url(), settings{
			"ROOST_WEBHOOK_URL": b.URL, "ROOST_WEBHOOK_EVENTS": events, "ROOST_IDLE_TIMEOUT": "20s", "ROOST_TOPICS_FILE": "", "ROOST_WEBHOOK_SECRET": "",
		})
	}
	asked := func(t *testing.T, b *expiring, kind string, least int) {
		t.Helper()
		eventually(t, func() error {
			if n := b.count(kind); n < least {
				return fmt.Errorf("got %d calls of %s, want %d", n, kind, least)
			}
			return nil
		})
	}
	t.Run("connection", func(t *testing.T) {
		t.Parallel()
		b := newExpiring(t)
		p := pod(t, b, "connect,join,push")
		c := dial(t, p, "vsn=2.0.0")
		asked(t, b, "socket.connect", 3)
		b.say(503, false)
		p.wantMetric(t, `roost_expiries_total{of="connection",result="unknown"} 1`)
		c.Heartbeat()
		b.say(403, false)
		c.WantClose(1008)
	})
	t.Run("channel", func(t *testing.T) {
		t.Parallel()
		b := newExpiring(t)
		p := pod(t, b, "join,push")
		c := dial(t, p, "vsn=2.0.0")
		c.ask(`["1","1",$T,"phx_join",{"x":1}]`, `["1","1",$T,"phx_reply",ok{}]`)
		asked(t, b, "channel.join", 3)
		b.say(503, false)
		p.wantMetric(t, `roost_expiries_total{of="channel",result="unknown"} 1`)
		c.Heartbeat()
		b.say(403, false)
		c.want(`["1","1",$T,"phx_error",{"reason":"channel_crash"}]`)
		c.Heartbeat()
	})
	t.Run("once", func(t *testing.T) {
		t.Parallel()
		b := newExpiring(t)
		p := pod(t, b, "join,push")
		c := dial(t, p, "vsn=2.0.0")
		c.ask(`["1","1",$T,"phx_join",{}]`, `["1","1",$T,"phx_reply",ok{}]`)
		b.say(0, true)
		p.wantMetric(t, `roost_expiries_total{of="channel",result="renewed"} 1`)
		time.Sleep(2500 * time.Millisecond)
		if n := b.count("channel.join"); n != 2 {
			t.Errorf("the backend was asked %d times, want once for the join and once after it", n)
		}
		c.Heartbeat()
	})
}

// TestRenewalAsksTheBackend: without tokens of the gateway's own, access_token on the topic phoenix asks about the connection again,
// with what the client sent as auth_token.
func TestRenewalAsksTheBackend(t *testing.T) {
	t.Parallel()
	b := newExpiring(t)
	p := ownPod(t, lab.redis.url(), settings{
		"ROOST_WEBHOOK_URL": b.URL, "ROOST_WEBHOOK_EVENTS": "connect,join,push", "ROOST_TOPICS_FILE": "", "ROOST_WEBHOOK_SECRET": "",
	})
	c := dial(t, p, "vsn=2.0.0")
	b.say(0, true)
	c.ask(`[null,"1","phoenix","access_token",{"token":"opaque"}]`, `[null,"1","phoenix","phx_reply",ok{}]`)
	if b.mu.Lock(); b.token != "opaque" {
		t.Errorf("the backend was asked about %q, want opaque", b.token)
	}
	b.mu.Unlock()
	b.say(401, false)
	c.ask(`[null,"2","phoenix","access_token",{"token":"bad"}]`, `[null,"2","phoenix","phx_reply",ERR({"reason":"unauthorized"})]`)
	b.say(503, false)
	c.ask(`[null,"3","phoenix","access_token",{"token":"other"}]`, `[null,"3","phoenix","phx_reply",ERR({"reason":"unavailable"})]`)
	c.Heartbeat() // a token that is no good changes nothing
}
