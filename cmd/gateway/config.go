package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"

	"roost/auth"
	"roost/auth/webhook"
	"roost/gateway"
	"roost/hub/redisbroker"
)

// settings are read from the environment. An empty variable counts as not set.
type settings struct {
	Port      port   `env:"PORT" envDefault:"4000"`
	AdminPort port   `env:"ROOST_ADMIN_PORT" envDefault:"4001"`
	AdminHost string `env:"ROOST_ADMIN_HOST" none:"all addresses"`
	APIToken  string `env:"ROOST_API_TOKEN" none:"the API answers on this machine only"`
	RedisURL  string `env:"REDIS_URL"`
	LogLevel  level  `env:"LOG_LEVEL" envDefault:"info"`
	LogFormat format `env:"LOG_FORMAT"`

	SocketPath   string `env:"ROOST_SOCKET_PATH" envDefault:"/socket"`
	RedisPrefix  string `env:"ROOST_REDIS_PREFIX" envDefault:"roost:"`
	RedisSharded toggle `env:"ROOST_REDIS_SHARDED_PUBSUB" envDefault:"off"`
	PodID        podID  `env:"ROOST_POD_ID"`
	PodLease     lease  `env:"ROOST_POD_LEASE" envDefault:"15s"`
	ResyncSpread spread `env:"ROOST_RESYNC_SPREAD" envDefault:"10s"`

	PresenceLimit count `env:"ROOST_PRESENCE_LIMIT" envDefault:"10000"`
	PresenceGrace wait  `env:"ROOST_PRESENCE_GRACE" envDefault:"0s"`

	TopicsFile string `env:"ROOST_TOPICS_FILE"`

	WebhookURL         webURL   `env:"ROOST_WEBHOOK_URL"`
	WebhookSecret      string   `env:"ROOST_WEBHOOK_SECRET"`
	WebhookTimeout     duration `env:"ROOST_WEBHOOK_TIMEOUT" envDefault:"5s"`
	WebhookEvents      list     `env:"ROOST_WEBHOOK_EVENTS" envDefault:"join,push,leave"`
	WebhookMaxInFlight count    `env:"ROOST_WEBHOOK_MAX_IN_FLIGHT" envDefault:"256"`
	WebhookMaxAnswer   size     `env:"ROOST_WEBHOOK_MAX_ANSWER_SIZE" envDefault:"1MiB"`
	WebhookRetries     retries  `env:"ROOST_WEBHOOK_RETRIES" envDefault:"3"`
	WebhookCoalesce    toggle   `env:"ROOST_WEBHOOK_COALESCE" envDefault:"on"`
	WebhookCacheSize   size     `env:"ROOST_WEBHOOK_CACHE_SIZE" envDefault:"16MiB"`
	WebhookTLSCA       string   `env:"ROOST_WEBHOOK_TLS_CA" none:"the system's roots"`
	WebhookTLSCert     string   `env:"ROOST_WEBHOOK_TLS_CERT"`
	WebhookTLSKey      string   `env:"ROOST_WEBHOOK_TLS_KEY"`

	WebhookBreaker         percent  `env:"ROOST_WEBHOOK_BREAKER" envDefault:"50%"`
	WebhookBreakerMinCalls count    `env:"ROOST_WEBHOOK_BREAKER_MIN_CALLS" envDefault:"20"`
	WebhookBreakerWindow   duration `env:"ROOST_WEBHOOK_BREAKER_WINDOW" envDefault:"10s"`
	WebhookBreakerPause    duration `env:"ROOST_WEBHOOK_BREAKER_PAUSE" envDefault:"2s"`
	WebhookBreakerSlow     spread   `env:"ROOST_WEBHOOK_BREAKER_SLOW" none:"four fifths of ROOST_WEBHOOK_TIMEOUT"`

	WebhookNoticeRate   count    `env:"ROOST_WEBHOOK_NOTICE_RATE" envDefault:"500"`
	WebhookNoticeLimit  size     `env:"ROOST_WEBHOOK_NOTICE_LIMIT" envDefault:"64MiB"`
	WebhookNoticeMaxAge duration `env:"ROOST_WEBHOOK_NOTICE_MAX_AGE" envDefault:"24h"`

	JWTKey        string `env:"ROOST_JWT_KEY"`
	JWTSetURL     webURL `env:"ROOST_JWT_JWKS_URL"`
	JWTAlgorithms list   `env:"ROOST_JWT_ALGORITHMS" none:"all that fit the keys"`
	JWTIssuer     string `env:"ROOST_JWT_ISSUER" none:"any"`
	JWTAudience   list   `env:"ROOST_JWT_AUDIENCE" none:"any"`
	JWTParam      string `env:"ROOST_JWT_PARAM" envDefault:"token"`
	JWTID         string `env:"ROOST_JWT_ID" envDefault:"user:{sub}"`
	JWTLeeway     wait   `env:"ROOST_JWT_LEEWAY" envDefault:"5s"`

	LongPoll       toggle   `env:"ROOST_LONGPOLL" envDefault:"on"`
	LongPollWindow duration `env:"ROOST_LONGPOLL_WINDOW" envDefault:"10s"`
	AdvertiseURL   webURL   `env:"ROOST_ADVERTISE_URL" none:"none: long-poll requests are not passed on between pods"`

	ConnectHeaders list     `env:"ROOST_CONNECT_HEADERS" envDefault:"user-agent"`
	CheckOrigin    string   `env:"ROOST_CHECK_ORIGIN" envDefault:"conn"`
	IdleTimeout    duration `env:"ROOST_IDLE_TIMEOUT" envDefault:"60s"`
	MaxMessageSize size     `env:"ROOST_MAX_MESSAGE_SIZE" envDefault:"64KiB"`
	MaxChannels    count    `env:"ROOST_MAX_CHANNELS" envDefault:"100"`
	OutboxLimit    size     `env:"ROOST_OUTBOX_LIMIT" envDefault:"1MiB"`
	InboxLimit     size     `env:"ROOST_INBOX_LIMIT" envDefault:"1MiB"`
	WriteTimeout   duration `env:"ROOST_WRITE_TIMEOUT" envDefault:"10s"`
	MaxTopicSize   size     `env:"ROOST_MAX_TOPIC_SIZE" envDefault:"1KiB"`
	MaxEventSize   size     `env:"ROOST_MAX_EVENT_SIZE" envDefault:"1KiB"`
	MaxPayloadSize size     `env:"ROOST_MAX_PAYLOAD_SIZE" none:"as large as the message"`
	Subprotocols   list     `env:"ROOST_SUBPROTOCOLS"`
	Compress       toggle   `env:"ROOST_COMPRESS" envDefault:"off"`
	DrainDelay     wait     `env:"ROOST_DRAIN_DELAY" envDefault:"5s"`
	DrainTimeout   duration `env:"ROOST_DRAIN_TIMEOUT" envDefault:"25s"`

	TrustedProxies      networks `env:"ROOST_TRUSTED_PROXIES"`
	MaxConnections      quota    `env:"ROOST_MAX_CONNECTIONS" envDefault:"off"`
	MaxConnectionsPerIP quota    `env:"ROOST_MAX_CONNECTIONS_PER_IP" envDefault:"off"`
	MaxConnectionsPerID quota    `env:"ROOST_MAX_CONNECTIONS_PER_ID" envDefault:"off"`
	ConnectRate         rate     `env:"ROOST_CONNECT_RATE" envDefault:"off"`
	ConnectRatePerIP    rate     `env:"ROOST_CONNECT_RATE_PER_IP" envDefault:"off"`
	FailedConnectsPerIP rate     `env:"ROOST_FAILED_CONNECT_RATE_PER_IP" envDefault:"off"`
	RefusalMemory       spread   `env:"ROOST_REFUSAL_MEMORY" envDefault:"5s"`
	MessageRate         rate     `env:"ROOST_MESSAGE_RATE" envDefault:"off"`
	JoinRate            rate     `env:"ROOST_JOIN_RATE" envDefault:"off"`

	MaxConnectionAge spread `env:"ROOST_MAX_CONNECTION_AGE" envDefault:"off"`
}

// config is what the settings come to.
type config struct {
	settings
	host    string // of the client port, "" for all addresses
	origins gateway.Origins
	rules   auth.Rules
}

// loopback is where gateway dev listens.
const loopback = "127.0.0.1"

// loadConfig reads the environment. The error holds all that is wrong, one error per line. The config shows what was
// understood even then. With dev, what gateway dev brings along need not be set.
func loadConfig(environ []string, dev, terminal bool) (*config, error) {
	vars, wrong := readEnviron(environ)
	parsed, err := env.ParseAsWithOptions[settings](env.Options{Environment: vars})
	cfg := &config{settings: parsed}
	wrong = append(wrong, namedErrors(err)...)
	cfg.fillIn(dev, terminal)
	if dev && vars["ROOST_DRAIN_DELAY"] == "" {
		cfg.DrainDelay = 0 // there is no load balancer to tell
	}

	check := func(name string, err error) {
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", name, err))
		}
	}
	check("ROOST_SOCKET_PATH", cfg.checkSocketPath())
	check("ROOST_REDIS_PREFIX", cfg.checkRedisPrefix())
	cfg.origins, err = gateway.ParseOrigins(cfg.CheckOrigin)
	check("ROOST_CHECK_ORIGIN", err)
	check("ROOST_WEBHOOK_EVENTS", checkWebhook(webhook.Config{Events: cfg.WebhookEvents}))
	check("ROOST_WEBHOOK_SECRET", checkWebhook(webhook.Config{Secrets: []string{cfg.WebhookSecret}}))
	if dev {
		check("ROOST_ADMIN_HOST", cfg.checkLoopback())
	}
	if !dev || cfg.RedisURL != "" {
		check("REDIS_URL", cfg.checkRedisURL())
	}
	check("ROOST_WEBHOOK_TLS_CA, _CERT and _KEY", checkWebhook(webhook.Config{TLS: webhook.TLSConfig{CA: cfg.WebhookTLSCA, Cert: cfg.WebhookTLSCert, Key: cfg.WebhookTLSKey}}))
	wrong = append(wrong, cfg.checkTokens()...)
	check("ROOST_API_TOKEN", cfg.checkAPIToken())
	wrong = append(wrong, cfg.readRules(dev || vars["ROOST_WEBHOOK_URL"] != ""))
	return cfg, errors.Join(wrong...)
}

// fillIn sets the defaults that depend on where the gateway runs.
func (c *config) fillIn(dev, terminal bool) {
	if dev {
		c.host = loopback
		if c.AdminHost == "" {
			c.AdminHost = loopback
		}
	}
	if c.LogFormat == "" {
		c.LogFormat = formatJSON
		if dev || terminal {
			c.LogFormat = formatText
		}
	}
	if c.PodID == "" {
		c.PodID = newPodID(os.Hostname)
	}
	if len(c.SocketPath) > 1 {
		c.SocketPath = strings.TrimSuffix(c.SocketPath, "/")
	}
}

func (c *config) checkSocketPath() error {
	if p := c.SocketPath; !strings.HasPrefix(p, "/") || path.Clean(p) != p || strings.ContainsAny(p, "?# ") {
		return fmt.Errorf("%q is not a path such as /socket", p)
	}
	return nil
}

// checkRedisPrefix refuses what would change the slot of a key in Redis Cluster, or match more than itself.
func (c *config) checkRedisPrefix() error {
	if strings.ContainsAny(c.RedisPrefix, "{}*?[]\\ \t\r\n") {
		return fmt.Errorf("%q holds a space or one of {}*?[]\\", c.RedisPrefix)
	}
	return nil
}

func (c *config) checkRedisURL() error {
	if c.RedisURL == "" {
		return errors.New("not set; try redis://localhost:6379, or gateway dev, which needs nothing")
	}
	_, err := redisbroker.Open(redisbroker.Config{URL: c.RedisURL, PodID: "check"}) // does not connect
	return err
}

// checkWebhook asks the webhook what it thinks of a part of its settings.
func checkWebhook(part webhook.Config) error {
	part.URL = "http://localhost"
	_, err := webhook.New(part)
	return errors.Unwrap(err)
}

// checkBackends checks the backends that rules have of their own, and that connects have one, too.
func (c *config) checkBackends(asked bool) error {
	if !c.rules.HaveBackends() {
		return nil
	}
	if !asked && (slices.Contains(c.WebhookEvents, "connect") || slices.Contains(c.WebhookEvents, "disconnect")) {
		return errors.New("ROOST_WEBHOOK_URL: not set, but ROOST_WEBHOOK_EVENTS lists connect or disconnect, which belong to no rule")
	}
	if err := checkWebhook(webhook.Config{Rules: c.rules}); err != nil {
		return fmt.Errorf("%s: %w", c.TopicsFile, err)
	}
	return nil
}

func (c *config) checkLoopback() error {
	if ip := net.ParseIP(c.AdminHost); c.AdminHost != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%q: gateway dev listens on loopback only", c.AdminHost)
	}
	return nil
}

// readRules reads the topic rules, and the default ones where there is no file, and checks them against what the webhook
// can be asked.
func (c *config) readRules(asked bool) error {
	c.rules = auth.DefaultRules
	if c.TopicsFile != "" {
		data, err := os.ReadFile(c.TopicsFile)
		if err != nil {
			return fmt.Errorf("ROOST_TOPICS_FILE: %w", err)
		}
		if c.rules, err = auth.ParseRules(c.TopicsFile, data); err != nil {
			return err
		}
	}
	if c.rules.NeedTokens() && !c.wantTokens() {
		return fmt.Errorf("%s: a rule says join: token, but neither ROOST_JWT_KEY nor ROOST_JWT_JWKS_URL is set", c.TopicsFile)
	}
	return errors.Join(c.rules.Check(c.TopicsFile, asked, c.WebhookEvents), c.checkBackends(asked))
}

// namedErrors takes apart what the parser found, and names settings instead of struct fields.
func namedErrors(err error) []error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return nil
	}
	byField := make(map[string]string)
	for _, f := range fields() {
		byField[f.field] = f.name
	}
	var named []error
	for _, err := range all.Errors {
		if parse, ok := errors.AsType[env.ParseError](err); ok {
			err = fmt.Errorf("%s: %w", byField[parse.Name], parse.Err)
		}
		named = append(named, err)
	}
	return named
}
