package webhook_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"unicode/utf8"

	"roost/auth"
	"roost/auth/webhook"
)

// FuzzAnswer feeds answers to all three calls: whatever is taken can be sent to clients.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		everything, ``, `{}`, `{"status":"error","code":404,"response":[]}`, `{"status":"ok","response_base64":"AA=="}`,
		`{"status":"ok","push":[{"event":"e","payload":{},"payload_base64":"AA=="}],"stop":"close"}`, `{"status":"\ud83d\ude00"}`,
	} {
		f.Add(200, []byte(seed))
		f.Add(403, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, code int, body []byte) {
		c, err := webhook.New(webhook.Config{URL: "http://backend.test", Events: allEvents, Transport: transport(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: code, ContentLength: -1, Body: io.NopCloser(bytes.NewReader(body))}, nil
		})})
		if err != nil {
			t.Fatal(err)
		}
		if a, err := c.Connect(t.Context(), someone()); err == nil {
			check(t, a.Assigns, false, true)
		} else if refusal, ok := err.(*auth.Refusal); ok {
			check(t, refusal.Response, refusal.Binary, false)
			if refusal.Code < 400 || refusal.Code > 599 {
				t.Errorf("refusal: got code %d, want 400 to 599", refusal.Code)
			}
		}
		if a, err := c.Join(t.Context(), joinOf("t")); err == nil {
			if a.Status != "ok" && a.Status != "error" || a.Stop != auth.StopNot {
				t.Errorf("join: got status %q and stop %d, want ok or error and none", a.Status, a.Stop)
			}
			checkAnswer(t, a)
		}
		if a, err := c.Push(t.Context(), pushOf("e")); err == nil {
			checkAnswer(t, a)
		}
	})
}

func checkAnswer(t *testing.T, a *auth.Answer) {
	t.Helper()
	check(t, a.Response, a.Binary, false)
	check(t, a.Assigns, false, true)
	for _, p := range a.Pushes {
		check(t, p.Payload, p.Binary, true)
		if p.Event == "" || !utf8.ValidString(p.Event) || !json.Valid([]byte(p.Ref.JSON())) {
			t.Errorf("push: got event %q and ref %s, want a text and JSON", p.Event, p.Ref.JSON())
		}
	}
	for _, b := range a.Broadcasts {
		check(t, b.Payload, b.Binary, true)
		if b.Event == "" || !utf8.ValidString(b.Event) || !utf8.ValidString(b.Topic) {
			t.Errorf("broadcast: got event %q and topic %q, want texts", b.Event, b.Topic)
		}
	}
}

// check checks what is JSON, unless there is nothing.
func check(t *testing.T, content []byte, binary, object bool) {
	t.Helper()
	if binary || content == nil {
		return
	}
	if !json.Valid(content) || !utf8.Valid(content) || object && content[0] != '{' {
		t.Errorf("got %q, want valid JSON (an object: %v)", content, object)
	}
}
