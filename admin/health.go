package admin

import (
	"fmt"
	"net/http"
	"strings"
)

// A Check answers one question about the pod. Ask must not block; its error is a sentence for people.
type Check struct {
	Name string
	Ask  func() error
}

// live answers as long as the process can.
func live(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, "ok\n")
}

// ready answers 503 until all checks pass. With ?verbose it names each.
func ready(checks []Check) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var all strings.Builder
		var wrong []string
		for _, check := range checks {
			if err := check.Ask(); err != nil {
				fmt.Fprintf(&all, "%s: failed: %v\n", check.Name, err)
				wrong = append(wrong, err.Error())
			} else {
				fmt.Fprintf(&all, "%s: ok\n", check.Name)
			}
		}
		status, verdict := http.StatusOK, "ready\n"
		if len(wrong) > 0 {
			status, verdict = http.StatusServiceUnavailable, "not ready: "+strings.Join(wrong, "; ")+"\n"
		}
		if r.URL.Query().Has("verbose") {
			verdict = all.String() + verdict
		}
		answer(w, status, verdict)
	}
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("content-type", "text/plain; charset=utf-8")
	w.Header().Set("cache-control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // whoever asked is gone if this fails
}
