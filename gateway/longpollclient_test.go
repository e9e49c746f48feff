package gateway_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"roost/phoenix/phoenixtest"
)

// longPoller is a long-poll client of one test. It polls when the test asks it to.
type longPoller struct {
	tb    testing.TB
	base  string // URL of the endpoint, with its query
	http  *http.Client
	token string
	got   []string // messages that the test has not asked for yet
}

// pollAnswer is the body of an answer, and what came with it.
type pollAnswer struct {
	Status   int
	Token    string
	Messages []string

	code   int
	header http.Header
	closes bool // Connection: close
	body   string
}

// longPoll returns a client of p that has no session yet.
func (p *pod) longPoll() *longPoller {
	return newLongPoller(p.tb, "http://"+p.addr, http.DefaultTransport)
}

// polling opens a session at p.
func (p *pod) polling() *longPoller {
	p.tb.Helper()
	return p.longPoll().open()
}

func newLongPoller(tb testing.TB, server string, transport http.RoundTripper) *longPoller {
	t, isOne := transport.(*http.Transport)
	if isOne {
		t = t.Clone()
		tb.Cleanup(t.CloseIdleConnections)
		transport = t
	}
	return &longPoller{tb: tb, base: server + "/socket/longpoll?vsn=2.0.0", http: &http.Client{Transport: transport}}
}

// open opens a session.
func (c *longPoller) open() *longPoller {
	c.tb.Helper()
	a := c.poll()
	if a.Status != http.StatusGone || a.Token == "" {
		c.tb.Fatalf("got %+v, want 410 and a token", a)
	}
	c.token = a.Token
	return c
}

// at returns the same session at another server.
func (c *longPoller) at(server string) *longPoller {
	u, err := url.Parse(c.base)
	if err != nil {
		c.tb.Fatal(err)
	}
	other := newLongPoller(c.tb, server, c.http.Transport)
	other.base, other.token = server+u.Path+"?"+u.RawQuery, c.token
	return other
}

// request makes a request of the session.
func (c *longPoller) request(ctx context.Context, method string, body io.Reader, header http.Header) (a pollAnswer, err error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base, body)
	if err != nil {
		return a, err
	}
	if header != nil {
		r.Header = header
	}
	if c.token != "" {
		r.Header.Set("X-Phoenix-Longpoll-Token", c.token)
	}
	response, err := c.http.Do(r)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return a, err
	}
	_ = json.Unmarshal(text, &a) // what is no JSON has status 0
	a.code, a.header, a.closes, a.body = response.StatusCode, response.Header, response.Close, string(text)
	return a, nil
}

// poll polls once.
func (c *longPoller) poll() pollAnswer {
	c.tb.Helper()
	a, err := c.request(until(c.tb), http.MethodGet, nil, nil)
	if err != nil {
		c.tb.Fatalf("GET: %v", err)
	}
	return a
}

// hold polls in the background.
func (c *longPoller) hold() <-chan pollAnswer {
	answer := make(chan pollAnswer, 1)
	ctx := until(c.tb)
	go func() {
		a, err := c.request(ctx, http.MethodGet, nil, nil)
		if err != nil {
			a.body = err.Error()
		}
		answer <- a
	}()
	return answer
}

// post sends messages and wants status 200.
func (c *longPoller) post(frames ...string) {
	c.tb.Helper()
	if a := c.postBody("application/x-ndjson", strings.Join(frames, "\n")); a.Status != http.StatusOK {
		c.tb.Fatalf("POST: got %d %q, want status 200", a.code, a.body)
	}
}

func (c *longPoller) postBody(contentType, body string) pollAnswer {
	c.tb.Helper()
	a, err := c.request(until(c.tb), http.MethodPost, strings.NewReader(body), http.Header{"Content-Type": {contentType}})
	if err != nil {
		c.tb.Fatalf("POST: %v", err)
	}
	return a
}

// want polls until these messages came, in this order.
func (c *longPoller) want(frames ...string) {
	c.tb.Helper()
	for len(c.got) < len(frames) {
		a := c.poll()
		if a.Status != http.StatusOK && a.Status != http.StatusNoContent {
			c.tb.Fatalf("GET: got %d %q after %q, want %q", a.code, a.body, c.got, frames)
		}
		c.got = append(c.got, a.Messages...)
	}
	for i, frame := range frames {
		if !phoenixtest.Same(phoenixtest.Message{Data: []byte(c.got[i])}, frame) {
			c.tb.Fatalf("got message %s, want %s", c.got[i], frame)
		}
	}
	c.got = slices.Clone(c.got[len(frames):])
}

// join joins a topic with join_ref and ref "1".
func (c *longPoller) join(topic string) *longPoller {
	c.tb.Helper()
	c.post(join("1", topic))
	c.want(joined("1", topic))
	return c
}

// settle gives a request that was sent the time to arrive. What a test says is true even if it was too short.
func settle() { time.Sleep(100 * time.Millisecond) }
