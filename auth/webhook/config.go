package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"roost/auth"
)

// Config says how a [Client] behaves. URL is required, unless rules have backends; everything else has a default.
type Config struct {
	URL     string   // where requests are posted: http or https, a user and password are sent as basic authentication
	Secrets []string // "whsec_<base64>"; each signs, and an entry may hold several, separated by spaces. Default: unsigned
	Events  []string // of connect, join, push, leave, disconnect. Default: join, push, leave

	Timeout       time.Duration // of one call, the wait in line included. Default: 5s
	MaxInFlight   int           // calls at the same time; more wait in line. Default: 256
	MaxAnswerSize int           // bytes of one answer. Default: 1 MiB
	Retries       int           // how often a connect or join whose connection failed is sent again; negative: never. Default: 3
	Breaker       BreakerConfig // Default: opens when half of 20 or more calls in 10s fail or are slow

	Rules        auth.Rules // which topics have a backend of their own, and how long a yes holds while it is down. Default: none
	TLS          TLSConfig  // of connections to backends. Default: the system's roots, no certificate
	NoCoalescing bool       // equal joins of one socket id are asked one by one. Default: they share a call
	MemoryLimit  int        // bytes of answers that are remembered for the cache of answers and the stale of rules. Default: 16 MiB

	// Watch tells when the backend ended a connection or a channel of a socket id, so that what is remembered of it is
	// dropped; stop ends that. Default: Forget alone tells
	Watch func(id string, ended func()) (stop func())

	NoticeLimit  int           // bytes of notices in memory; more are dropped, or not accepted if they were offered. Default: 64 MiB
	NoticeMaxAge time.Duration // a notice that fails when it is older is given up. Default: 24h
	NoticeRate   int           // notices in a second, tries included. Default: 500
	FlushTimeout time.Duration // how long Run goes on sending notices after its context ended. Default: 5s

	TokenParam string // the param that is a token: it is left out of notices, which are kept in Redis. Default: none is

	// Settle is called when Run is about to end: it blocks until no more notices will be offered, or its context ends.
	// Default: none will be.
	Settle func(context.Context)

	Transport  http.RoundTripper     // Default: one of its own, which keeps MaxInFlight connections
	Tracer     trace.Tracer          // where spans go. Default: nowhere
	Logger     *slog.Logger          // Default: slog.Default
	Registerer prometheus.Registerer // where metrics go. Default: nowhere
}

func (c Config) withDefaults() Config {
	if c.Events == nil {
		c.Events = []string{"join", "push", "leave"}
	}
	set(&c.Timeout, 5*time.Second)
	set(&c.MaxInFlight, 256)
	set(&c.MaxAnswerSize, 1<<20)
	if c.Retries == 0 {
		c.Retries = 3
	}
	c.Breaker = c.Breaker.withDefaults()
	set(&c.MemoryLimit, 16<<20)
	set(&c.NoticeLimit, 64<<20)
	set(&c.NoticeMaxAge, 24*time.Hour)
	set(&c.NoticeRate, 500)
	set(&c.FlushTimeout, 5*time.Second)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func set[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// newTransport returns a transport that keeps as many connections as there may be calls. It takes a proxy from the
// environment, but never for this machine itself.
func (c Config) newTransport(client *tls.Config) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: c.Timeout}).DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    c.MaxInFlight,
		IdleConnTimeout:        90 * time.Second,
		TLSClientConfig:        client,
		TLSHandshakeTimeout:    c.Timeout,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
	}
}

// parseURL reads Config.URL. Its errors do not repeat it, for it may hold a password.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("URL: %w", err)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("URL: it must begin with http:// or https://")
	case u.Hostname() == "":
		return nil, errors.New("URL: it names no host")
	}
	return u, nil
}
