package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"

	"roost/auth"
	"roost/gateway"
	"roost/phoenix/phoenixtest"
)

func TestVersions(t *testing.T) {
	seen := make(chan string, 1)
	p := startPod(t, &backend{connect: func(_ context.Context, c *auth.Client) (*auth.ConnectAnswer, error) {
		seen <- c.VSN + " " + string(c.Params)
		return &auth.ConnectAnswer{}, nil
	}})
	for query, want := range map[string]string{
		"":                                  `1.0.0 {}`,
		"?vsn=1.0.0&vsn=2.0.0":              `2.0.0 {"vsn":"2.0.0"}`,
		"?vsn=9&a=b&vsn=1.0.7":              `1.0.7 {"vsn":"1.0.7","a":"b"}`,
		"?vsn[]=9&vsn=2.0.5":                `2.0.5 {"vsn":"2.0.5"}`,
		"?&a%5B0%5D=x&vsn=2.0.0%2Bx&b=%22q": `2.0.0+x {"a":{"0":"x"},"vsn":"2.0.0+x","b":"\"q"}`,
	} {
		if got := p.status("/socket/websocket"+query, nil); got != 101 {
			t.Errorf("%s: got status %d, want 101", query, got)
			continue
		}
		if got := await(t, "connect", seen); got != want {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
	for query, want := range map[string]int{
		"?vsn=2.0.0&vsn=3.0.0": 403, "?vsn=": 403, "?vsn": 403, "?vsn=2": 403, "?vsn[]=2.0.0": 403, "?vsn[a]=2.0.0": 403, "?vsn=2.0.0&vsn[]=2.0.0": 403,
		"?vsn=2.0.0&a=%ff": 400,
	} {
		if got := p.status("/socket/websocket"+query, nil); got != want {
			t.Errorf("%s: got status %d, want %d", query, got, want)
		}
	}
	select {
	case got := <-seen:
		t.Errorf("the backend was asked about %s, want it spared", got)
	default:
	}
}

func TestPathVariables(t *testing.T) {
	params := make(chan string, 1)
	p := startPod(t, &backend{connect: func(_ context.Context, c *auth.Client) (*auth.ConnectAnswer, error) {
		params <- string(c.Params)
		return &auth.ConnectAnswer{}, nil
	}}, func(c *gateway.Config) { c.SocketPath = "/ws/:user" })
	if got := p.status("/ws/a%22b/websocket/?vsn=2.0.0&user=c&user[x]=d", nil); got != 101 {
		t.Fatalf("got status %d, want 101", got)
	}
	if got, want := await(t, "connect", params), `{"vsn":"2.0.0","user":"a\"b"}`; got != want {
		t.Errorf("got params %s, want %s", got, want)
	}
	for _, target := range []string{"/ws/websocket", "/ws//websocket", "/ws/a/b/websocket", "/ws/a", "/"} {
		if got := p.status(target, nil); got != 404 {
			t.Errorf("%s: got status %d, want 404", target, got)
		}
	}
}

func TestConnectAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		status int
		body   string
		kind   string
	}{
		"a no":                {&auth.Refusal{Code: 403}, 403, "", ""},
		"a no with an object": {&auth.Refusal{Code: 429, Response: []byte(`{"wait":1}`)}, 429, `{"wait":1}`, "application/json"},
		"a no with a text":    {&auth.Refusal{Code: 401, Response: []byte(`"who?"`)}, 401, "who?", "text/plain; charset=utf-8"},
		"no answer":           {errors.New("refused"), 503, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := &backend{connect: func(context.Context, *auth.Client) (*auth.ConnectAnswer, error) { return nil, c.err }}
			p := startPod(t, b)
			r := phoenixtest.Open(t, p.addr, phoenixtest.Request{Target: "/socket/websocket"})
			if r.Status != c.status || string(r.Body) != c.body || r.Header.Get("Content-Type") != c.kind {
				t.Errorf("got %d %q of type %q, want %d %q of type %q", r.Status, r.Body, r.Header.Get("Content-Type"), c.status, c.body, c.kind)
			}
			if got, want := r.Header.Get("Retry-After") != "", c.status == 503; got != want {
				t.Errorf("got Retry-After: %t, want %t", got, want)
			}
			b.wantGone(t)
		})
	}
}

// A client that gave up while the backend was asked is told to the backend exactly if it was accepted.
func TestClientGoneDuringHandshake(t *testing.T) {
	asked, let := make(chan struct{}), make(chan error)
	b := &backend{connect: func(ctx context.Context, c *auth.Client) (*auth.ConnectAnswer, error) {
		asked <- struct{}{}
		<-ctx.Done()
		if err := <-let; err != nil {
			return nil, err
		}
		return &auth.ConnectAnswer{ID: "user:1"}, nil
	}}
	p := startPod(t, b)
	for _, answer := range []error{context.Canceled, nil} {
		conn := p.connect()
		if _, err := io.WriteString(conn, "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2l4dGVlbiBieXRlcyBvaw==\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		await(t, "connect", asked)
		conn.Close()
		let <- answer // returns once the backend's context has ended
	}
	b.wantGone(t, "closed")
	p.wantCounter(0, "roost_connections")
}

func TestHeadersForTheBackend(t *testing.T) {
	got := make(chan *auth.Client, 1)
	p := startPod(t, &backend{connect: func(_ context.Context, c *auth.Client) (*auth.ConnectAnswer, error) {
		got <- c
		return &auth.ConnectAnswer{}, nil
	}}, func(c *gateway.Config) { c.ConnectHeaders = []string{"User-Agent", "x-request-id"} })
	p.status("/socket/websocket", http.Header{"User-Agent": {`a"b`}, "X-Request-Id": {"1", "2"}, "Cookie": {"secret"}})
	c := await(t, "connect", got)
	var headers map[string]string
	if err := json.Unmarshal(c.Headers, &headers); err != nil {
		t.Fatalf("got headers %s, want an object", c.Headers)
	}
	if len(headers) != 2 || headers["user-agent"] != `a"b` || headers["x-request-id"] != "1, 2" {
		t.Errorf("got headers %s, want user-agent and x-request-id", c.Headers)
	}
	if c.RemoteIP != "127.0.0.1" || c.Transport != "websocket" || string(c.Assigns) != `{}` {
		t.Errorf("got remote ip %s, transport %s, assigns %s, want 127.0.0.1, websocket, {}", c.RemoteIP, c.Transport, c.Assigns)
	}
}
