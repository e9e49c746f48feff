package redisbroker

import (
	"context"

	"roost/hub"
)

// PublishOnce connects, publishes one message and hangs up, without becoming a pod. It returns how many subscribers the
// server had for it; in a Cluster the other servers may have more. Of cfg, only URL, Prefix and
// ShardedPubSub matter. It waits for Redis
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
	c := newClient(a, cfg.ShardedPubSub)
	defer c.Close()
	k := keys{prefix: cfg.Prefix}
	node, err := c.node(ctx, c.way(k, addr))
	if err != nil {
		return 0, err
	}
	return c.publish(ctx, node, k.channel(addr), isSharded(addr), body)
}
