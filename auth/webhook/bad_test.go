package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"roost/auth"
	"roost/auth/webhook"
)

// calls are the three calls that wait for an answer.
var calls = map[string]func(context.Context, *webhook.Client) error{
	"connect": func(ctx context.Context, c *webhook.Client) error { _, err := c.Connect(ctx, someone()); return err },
	"join":    func(ctx context.Context, c *webhook.Client) error { _, err := c.Join(ctx, joinOf("t")); return err },
	"push":    func(ctx context.Context, c *webhook.Client) error { _, err := c.Push(ctx, pushOf("e")); return err },
}

// wantFailure checks that err means that the backend could not be asked.
func wantFailure(t *testing.T, err error, text string) {
	t.Helper()
	var refusal *auth.Refusal
	switch {
	case err == nil || errors.As(err, &refusal):
		t.Errorf("got %v, want an error that is not a refusal", err)
	case !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), secretText):
		t.Errorf("got %q, want something with %q and nothing of the answer", err, text)
	}
}

func TestBadAnswers(t *testing.T) {
	for _, c := range []struct {
		code int
		body string
		want any // an auth.Refusal, or what the error says
	}{
		{401, `{"response":{"reason":"log in"}}`, auth.Refusal{Code: 401, Response: []byte(`{"reason":"log in"}`)}},
		{401, ``, auth.Refusal{Code: 401}},
		{403, `<html>`, auth.Refusal{Code: 403}},
		{403, `{"response":null}`, auth.Refusal{Code: 403}},
		{403, `{"response":`, auth.Refusal{Code: 403}},
		{403, "{\"response\":\"\xff\"}", auth.Refusal{Code: 403}},
		{404, `{"response_base64":"AP8="}`, auth.Refusal{Code: 404, Response: []byte{0, 255}, Binary: true}},
		{422, `{"response_base64":"?"}`, auth.Refusal{Code: 422}},
		{429, `{"response":"slow"}`, auth.Refusal{Code: 429, Response: []byte(`"slow"`)}},
		{400, `{"response":"` + strings.Repeat("x", 2<<20) + `"}`, auth.Refusal{Code: 400}},
		{500, `{"status":"ok","response":"hunter2"}`, "answered 500"},
		{502, `<html>hunter2`, "answered 502"},
		{503, ``, "answered 503"},
		{599, ``, "answered 599"},
		{300, `{"status":"ok"}`, "redirects are not followed"},
		{302, `{"status":"ok"}`, "redirects are not followed"},
		{200, `<html>hunter2</html>`, "not a JSON object"},
	} {
		client := answering(t, c.code, c.body)
		for name, call := range calls {
			t.Run(fmt.Sprintf("%s %d %.40s", name, c.code, c.body), func(t *testing.T) {
				err := call(t.Context(), client)
				if text, ok := c.want.(string); ok {
					wantFailure(t, err, text)
					return
				}
				var got *auth.Refusal
				if !errors.As(err, &got) || !reflect.DeepEqual(*got, c.want) {
					t.Errorf("got %#v, want %+v", err, c.want)
				}
			})
		}
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	var visits atomic.Int64
	other := serve(t, func(http.ResponseWriter, *http.Request) { visits.Add(1) })
	c := newClient(t, webhook.Config{URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other, http.StatusTemporaryRedirect)
	})})
	for _, call := range calls {
		wantFailure(t, call(t.Context(), c), "answered 307")
	}
	if got := visits.Load(); got != 0 {
		t.Errorf("visits behind the redirect: got %d, want 0", got)
	}
}

func TestRefusedAndReset(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	refusing := newClient(t, webhook.Config{URL: "http://" + listener.Addr().String()})
	hijack := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(conn, answer)
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}
	}
	resetting := newClient(t, webhook.Config{URL: serve(t, hijack(""))})
	cutting := newClient(t, webhook.Config{URL: serve(t, hijack("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"status\":\"ok\""))})
	babbling := newClient(t, webhook.Config{URL: serve(t, hijack("hunter2 is not HTTP\r\n\r\n"))})
	for _, call := range calls {
		wantFailure(t, call(t.Context(), refusing), "refused")
		wantFailure(t, call(t.Context(), resetting), "webhook")
		wantFailure(t, call(t.Context(), cutting), "webhook")
		wantFailure(t, call(t.Context(), babbling), "not HTTP")
	}
}

func TestHugeAnswer(t *testing.T) {
	const size, chunk = 100 << 20, 64 << 10
	for name, announced := range map[string]bool{"announced": true, "unannounced": false} {
		t.Run(name, func(t *testing.T) {
			written := make(chan int, 1)
			c := newClient(t, webhook.Config{Timeout: patience, URL: serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if announced {
					w.Header().Set("content-length", fmt.Sprint(size))
				}
				total, spaces := 0, []byte(strings.Repeat(" ", chunk))
				for total < size {
					n, err := w.Write(spaces)
					total += n
					if err != nil {
						break
					}
				}
				written <- total
			})})
			_, err := c.Join(t.Context(), joinOf("t"))
			wantFailure(t, err, "larger than 1048576 bytes")
			if got := receive(t, written); got >= size {
				t.Errorf("bytes that the backend got rid of: got %d, want fewer than %d", got, size)
			}
		})
	}
}

func TestAnswerOfTheLargestSize(t *testing.T) {
	const answer = `{"status":"ok"}`
	for size, good := range map[int]bool{len(answer): true, len(answer) - 1: false} {
		c := newClient(t, webhook.Config{MaxAnswerSize: size, URL: serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush() // no content-length
			io.WriteString(w, answer)
		})})
		if _, err := c.Join(t.Context(), joinOf("t")); (err == nil) != good {
			t.Errorf("answer of %d bytes with a limit of %d: got %v, want taken: %v", len(answer), size, err, good)
		}
	}
}

func TestHangingBackend(t *testing.T) {
	hang := func(first string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body(t, r) // the server notices a closed connection only then
			io.WriteString(w, first)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			io.WriteString(w, `"ok"}`)
		}
	}
	for name, first := range map[string]string{"before it answers": "", "within its answer": `{"status":`} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, webhook.Config{Timeout: 20 * time.Millisecond, URL: serve(t, hang(first))})
			for _, call := range calls {
				wantFailure(t, call(t.Context(), c), "timeout")
			}
		})
	}
}
