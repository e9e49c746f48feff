package main

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"roost/auth/webhook"
)

// webhookConfig is what the settings say about the webhook.
func (c *config) webhookConfig(log *slog.Logger, metrics prometheus.Registerer) webhook.Config {
	tokenParam := ""
	if c.wantTokens() {
		tokenParam = c.JWTParam
	}
	return webhook.Config{
		URL:           advertised(c.WebhookURL),
		Secrets:       []string{c.WebhookSecret},
		Timeout:       time.Duration(c.WebhookTimeout),
		Events:        c.WebhookEvents,
		MaxInFlight:   int(c.WebhookMaxInFlight),
		MaxAnswerSize: int(c.WebhookMaxAnswer),
		Retries:       int(c.WebhookRetries),
		NoticeLimit:   int(c.WebhookNoticeLimit),
		NoticeMaxAge:  time.Duration(c.WebhookNoticeMaxAge),
		NoticeRate:    int(c.WebhookNoticeRate),
		Breaker: webhook.BreakerConfig{
			Ratio:    float64(c.WebhookBreaker),
			MinCalls: int(c.WebhookBreakerMinCalls),
			Window:   time.Duration(c.WebhookBreakerWindow),
			Pause:    time.Duration(c.WebhookBreakerPause),
			Slow:     time.Duration(c.WebhookBreakerSlow),
		},
		TLS:          webhook.TLSConfig{CA: c.WebhookTLSCA, Cert: c.WebhookTLSCert, Key: c.WebhookTLSKey},
		Rules:        c.rules,
		NoCoalescing: !bool(c.WebhookCoalesce),
		MemoryLimit:  int(c.WebhookCacheSize),
		TokenParam:   tokenParam,

		Logger:     log,
		Registerer: metrics,
	}
}

// percent is a share above 0, written as 50%, or off, which is held as a negative one.
type percent float64

func (p *percent) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*p = -1
		return nil
	}
	digits, found := strings.CutSuffix(string(text), "%")
	n, err := strconv.ParseUint(digits, 10, 7)
	if !found || err != nil || n == 0 || n > 100 {
		return fmt.Errorf("%q is neither a share from 1%% to 100%% nor off", text)
	}
	*p = percent(n) / 100
	return nil
}

func (p percent) String() string {
	if p < 0 {
		return "off"
	}
	return strconv.Itoa(int(p*100+0.5)) + "%"
}

// retries is a number above 0, or off, which is held as a negative one.
type retries int

func (r *retries) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*r = -1
		return nil
	}
	if (*count)(r).UnmarshalText(text) != nil {
		return fmt.Errorf("%q is neither a number above 0 nor off", text)
	}
	return nil
}

func (r retries) String() string {
	if r < 0 {
		return "off"
	}
	return strconv.Itoa(int(r))
}
