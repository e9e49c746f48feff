package webhook_test

import (
	"io"
	"net/http"
	"sync"
	"testing"

	"roost/auth/webhook"
)

func TestKeptConnectionThatTheBackendClosed(t *testing.T) {
	for name, again := range map[string]bool{"connect": true, "join": true, "push": false} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var ids []string
			c := newClient(t, webhook.Config{URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				body(t, r)
				if ids = append(ids, r.Header.Get("webhook-id")); len(ids) != 2 {
					io.WriteString(w, `{"status":"ok"}`)
					return
				}
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				conn.Close()
			})})
			call := calls[name]
			if err := call(t.Context(), c); err != nil {
				t.Fatalf("first %s: got %v, want nil", name, err)
			}
			if err := call(t.Context(), c); (err == nil) != again {
				t.Errorf("second %s, on a connection that breaks: got %v, want success: %v", name, err, again)
			}
			mu.Lock()
			defer mu.Unlock()
			want := 2
			if again {
				want = 3
			}
			if len(ids) != want || ids[0] == ids[1] || again && ids[1] != ids[2] {
				t.Errorf("ids of the requests: got %v, want %d, the second and later ones the same", ids, want)
			}
		})
	}
}
