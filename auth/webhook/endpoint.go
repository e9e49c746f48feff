package webhook

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// endpoint is one backend: where it is, and the places, the breaker and the deadline of its calls.
type endpoint struct {
	name      string // as metrics and logs say it; it holds no secret
	template  *http.Request
	signer    signer
	transport http.RoundTripper
	timeout   time.Duration
	retries   int
	maxAnswer int
	places    chan struct{} // one entry for each call in flight
	breaker   *breaker      // nil if it is off
	typical   atomic.Int64  // nanoseconds that calls took of late, the line not included
	metrics   *metrics
	tracer    trace.Tracer // nil if there is none
}

// newEndpoint returns the backend at address.
func newEndpoint(name string, address *url.URL, s signer, config *Config, m *metrics) (*endpoint, error) {
	p := &endpoint{
		name: name,
		template: &http.Request{
			Method: http.MethodPost,
			URL:    address,
			Host:   address.Host,
			Header: http.Header{
				"Accept":       {"application/json"},
				"Content-Type": {"application/json"},
				"User-Agent":   {"roost"},
			},
		},
		signer:    s,
		transport: config.Transport,
		timeout:   config.Timeout,
		retries:   config.Retries,
		maxAnswer: config.MaxAnswerSize,
		places:    make(chan struct{}, config.MaxInFlight),
		metrics:   m,
		tracer:    config.Tracer,
	}
	p.breaker = newBreaker(config.Breaker, p.timeout, func(open bool) {
		m.breakerTurned(name, open)
		config.Logger.Warn("webhook breaker turned", "backend", name, "open", open)
	})
	if user := address.User; user != nil {
		password, _ := user.Password()
		basic := base64.StdEncoding.EncodeToString([]byte(user.Username() + ":" + password))
		p.template.Header["Authorization"] = []string{"Basic " + basic}
	}
	return p, m.watchBreaker(name, p.breaker)
}

// request builds one attempt: the id and body may have been sent before, time and signature are of now.
func (p *endpoint) request(ctx context.Context, e event, id string, body []byte) *http.Request {
	r := p.template.WithContext(ctx)
	r.Header = p.template.Header.Clone()
	now := time.Now().Unix()
	r.Header["Webhook-Id"] = []string{id}
	r.Header["Webhook-Timestamp"] = []string{strconv.FormatInt(now, 10)}
	if len(p.signer) > 0 {
		r.Header["Webhook-Signature"] = []string{p.signer.sign(id, now, body)}
	}
	if e != push {
		// With this key, which is not sent, the transport repeats a request that met a connection the backend had
		// just closed. A push is not repeated: it may have been read.
		r.Header["Idempotency-Key"] = []string{}
	}
	passOn(ctx, r.Header)
	r.ContentLength = int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, _ = r.GetBody()
	return r
}

// closeIdle closes connections without a call.
func (p *endpoint) closeIdle() {
	if t, ok := p.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}
