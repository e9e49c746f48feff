package redisbroker

import (
	"context"

	"roost/hub"
)

// PublishOnce connects, publishes one message and hangs up, without becoming a pod. It returns how many subscribers the
// server had for it; in a Cluster the other servers may have more. Of cfg, only URL and Prefix matter. It waits for Redis
// until ctx ends or a command times out.
func PublishOnce(ctx context.Context, cfg Config, addr hub.Address, body []byte) (subscribers int64, err error) {
	cfg.PodID = "none" // the keys of a pod are not used
	if cfg, err = cfg.withDefaults(); err != nil {
		return 0, err
	}
	a, err := parseAddress(cfg.URL)
	if err != nil {
		return 0, err
	}
	quietRedis()
	c := newClient(a)
	defer c.Close()
	channel := keys{prefix: cfg.Prefix}.channel(addr)
	node, err := c.node(ctx, channel)
	if err != nil {
		return 0, err
	}
	return node.Publish(ctx, channel, body).Result()
}
