package webhook_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"roost/auth"
	"roost/auth/webhook"
)

// signed is a backend that verifies with a secret, says what it is asked, and answers joins with its name.
func signed(t *testing.T, name, secret string) (url string, asked chan string) {
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	asked = make(chan string, 100)
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		s := read(t, r)
		if err := verifier.Verify([]byte(s.body), r.Header); err != nil {
			t.Errorf("%s: verify: %v", name, err)
		}
		asked <- s.Type + " " + s.Data.Topic
		io.WriteString(w, `{"status":"ok","response":"`+name+`"}`)
	}), asked
}

func TestBackendsOfRules(t *testing.T) {
	const one, two, three = "whsec_b25lb25lb25lb25lb25lb25l", "whsec_dHdvdHdvdHdvdHdvdHdvdHdv", "whsec_dGhyZWV0aHJlZXRocmVlMTIz"
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(three+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	main, mainAsked := signed(t, "main", one)
	rooms, roomsAsked := signed(t, "rooms", two)
	games, gamesAsked := signed(t, "games", three)
	registry := prometheus.NewRegistry()
	c := newClient(t, webhook.Config{URL: main, Secrets: []string{one}, Registerer: registry, Rules: auth.Rules{
		{Pattern: "rooms:*", Webhook: &auth.Webhook{URL: rooms, Secret: two}},
		{Pattern: "games:*", Webhook: &auth.Webhook{URL: games, SecretFile: file}},
		{Pattern: "*"},
	}})
	for topic, want := range map[string]string{"rooms:1": "rooms", "games:1": "games", "else": "main"} {
		a, err := c.Join(t.Context(), joinOf(topic))
		if err != nil || string(a.Response) != `"`+want+`"` {
			t.Errorf("join of %s: got %v, %v, want the answer of %s", topic, a, err, want)
		}
		p := pushOf("e")
		p.Topic = topic
		if a, err := c.Push(t.Context(), p); err != nil || string(a.Response) != `"`+want+`"` {
			t.Errorf("push to %s: got %v, %v, want the answer of %s", topic, a, err, want)
		}
		c.Leave(leaveOf("c", topic))
	}
	if _, err := c.Connect(t.Context(), someone()); err != nil {
		t.Errorf("Connect: got %v, want nil", err)
	}
	c.Disconnect(&auth.DisconnectNotice{Client: someone(), Reason: auth.ReasonClosed})
	for name, asked := range map[string]chan string{"rooms:1": roomsAsked, "games:1": gamesAsked} {
		for _, want := range []string{"channel.join ", "channel.push ", "channel.leave "} {
			if got := receive(t, asked); got != want+name {
				t.Errorf("the backend of %s was asked %q, want %q", name, got, want+name)
			}
		}
	}
	all := map[string]bool{}
	for range 5 {
		all[receive(t, mainAsked)] = true
	}
	for _, want := range []string{"channel.join else", "channel.push else", "channel.leave else", "socket.connect ", "socket.disconnect "} {
		if !all[want] {
			t.Errorf("the main backend was asked %v, want also %q", all, want)
		}
	}
	eventually(t, "each backend's calls are counted", func() bool {
		return gauge(t, registry, "roost_webhook_calls_total", "rooms:*") == 3 && gauge(t, registry, "roost_webhook_calls_total", "games:*") == 3 &&
			gauge(t, registry, "roost_webhook_calls_total", "default") == 5
	})
}

func TestBackendsFailAlone(t *testing.T) {
	registry := prometheus.NewRegistry()
	hang := serve(t, func(_ http.ResponseWriter, r *http.Request) { body(t, r); <-r.Context().Done() })
	good := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"status":"ok"}`) })
	c := newClient(t, webhook.Config{
		URL: good, Timeout: patience, MaxInFlight: 1, Registerer: registry, Breaker: webhook.BreakerConfig{MinCalls: 3},
		Rules: auth.Rules{{Pattern: "bad", Webhook: &auth.Webhook{URL: hang, Timeout: 20 * time.Millisecond}}},
	})
	for range 3 {
		_, err := c.Join(t.Context(), joinOf("bad"))
		wantFailure(t, err, "timeout")
		if _, err := c.Join(t.Context(), joinOf("good")); err != nil {
			t.Errorf("beside it: got %v, want nil", err)
		}
	}
	_, err := c.Join(t.Context(), joinOf("bad"))
	wantFailure(t, err, "breaker is open")
	if _, err := c.Join(t.Context(), joinOf("good")); err != nil {
		t.Errorf("beside an open breaker: got %v, want nil", err)
	}
	if bad, main := gauge(t, registry, "roost_webhook_breaker_state", "bad"), gauge(t, registry, "roost_webhook_breaker_state", "default"); bad != 2 || main != 0 {
		t.Errorf("states: got %v and %v, want 2 and 0", bad, main)
	}
}

func TestOnlyRulesHaveBackends(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"status":"ok"}`) })
	rules := auth.Rules{{Pattern: "mine", Webhook: &auth.Webhook{URL: url}}, {Pattern: "*"}}
	c := newClient(t, webhook.Config{Rules: rules, Events: []string{"join", "push", "leave"}})
	if _, err := c.Join(t.Context(), joinOf("mine")); err != nil {
		t.Errorf("Join: got %v, want nil", err)
	}
	if _, err := c.Join(t.Context(), joinOf("other")); err == nil || errors.Is(err, auth.ErrLate) {
		t.Errorf("Join of a topic without a backend: got %v, want an error that is not late", err)
	}
	if _, err := webhook.New(webhook.Config{Rules: rules, Events: []string{"connect"}}); err == nil || !strings.Contains(err.Error(), "connect") {
		t.Errorf("with connect: got %v, want an error that names it", err)
	}
}

func TestRuleBackendErrors(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		webhook auth.Webhook
		want    string
	}{
		"no URL":        {auth.Webhook{}, "http://"},
		"a bad secret":  {auth.Webhook{URL: "http://b.test", Secret: "hunter2"}, "secret 1"},
		"no such file":  {auth.Webhook{URL: "http://b.test", SecretFile: "/nowhere"}, "/nowhere"},
		"an empty file": {auth.Webhook{URL: "http://b.test", SecretFile: empty}, "is empty"},
		"a bad URL":     {auth.Webhook{URL: "ftp://u:hunter2@b.test"}, "http://"},
	} {
		_, err := webhook.New(webhook.Config{URL: "http://main.test", Rules: auth.Rules{{Pattern: "rooms:*", Webhook: &c.webhook}}})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `"rooms:*"`) || strings.Contains(err.Error(), secretText) {
			t.Errorf("%s: got %v, want something with %q and the rule, and no secret", name, err, c.want)
		}
	}
}
