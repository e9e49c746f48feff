package web_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"roost/web"
)

var page = web.Page{
	SocketPath: "/live", Topic: "rooms:lobby", Backend: "a backend", Admin: "http://127.0.0.1:4001",
	Publish: `redis-cli PUBLISH t '{"a":1}'`, Rejoin: "rejoin", Broken: "broken", Members: "members",
}

func get(t *testing.T, path string) *httptest.ResponseRecorder {
	t.Helper()
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
	r.Host = "127.0.0.1:4321"
	web.Handler(page, next).ServeHTTP(w, r)
	return w
}

func TestPage(t *testing.T) {
	w := get(t, "/")
	body := w.Body.String()
	for _, want := range []string{
		`data-socket="/live"`, "ws://127.0.0.1:4321/live", "a backend", "http://127.0.0.1:4001/readyz",
		"redis-cli PUBLISH t &#39;{&#34;a&#34;:1}&#39;",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("GET /: %q is missing", want)
		}
	}
	if policy := w.Header().Get("content-security-policy"); !strings.Contains(policy, "connect-src 'self' ws://127.0.0.1:4321") {
		t.Errorf("GET /: got policy %q, want one that allows the socket", policy)
	}
	if strings.Contains(body, "The chat needs phoenix.js") == web.Bundled() || strings.Contains(body, `src="/phoenix.js"`) != web.Bundled() {
		t.Errorf("GET /: got a page that does not fit phoenix.js being built in: %v", web.Bundled())
	}
}

func TestFiles(t *testing.T) {
	phoenix := http.StatusNotFound
	if web.Bundled() {
		phoenix = http.StatusOK
	}
	for path, want := range map[string]struct {
		status int
		kind   string
	}{
		"/app.js":         {http.StatusOK, "text/javascript; charset=utf-8"},
		"/style.css":      {http.StatusOK, "text/css; charset=utf-8"},
		"/phoenix.js":     {phoenix, ""},
		"/dist/README":    {http.StatusTeapot, ""},
		"/live/websocket": {http.StatusTeapot, ""},
	} {
		w := get(t, path)
		if w.Code != want.status {
			t.Errorf("GET %s: got %d, want %d", path, w.Code, want.status)
		}
		if kind := w.Header().Get("content-type"); want.kind != "" && kind != want.kind {
			t.Errorf("GET %s: got content-type %q, want %q", path, kind, want.kind)
		}
	}
}
