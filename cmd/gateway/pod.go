package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"roost/admin"
	"roost/auth"
	"roost/auth/token"
	"roost/auth/webhook"
	"roost/gateway"
	"roost/hub"
	"roost/hub/redisbroker"
)

// pod is one gateway process.
type pod struct {
	cfg     *config
	log     *slog.Logger
	broker  *redisbroker.Broker
	hub     *hub.Hub
	backend *webhook.Client // nil if the rules never ask
	tokens  *token.Verifier // nil if none are wanted
	gateway *gateway.Gateway
	metrics *prometheus.Registry
	tracing *tracing // nil if it is off

	stopping atomic.Bool
	changed  chan struct{} // has room for one: there is something to report
}

// newPod builds the pod. Nothing runs and nothing listens yet.
func newPod(cfg *config, log *slog.Logger) (*pod, error) {
	p := &pod{cfg: cfg, log: log, metrics: admin.NewRegistry(build()), changed: make(chan struct{}, 1)}
	var err error
	if p.tracing, err = newTracing(log); err != nil {
		return nil, err
	}
	p.broker, err = redisbroker.Open(redisbroker.Config{
		URL:            cfg.RedisURL,
		PodID:          string(cfg.PodID),
		Prefix:         cfg.RedisPrefix,
		MaxMessageSize: int(cfg.OutboxLimit), // nobody could be sent more
		ShardedPubSub:  bool(cfg.RedisSharded),
		Lease:          time.Duration(cfg.PodLease),
		NoticeMaxAge:   time.Duration(cfg.WebhookNoticeMaxAge),
		AdvertiseURL:   advertised(cfg.AdvertiseURL),
		Logger:         log,
		Registerer:     p.metrics,
	})
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	p.hub = hub.New(hub.Config{
		PodID: string(cfg.PodID), Broker: p.broker, Roster: p.broker, Stream: p.broker, MaxMessage: int(cfg.OutboxLimit),
		ResyncSpread:  time.Duration(cfg.ResyncSpread),
		PresenceLimit: int(cfg.PresenceLimit), PresenceGrace: time.Duration(cfg.PresenceGrace),
		Logger: log, Registerer: p.metrics,
	})
	if err := errors.Join(p.addBackend(), p.addTokens(), p.addGateway()); err != nil {
		return nil, err
	}
	return p, nil
}

// advertised returns the whole URL, or "" if none is set.
func advertised(u webURL) string {
	if u.URL == nil {
		return ""
	}
	return u.URL.String()
}

// addBackend builds the webhook, if there is one to call.
func (p *pod) addBackend() (err error) {
	if p.cfg.WebhookURL.URL == nil && !p.cfg.rules.HaveBackends() {
		return nil
	}
	if p.cfg.WebhookURL.URL != nil && p.cfg.WebhookSecret == "" {
		p.log.Warn("webhook calls are not signed, because ROOST_WEBHOOK_SECRET is not set")
	}
	config := p.webhookConfig()
	config.Watch = p.hub.Watch
	config.Settle = p.broker.Settle
	p.backend, err = webhook.New(config)
	if err == nil {
		p.broker.Deliver(p.backend)
	}
	return err
}

// webhookConfig is what the settings say about the webhook, with what the pod adds.
func (p *pod) webhookConfig() webhook.Config {
	c := p.cfg.webhookConfig(p.log, p.metrics)
	c.Tracer = p.tracing.tracer()
	return c
}

// addTokens builds what reads tokens, if they are wanted.
func (p *pod) addTokens() (err error) {
	if p.cfg.wantTokens() {
		p.tokens, err = token.New(p.cfg.tokenConfig(p.log, p.metrics))
	}
	return err
}

// addGateway builds the client side.
func (p *pod) addGateway() (err error) {
	var backend auth.Backend
	var recorder auth.Recorder
	if p.backend != nil {
		backend, recorder = p.backend, p.backend
	}
	var tokens auth.Verifier
	if p.tokens != nil {
		tokens = p.tokens
	}
	window := time.Duration(p.cfg.LongPollWindow)
	if !p.cfg.LongPoll {
		window = -1
	}
	p.gateway, err = gateway.New(gateway.Config{
		Hub:            p.hub,
		Backend:        backend,
		Recorder:       recorder,
		Rules:          p.cfg.rules,
		Tokens:         tokens,
		TokenParam:     p.cfg.JWTParam,
		SocketPath:     p.cfg.SocketPath,
		Origins:        p.cfg.origins,
		Subprotocols:   p.cfg.Subprotocols,
		ConnectHeaders: p.cfg.ConnectHeaders,
		Compress:       bool(p.cfg.Compress),
		Limits:         p.cfg.limits(),
		TrustedProxies: p.cfg.TrustedProxies,
		Bans:           p.broker,
		LongPollWindow: window,
		Directory:      p.broker,
		IdleTimeout:    time.Duration(p.cfg.IdleTimeout),
		WriteTimeout:   time.Duration(p.cfg.WriteTimeout),

		MaxConnectionAge: time.Duration(p.cfg.MaxConnectionAge),

		MaxMessageSize: int(p.cfg.MaxMessageSize),
		MaxChannels:    int(p.cfg.MaxChannels),
		OutboxLimit:    int(p.cfg.OutboxLimit),
		InboxLimit:     int(p.cfg.InboxLimit),
		Tracer:         p.tracing.tracer(),
		Logger:         p.log,
		Registerer:     p.metrics,
	})
	return err
}

// health is what /readyz asks.
func (p *pod) health() []admin.Check {
	return []admin.Check{
		{Name: "running", Ask: func() error {
			if p.stopping.Load() {
				return errors.New("the pod is stopping")
			}
			return nil
		}},
		{Name: "redis", Ask: func() error {
			if !p.hub.Ready() {
				return errors.New("the link to Redis is down")
			}
			return p.broker.Proved()
		}},
	}
}

// Limits of the HTTP servers. A connect's params and tokens travel in the request line.
const (
	headerTimeout  = 10 * time.Second
	keepAlive      = 75 * time.Second
	maxHeaderBytes = 32 << 10
)

// server answers requests with h.
func (p *pod) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       keepAlive,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelWarn),
	}
}

// listen opens a port. setting is the one to change if that fails.
func listen(ctx context.Context, setting, host string, number port) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, number.String()))
	if err != nil {
		return nil, fmt.Errorf("%s=%s: %w", setting, number, err)
	}
	return l, nil
}
