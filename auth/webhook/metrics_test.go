package webhook_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"roost/auth/webhook"
)

// gauge returns a metric's value, the sum of its series that have label as one of their labels' values, if one is given.
func gauge(t testing.TB, registry *prometheus.Registry, name string, label ...string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			found := len(label) == 0
			for _, pair := range m.GetLabel() {
				found = found || pair.GetValue() == label[0]
			}
			if found {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	code := make(chan int, 1)
	c := newClient(t, webhook.Config{Registerer: registry, URL: serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(<-code)
	})})
	for _, status := range []int{204, 204, 401, 500, 302} {
		code <- status
		c.Push(t.Context(), pushOf("e"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.Push(ctx, pushOf("e"))
	for result, want := range map[string]float64{"ok": 2, "refused": 1, "server_error": 1, "bad_answer": 1, "canceled": 1} {
		if got := gauge(t, registry, "roost_webhook_calls_total", result); got != want {
			t.Errorf("calls with result %s: got %v, want %v", result, got, want)
		}
	}
	if got := gauge(t, registry, "roost_webhook_seconds", "channel.push"); got != 6 {
		t.Errorf("calls timed: got %v, want 6", got)
	}
	if _, err := webhook.New(webhook.Config{URL: "http://backend.test", Registerer: registry}); err == nil {
		t.Error("the same metrics again: got nil, want an error")
	}
}
