package webhook_test

import (
	"net/http"
	"testing"

	"roost/auth/webhook"
)

// BenchmarkJoin is a join without a network: what the client itself costs.
func BenchmarkJoin(b *testing.B) {
	for name, c := range map[string]struct {
		id     string
		answer string
		off    bool
	}{
		"a stranger":              {"", `{"status":"ok"}`, false},
		"a socket id":             {"user:1", `{"status":"ok"}`, false},
		"a socket id, not shared": {"user:1", `{"status":"ok"}`, true},
		"cached":                  {"user:1", `{"status":"ok","cache":"1h"}`, false},
	} {
		b.Run(name, func(b *testing.B) {
			client, err := webhook.New(webhook.Config{URL: "http://backend.test", NoCoalescing: c.off,
				Transport: transport(func(*http.Request) (*http.Response, error) { return saying(c.answer), nil })})
			if err != nil {
				b.Fatal(err)
			}
			r := joinAs("a", c.id, "rooms:lobby")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.Join(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
