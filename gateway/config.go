package gateway

import (
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"roost/auth"
	"roost/hub"
)

// Config says how a [Gateway] behaves. Hub is required, and Backend unless the rules never ask it; everything else has a
// default.
type Config struct {
	Hub     *hub.Hub     // carries what members are sent
	Backend auth.Backend // answers connects, joins and pushes
	Rules   auth.Rules   // which topics there are. Default: auth.DefaultRules

	// Recorder writes down what the backend is to be told of ends, and the hub's Roster keeps and tells it. Default: nobody,
	// Backend.Leave and Backend.Disconnect are called.
	Recorder auth.Recorder

	// Tokens reads the tokens that clients must connect with: phoenix.js's authToken, or the param TokenParam. Default: no
	// token is wanted
	Tokens     auth.Verifier
	TokenParam string // Default: token

	SocketPath     string   // where sockets are mounted; segments like ":name" are variables. Default: /socket
	Origins        Origins  // which origins may connect. Default: the request's own host ("conn")
	Subprotocols   []string // WebSocket subprotocols beside phoenix, in the server's order. Default: none
	ConnectHeaders []string // request headers that the backend sees. Default: none
	Compress       bool     // permessage-deflate. Default: off

	Limits         Limits         // what clients may take. Default: see there
	TrustedProxies []netip.Prefix // whose X-Forwarded-For and X-Forwarded-Proto count. Default: nobody's
	Bans           hub.BanList    // socket ids that may not connect. Default: none

	LongPollWindow time.Duration // how long a poll is held; negative: no long-polling. Default: 10s
	Directory      hub.Directory // where pods find each other's long-poll sessions. Default: this pod is the only one

	IdleTimeout time.Duration // a WebSocket without a byte from the client is closed. Default: 60s
	// MaxConnectionAge is when a connection is closed with 1012, so that clients spread over pods anew; up to a fifth is
	// added to it at random. Default: never
	MaxConnectionAge time.Duration

	CallTimeout    time.Duration // a join waits so long for the hub. Default: 5s
	WriteTimeout   time.Duration // a client that takes nothing for so long is slow. Default: 10s
	MaxMessageSize int           // bytes of one client message, after inflation. Default: 64 KiB
	MaxChannels    int           // per connection. Default: 100
	OutboxLimit    int           // bytes waiting to be sent to one connection. Default: 1 MiB
	InboxLimit     int           // bytes of one connection's messages waiting for the backend. Default: 1 MiB

	Tracer     trace.Tracer          // where spans go. Default: nowhere
	Logger     *slog.Logger          // Default: slog.Default
	Registerer prometheus.Registerer // where metrics go. Default: nowhere
}

// withDefaults fills in what is not set.
func (c Config) withDefaults() (Config, error) {
	if c.Hub == nil {
		return c, errors.New("gateway: Config.Hub is missing")
	}
	if c.Rules == nil {
		c.Rules = auth.DefaultRules
	}
	if c.Backend == nil && c.Rules.AskBackend() {
		return c, errors.New("gateway: Config.Backend is missing, and the topic rules ask it")
	}
	if c.Tokens == nil && c.Rules.NeedTokens() {
		return c, errors.New("gateway: Config.Tokens is missing, and the topic rules ask for tokens")
	}
	set(&c.TokenParam, "token")
	set(&c.SocketPath, "/socket")
	set(&c.LongPollWindow, 10*time.Second)
	set(&c.IdleTimeout, time.Minute)
	set(&c.CallTimeout, 5*time.Second)
	set(&c.WriteTimeout, 10*time.Second)
	set(&c.MaxMessageSize, 64<<10)
	set(&c.MaxChannels, 100)
	set(&c.OutboxLimit, 1<<20)
	set(&c.InboxLimit, 1<<20)
	set(&c.Limits.MaxTopic, 1<<10)
	set(&c.Limits.MaxEvent, 1<<10)
	if c.Directory == nil {
		c.Directory = hub.Alone()
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c, nil
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
