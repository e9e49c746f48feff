package conformance_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"roost/phoenix/phoenixtest"
)

// pollTransport is what long-poll clients share.
var pollTransport = &http.Transport{MaxIdleConnsPerHost: 2000}

// poller is a long-poll client of one test, with a topic of its own. In the frames of its methods the short forms of client
// stand for the same. It polls when the test asks it to.
type poller struct {
	t      testing.TB
	addr   string
	path   string // of the endpoint
	query  string
	token  string
	topic  string
	header http.Header // of every request
	got    []string    // messages that the test has not asked for yet
	asked  int         // heartbeats
}

// pollAnswer is the answer to a request of long-polling.
type pollAnswer struct {
	Status   int // of the body, 0 if it has none
	Token    string
	Messages []string

	code   int
	header http.Header
	body   string
	closes bool // Connection: close
	took   time.Duration
}

// pollOf returns a client without a session.
func pollOf(t testing.TB, addr string) *poller {
	return &poller{t: t, addr: addr, path: "/lp/longpoll", query: "vsn=2.0.0", topic: newTopic("lp"), header: http.Header{}}
}

// openPoll returns a client with a session. more goes into the first request's query.
func openPoll(t testing.TB, addr string, more ...string) *poller {
	t.Helper()
	c := pollOf(t, addr)
	c.query = strings.Join(append([]string{c.query}, more...), "&")
	return c.open()
}

// open opens a session.
func (c *poller) open() *poller {
	c.t.Helper()
	c.token = ""
	a := c.poll()
	if a.code != http.StatusOK || a.Status != http.StatusGone || a.Token == "" || len(a.Messages) != 0 {
		c.t.Fatalf("open: got %v, want 410 and a token", a)
	}
	c.token = a.Token
	return c
}

func (a pollAnswer) String() string {
	return fmt.Sprintf("HTTP %d %.600q", a.code, a.body)
}

// request makes one request.
func (c *poller) request(ctx context.Context, method, contentType, body string) (a pollAnswer, err error) {
	begin := time.Now()
	var content io.Reader
	if method == http.MethodPost {
		content = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+c.addr+c.path+"?"+c.query, content)
	if err != nil {
		return a, err
	}
	r.Header = c.header.Clone()
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		r.Header.Set("X-Phoenix-Longpoll-Token", c.token)
	}
	response, err := pollTransport.RoundTrip(r)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return a, err
	}
	_ = json.Unmarshal(text, &a) // what is no JSON has no status
	a.code, a.header, a.closes, a.body, a.took = response.StatusCode, response.Header, response.Close, string(text), time.Since(begin)
	return a, nil
}

// must makes one request that must be answered.
func (c *poller) must(method, contentType, body string) pollAnswer {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	a, err := c.request(ctx, method, contentType, body)
	if err != nil {
		c.t.Fatalf("%s: %v", method, err)
	}
	return a
}

// poll polls once.
func (c *poller) poll() pollAnswer {
	c.t.Helper()
	return c.must(http.MethodGet, "", "")
}

// held is a poll that waits.
type held struct {
	t      testing.TB
	answer chan pollAnswer
}

// hold polls in the background, and gives the poll the time to arrive.
func (c *poller) hold() *held {
	h := &held{c.t, make(chan pollAnswer, 1)}
	same := *c
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		a, err := same.request(ctx, http.MethodGet, "", "")
		if err != nil {
			a.body = err.Error()
		}
		h.answer <- a
	}()
	time.Sleep(100 * time.Millisecond)
	return h
}

// wait waits for the answer.
func (h *held) wait() pollAnswer {
	h.t.Helper()
	select {
	case a := <-h.answer:
		return a
	case <-time.After(patience):
		h.t.Fatal("got no answer to a poll")
		return pollAnswer{}
	}
}

// post posts NDJSON.
func (c *poller) post(body string) pollAnswer {
	c.t.Helper()
	return c.must(http.MethodPost, "application/x-ndjson", body)
}

// expand writes out the short forms.
func (c *poller) expand(frame string) string { return (&client{topic: c.topic}).expand(frame) }

// send posts frames in one batch and wants status 200.
func (c *poller) send(frames ...string) {
	c.t.Helper()
	for i, f := range frames {
		frames[i] = c.expand(f)
	}
	wantPolled(c.t, c.post(strings.Join(frames, "\n")), http.StatusOK)
}

// want polls until these frames came, in this order.
func (c *poller) want(frames ...string) {
	c.t.Helper()
	c.fetch(len(frames))
	for i, frame := range frames {
		frame = c.expand(frame)
		if !same(phoenixtest.Message{Data: []byte(c.got[i])}, frame) {
			c.t.Fatalf("got message %.600s, want %.600s", c.got[i], frame)
		}
	}
	c.got = slices.Clone(c.got[len(frames):])
}

// fetch polls until n messages are there.
func (c *poller) fetch(n int) {
	c.t.Helper()
	for len(c.got) < n {
		a := c.poll()
		if a.code != http.StatusOK || a.Status != http.StatusOK && a.Status != http.StatusNoContent {
			c.t.Fatalf("GET: got %v after %d of %d messages", a, len(c.got), n)
		}
		c.got = append(c.got, a.Messages...)
	}
}

// ask sends one frame and wants another as the next.
func (c *poller) ask(frame, answer string) {
	c.t.Helper()
	c.send(frame)
	c.want(answer)
}

// quiet fails the test if anything comes before the answer to a heartbeat.
func (c *poller) quiet() {
	c.t.Helper()
	c.asked++
	c.ask(fmt.Sprintf(`[null,"hb%d","phoenix","heartbeat",{}]`, c.asked), fmt.Sprintf(`[null,"hb%d","phoenix","phx_reply",ok{}]`, c.asked))
	if len(c.got) > 0 {
		c.t.Fatalf("got %q, want nothing", c.got)
	}
}

// joined joins the topic with join_ref and ref "1".
func (c *poller) joined() *poller {
	c.t.Helper()
	c.ask(`["1","1",$T,"phx_join",{}]`, `["1","1",$T,"phx_reply",OK({"got":{}})]`)
	return c
}

// at returns the same session at another pod.
func (c *poller) at(addr string) *poller {
	other := *c
	other.addr = addr
	return &other
}

// connection returns the session's connection id, as the backend saw it at the last join of the topic.
func (c *poller) connection() string {
	c.t.Helper()
	found := lab.backend.seen(c.topic, joins)
	if len(found) == 0 {
		c.t.Fatalf("the backend saw no join of %s", c.topic)
	}
	return found[len(found)-1].Data.Connection
}

// socketBeside returns a WebSocket client with the same topic.
func (c *poller) socketBeside(p *pod) *client {
	c.t.Helper()
	return dial(c.t, p, "vsn=2.0.0").named(c.topic)
}

// gone fails the test unless the session has ended.
func (c *poller) gone() {
	c.t.Helper()
	wantPolled(c.t, c.poll(), http.StatusInternalServerError)
	wantPolled(c.t, c.post(""), http.StatusGone)
}

// wantPolled fails the test unless an answer is JSON under HTTP 200 with this status.
func wantPolled(t testing.TB, a pollAnswer, status int) {
	t.Helper()
	if a.code != http.StatusOK || a.Status != status {
		t.Fatalf("got %v, want HTTP 200 and status %d", a, status)
	}
}

// wantError fails the test unless phoenix.js takes an answer for an error that it recovers from, and the session if there
// is one lives.
func wantError(t testing.TB, a pollAnswer, codes ...int) {
	t.Helper()
	if !slices.Contains(codes, a.code) || json.Valid([]byte(a.body)) {
		t.Fatalf("got %v, want one of HTTP %v without JSON", a, codes)
	}
}
