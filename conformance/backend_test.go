package conformance_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// backend is the application behind the gateways: it answers their webhook calls and remembers them.
type backend struct {
	url      string
	server   *http.Server
	served   chan error // holds the end of serving
	verifier *standardwebhooks.Webhook
	schemas  schemas

	mu    sync.Mutex
	calls map[string][]call // by topic; connects and disconnects have none
	holds map[string]*hold  // by topic
	wrong []string
}

// call is one webhook call.
type call struct {
	Type      string
	Timestamp time.Time
	Data      callData

	WebhookID string `json:"-"`
	Mount     string `json:"-"` // the kind of the pod
}

// callData is what the gateway tells about a call.
type callData struct {
	Connection    string
	ID            string
	Transport     string
	VSN           string
	RemoteIP      string `json:"remote_ip"`
	Params        map[string]any
	Headers       map[string]string
	AuthToken     *string `json:"auth_token"`
	Assigns       json.RawMessage
	Topic         string
	JoinRef       json.RawMessage `json:"join_ref"`
	Ref           json.RawMessage
	Event         string
	Payload       json.RawMessage
	PayloadBase64 []byte `json:"payload_base64"`
	Reason        string
}

func newBackend() (*backend, error) {
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, err
	}
	schemas, err := compileSchemas()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &backend{
		schemas:  schemas,
		url:      "http://" + listener.Addr().String(),
		verifier: verifier,
		served:   make(chan error, 1),
		calls:    map[string][]call{},
		holds:    map[string]*hold{},
	}
	b.server = &http.Server{Handler: b}
	go func() { b.served <- b.server.Serve(listener) }() // until close
	return b, nil
}

func (b *backend) close() {
	b.server.Close()
	<-b.served
}

// ServeHTTP answers one call.
func (b *backend) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w := &recorder{ResponseWriter: out, code: http.StatusOK}
	c, err := b.read(r)
	if err != nil {
		b.complain(err)
		http.Error(w, "bad call", http.StatusBadRequest)
		return
	}
	defer func() { b.complain(b.schemas.answer(c, w)) }()
	b.mu.Lock()
	b.calls[c.Data.Topic] = append(b.calls[c.Data.Topic], c)
	h := b.holds[c.Data.Topic]
	b.mu.Unlock()
	if h != nil && (c.Type == "channel.join" || c.Type == "channel.push") && !h.wait(r.Context(), c) {
		return
	}
	switch c.Type {
	case "socket.connect":
		answerConnect(w, r, c)
	case "channel.join":
		b.answerJoin(w, r, c)
	case "channel.push":
		answerPush(w, r, c)
	default:
		b.answerNotice(w, c)
	}
}

// read checks the signature of a call and decodes it.
func (b *backend) read(r *http.Request) (c call, err error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return c, err
	}
	if err = b.verifier.Verify(body, r.Header); err != nil {
		return c, err
	}
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
		return c, fmt.Errorf("%s with content type %q", r.Method, r.Header.Get("Content-Type"))
	}
	if err = b.schemas.request(body); err != nil {
		return c, err
	}
	if err = json.Unmarshal(body, &c); err != nil {
		return c, fmt.Errorf("%w in %.500q", err, body)
	}
	if c.Timestamp.IsZero() || c.Data.Connection == "" {
		return c, fmt.Errorf("no timestamp or no connection in %.500q", body)
	}
	c.Mount = strings.TrimPrefix(r.URL.Path, "/")
	c.WebhookID = r.Header.Get("Webhook-Id")
	return c, nil
}

// complain remembers what was wrong with a call, unless err is nil.
func (b *backend) complain(err error) {
	if err == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrong = append(b.wrong, err.Error())
}

// faults returns what was wrong with calls.
func (b *backend) faults() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wrong
}

// seen returns the calls for topic that match, oldest first.
func (b *backend) seen(topic string, match func(call) bool) (found []call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.calls[topic] {
		if match(c) {
			found = append(found, c)
		}
	}
	return found
}

// await waits until n calls for topic match, and fails the test if there are more or fewer.
func (b *backend) await(t testing.TB, n int, topic string, match func(call) bool) []call {
	t.Helper()
	eventually(t, func() error {
		if got := len(b.seen(topic, match)); got < n {
			return fmt.Errorf("got %d of %d awaited calls for %s", got, n, topic)
		}
		return nil
	})
	found := b.seen(topic, match)
	if len(found) != n {
		t.Fatalf("got %d calls for %s, want %d: %+v", len(found), topic, n, found)
	}
	return found
}

// hold keeps joins and pushes of a topic waiting at the backend until a test lets them go.
type hold struct {
	entered chan call     // a call has arrived
	ended   chan call     // a waiting call's request has ended: the gateway does not want it any more
	let     chan struct{} // takes one token for each call that may go on; closed, all may
}

// hold makes joins and pushes of topic wait.
func (b *backend) hold(topic string) *hold {
	h := &hold{entered: make(chan call, 100), ended: make(chan call, 100), let: make(chan struct{})}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.holds[topic] = h
	return h
}

// wait returns false if the call is not wanted any more.
func (h *hold) wait(ctx context.Context, c call) bool {
	h.entered <- c
	select {
	case <-h.let:
		return true
	case <-ctx.Done():
		h.ended <- c
		return false
	}
}

// awaitCall waits for a call on one of a hold's channels.
func awaitCall(t testing.TB, calls <-chan call, what string) call {
	t.Helper()
	select {
	case c := <-calls:
		return c
	case <-time.After(patience):
		t.Fatalf("no call %s", what)
		return call{}
	}
}

// patience is how long tests wait for what must happen.
const patience = time.Minute

// eventually fails the test unless check returns nil soon.
func eventually(t testing.TB, check func() error) {
	t.Helper()
	err := errors.New("never checked")
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	t.Fatal(err)
}
