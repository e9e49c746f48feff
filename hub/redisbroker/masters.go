package redisbroker

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// mastersInterval is how often a pod looks who the masters of a cluster are.
const mastersInterval = 10 * time.Second

// masters asks a cluster who its masters are.
func (c *client) masters(ctx context.Context) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	var mu sync.Mutex
	addrs := map[string]bool{}
	err := c.cluster.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		addrs[node.Options().Addr] = true
		return nil
	})
	return addrs, err
}

// watchMasters calls changed when a cluster has other masters than before, until ctx ends: one that was a replica may lack
// what Redis had confirmed.
func (c *client) watchMasters(ctx context.Context, changed func()) {
	ticker := time.NewTicker(mastersInterval)
	defer ticker.Stop()
	var before map[string]bool
	for {
		if now, err := c.masters(ctx); err == nil {
			if before != nil && !maps.Equal(before, now) {
				changed()
			}
			before = now
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
