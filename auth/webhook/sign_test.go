package webhook_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"roost/auth/webhook"
)

func TestSignature(t *testing.T) {
	secret := func(b byte) string {
		return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(rune(b)), 32)))
	}
	oldSecret, newSecret, otherSecret := secret('o'), secret('n'), secret('x')
	for name, secrets := range map[string][]string{
		"a list":            {newSecret, oldSecret},
		"one text, rotated": {newSecret + "  " + oldSecret},
	} {
		t.Run(name, func(t *testing.T) {
			type request struct {
				header http.Header
				body   []byte
			}
			requests := make(chan request, 1)
			c := newClient(t, webhook.Config{Secrets: secrets, URL: serve(t, func(_ http.ResponseWriter, r *http.Request) {
				requests <- request{r.Header, body(t, r)}
			})})
			if _, err := c.Push(t.Context(), pushOf("e")); err != nil {
				t.Fatal(err)
			}
			r := receive(t, requests)
			for secret, good := range map[string]bool{oldSecret: true, newSecret: true, otherSecret: false} {
				verifier, err := standardwebhooks.NewWebhook(secret)
				if err != nil {
					t.Fatal(err)
				}
				if err := verifier.Verify(r.body, r.header); (err == nil) != good {
					t.Errorf("verify %q: got %v, want verified: %v", r.header.Get("webhook-signature"), err, good)
				}
				if good && verifier.Verify(append(r.body, ' '), r.header) == nil {
					t.Error("verify another body: got nil, want an error")
				}
			}
		})
	}
}

func TestUnsigned(t *testing.T) {
	headers := make(chan http.Header, 2)
	c := newClient(t, webhook.Config{URL: serve(t, func(_ http.ResponseWriter, r *http.Request) { headers <- r.Header })})
	c.Push(t.Context(), pushOf("e"))
	c.Join(t.Context(), joinOf("t"))
	first, second := receive(t, headers), receive(t, headers)
	if got := first.Get("webhook-signature"); got != "" {
		t.Errorf("signature without a secret: got %q, want none", got)
	}
	if a, b := first.Get("webhook-id"), second.Get("webhook-id"); a == "" || a == b {
		t.Errorf("ids of two calls: got %q and %q, want two different ones", a, b)
	}
	if first.Get("webhook-timestamp") == "" {
		t.Error("webhook-timestamp: got none, want one")
	}
	if _, found := second["Idempotency-Key"]; found {
		t.Error("idempotency-key: got one, want none on the wire")
	}
}

func TestNewErrors(t *testing.T) {
	good := webhook.Config{URL: "https://backend.test/hook"}
	if _, err := webhook.New(good); err != nil {
		t.Fatalf("New: got %v, want nil", err)
	}
	for name, c := range map[string]struct {
		change func(*webhook.Config)
		want   string
	}{
		"no URL":             {func(c *webhook.Config) { c.URL = "" }, "http://"},
		"another scheme":     {func(c *webhook.Config) { c.URL = "ftp://hunter2@backend.test" }, "http://"},
		"no host":            {func(c *webhook.Config) { c.URL = "http:///hunter2" }, "no host"},
		"not a URL":          {func(c *webhook.Config) { c.URL = "http://u:hunter2@h:port/\x00" }, "URL"},
		"an unknown event":   {func(c *webhook.Config) { c.Events = []string{"join", "joins"} }, `"joins"`},
		"a bare secret":      {func(c *webhook.Config) { c.Secrets = []string{"hunter2="} }, "secret 1"},
		"a secret not in 64": {func(c *webhook.Config) { c.Secrets = []string{"whsec_aGk= whsec_hunter2!"} }, "secret 2"},
		"an empty secret":    {func(c *webhook.Config) { c.Secrets = []string{"whsec_"} }, "secret 1"},
	} {
		config := good
		c.change(&config)
		_, err := webhook.New(config)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want something with %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), secretText) {
			t.Errorf("%s: got %q, want no secret in it", name, err)
		}
	}
}

func TestBasicAuthentication(t *testing.T) {
	users := make(chan string, 1)
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		users <- user + "/" + password
	})
	c := newClient(t, webhook.Config{URL: strings.Replace(url, "http://", "http://me:p%40ss@", 1)})
	c.Push(t.Context(), pushOf("e"))
	if got, want := receive(t, users), "me/p@ss"; got != want {
		t.Errorf("user: got %q, want %q", got, want)
	}
}
