package redisbroker

import (
	"context"

	"roost/hub"
)

var _ hub.BanList = (*Broker)(nil)

// Banned implements [hub.BanList]. Backends write the list, with a time to live: the key of a socket id that is there bans
// it, whatever it holds.
func (b *Broker) Banned(ctx context.Context, id string) (bool, error) {
	n, err := b.client.Exists(ctx, b.directory.keys.ban(id)).Result()
	return n > 0, err
}
