package webhook

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/time/rate"

	"roost/auth"
)

// Client is a backend reached over HTTP. Make it with [New], and let [Client.Run] run as long as it is used.
type Client struct {
	config  Config
	on      [len(words)]bool
	main    *endpoint                // nil if only rules have backends
	byRule  map[*auth.Rule]*endpoint // of rules with a backend of their own
	flights flights
	memory  *memory
	metrics *metrics
	notices notices
	pace    *rate.Limiter // of notices
	running atomic.Bool
}

var (
	_ auth.Backend   = (*Client)(nil)
	_ auth.Recorder  = (*Client)(nil)
	_ auth.Forgetter = (*Client)(nil)
)

// New returns a Client. The error joins all that is wrong with config; it holds no secret.
func New(config Config) (*Client, error) {
	c := &Client{config: config.withDefaults()}
	var badEvents, err error
	c.on, badEvents = parseEvents(c.config.Events)
	backends, badBackends := c.config.backends()
	files, badFiles := newTLSFiles(c.config.TLS, c.config.Logger)
	if err = errors.Join(badEvents, badBackends, badFiles); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	if c.metrics, err = newMetrics(config.Registerer, c.notices.lag); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	if err = c.addEndpoints(backends, files); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	c.flights = flights{ask: c.joinOnce, metrics: c.metrics, byKey: map[key]*flight{}}
	c.memory = newMemory(c.config.MemoryLimit, c.config.Watch, c.metrics)
	c.notices.init(c.config, c.metrics)
	c.pace = rate.NewLimiter(rate.Limit(c.config.NoticeRate), max(1, c.config.NoticeRate/10))
	return c, nil
}

// Connect implements [auth.Backend]. It says yes unasked if connect is not among Config.Events.
func (c *Client) Connect(ctx context.Context, client *auth.Client) (*auth.ConnectAnswer, error) {
	if !c.on[connect] {
		return &auth.ConnectAnswer{}, nil
	}
	return ask(ctx, c.main, connect, func() []byte { return connectRequest(client) }, decodeConnect)
}

// Push implements [auth.Backend]. It fails if push is not among Config.Events.
func (c *Client) Push(ctx context.Context, r *auth.PushRequest) (*auth.Answer, error) {
	if !c.on[push] {
		return nil, errors.New("webhook: push is not among the events")
	}
	return ask(ctx, c.endpoint(r.Topic), push, func() []byte { return pushRequest(r) }, decodePush)
}
