package admin_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"roost/admin"
)

func get(t *testing.T, h http.Handler, method, target string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, target, nil))
	body, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return w.Code, string(body)
}

func TestHealth(t *testing.T) {
	down := errors.New("the link to Redis is down")
	draining := errors.New("the pod is stopping")
	ok := admin.Check{Name: "redis", Ask: func() error { return nil }}
	noRedis := admin.Check{Name: "redis", Ask: func() error { return down }}
	stopping := admin.Check{Name: "running", Ask: func() error { return draining }}
	for name, c := range map[string]struct {
		checks []admin.Check
		target string
		status int
		body   string
	}{
		"alive":                        {nil, "/livez", 200, "ok\n"},
		"alive without Redis":          {[]admin.Check{noRedis}, "/livez", 200, "ok\n"},
		"the other name of livez":      {[]admin.Check{noRedis}, "/healthz", 200, "ok\n"},
		"ready":                        {[]admin.Check{ok}, "/readyz", 200, "ready\n"},
		"ready, in detail":             {[]admin.Check{ok}, "/readyz?verbose", 200, "redis: ok\nready\n"},
		"not ready says why":           {[]admin.Check{noRedis}, "/readyz", 503, "not ready: the link to Redis is down\n"},
		"not ready names every reason": {[]admin.Check{noRedis, stopping}, "/readyz", 503, "not ready: the link to Redis is down; the pod is stopping\n"},
		"not ready, in detail": {[]admin.Check{ok, stopping}, "/readyz?verbose", 503,
			"redis: ok\nrunning: failed: the pod is stopping\nnot ready: the pod is stopping\n"},
		"not found": {nil, "/", 404, "404 page not found\n"},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := get(t, admin.Handler(admin.Config{Ready: c.checks}), "GET", c.target)
			if status != c.status || body != c.body {
				t.Errorf("GET %s: got %d %q, want %d %q", c.target, status, body, c.status, c.body)
			}
		})
	}
}

func TestOnlyReading(t *testing.T) {
	for _, target := range []string{"/livez", "/healthz", "/readyz", "/metrics"} {
		if status, _ := get(t, admin.Handler(admin.Config{}), "POST", target); status != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: got %d, want %d", target, status, http.StatusMethodNotAllowed)
		}
		if status, _ := get(t, admin.Handler(admin.Config{}), "HEAD", target); status != http.StatusOK {
			t.Errorf("HEAD %s: got %d, want %d", target, status, http.StatusOK)
		}
	}
}

func TestMetrics(t *testing.T) {
	registry := admin.NewRegistry(admin.Build{Version: "v1.2.3", Revision: "abc", GoVersion: "go9"})
	status, body := get(t, admin.Handler(admin.Config{Metrics: registry}), "GET", "/metrics")
	if status != http.StatusOK {
		t.Fatalf("GET /metrics: got %d, want 200", status)
	}
	for _, want := range []string{
		`roost_build_info{go_version="go9",revision="abc",version="v1.2.3"} 1`,
		"\ngo_goroutines ", "\nprocess_open_fds ",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("GET /metrics: %q is missing in\n%s", want, body)
		}
	}
}
