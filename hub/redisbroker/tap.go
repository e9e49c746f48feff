package redisbroker

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"

	"roost/hub"
)

// Tap implements [hub.Operator]. It listens over a connection of its own, so nobody pays who does not tap.
func (b *Broker) Tap(ctx context.Context, match hub.TopicMatch, ready func(), each func(topic string, body []byte)) error {
	before := b.directory.keys.channel(hub.TopicAddress(""))
	var ps *redis.PubSub
	switch {
	case b.client.sharded && match.Prefix:
		return hub.ErrNoTapFor
	case b.client.sharded:
		ps = b.client.SSubscribe(ctx, before+match.Text)
	case match.Prefix:
		ps = b.client.PSubscribe(ctx, globEscaper.Replace(before+match.Text)+"*")
	default:
		ps = b.client.Subscribe(ctx, before+match.Text)
	}
	defer context.AfterFunc(ctx, func() { _ = ps.Close() })() // go-redis does not end a read for ctx
	defer ps.Close()
	if _, err := ps.Receive(ctx); err != nil { // the confirmation
		return err
	}
	ready()
	for {
		m, err := ps.ReceiveMessage(ctx)
		if err != nil {
			return err
		}
		each(strings.TrimPrefix(m.Channel, before), []byte(m.Payload))
	}
}
