package redisbroker

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"

	"roost/hub"
)

// Bounds of what waits to be published.
const (
	maxPublishes     = 100_000
	maxPublishedSize = 64 << 20 // bytes
)

// publisher sends messages, batch by batch.
type publisher struct {
	keys    keys
	client  *client
	sender  sender[publication]
	queue   *batcher[publication]
	metrics *metrics
}

type publication struct {
	addr hub.Address
	body []byte
	done func(error)
	sent *hub.Sent // is written what became of it, unless nil
}

func newPublisher(k keys, c *client, m *metrics) *publisher {
	size := func(p publication) int { return len(p.addr) + len(p.body) }
	p := &publisher{keys: k, client: c, metrics: m, queue: newBatcher(maxPublishes, maxPublishedSize, size)}
	p.sender = sender[publication]{client: c, command: p.command, end: p.end}
	return p
}

func (p *publisher) publish(addr hub.Address, body []byte, done func(error)) {
	if err := p.queue.put(publication{addr: addr, body: body, done: done}); err != nil {
		p.metrics.published(resultRejected)
		tell(done, err)
	}
}

// send publishes a batch: on one server in one go, in a cluster at the same time on all nodes.
func (p *publisher) send(ctx context.Context, batch []publication) {
	if p.client.cluster == nil {
		p.sender.sendTo(ctx, p.client.single, batch, 0)
		return
	}
	parts := map[*redis.Client][]publication{}
	for _, pub := range batch {
		node, err := p.client.node(ctx, p.client.way(p.keys, pub.addr))
		if err != nil {
			p.end(pub, nil, err)
			continue
		}
		parts[node] = append(parts[node], pub)
	}
	var wg sync.WaitGroup
	for node, part := range parts {
		wg.Go(func() { p.sender.sendTo(ctx, node, part, 0) })
	}
	wg.Wait()
}

func (p *publisher) command(ctx context.Context, pub publication) *command {
	return p.client.publishing(ctx, p.keys.channel(pub.addr), isSharded(pub.addr), pub.body)
}

func (p *publisher) end(pub publication, c *command, err error) {
	p.metrics.published(result(err))
	if pub.sent != nil {
		pub.sent.Receivers, pub.sent.Err = -1, err
		if err == nil && p.client.cluster == nil {
			pub.sent.Receivers, pub.sent.Err = c.Int64()
		}
	}
	tell(pub.done, err)
}

// way is a key in the slot whose master what is published to addr goes to.
func (c *client) way(k keys, addr hub.Address) string {
	if c.sharded && isSharded(addr) {
		return k.channel(addr)
	}
	return k.order(addr)
}

// publishing is the command that publishes body, within the shard if it may be and the setting says so.
func (c *client) publishing(ctx context.Context, channel string, sharded bool, body []byte) *command {
	if c.sharded && sharded {
		return newCommand(ctx, "spublish", channel, body)
	}
	return newCommand(ctx, "publish", channel, body)
}

// publish publishes body on a node, and returns how many subscribers that had for it.
func (c *client) publish(ctx context.Context, node *redis.Client, channel string, sharded bool, body []byte) (int64, error) {
	cmd := c.publishing(ctx, channel, sharded, body)
	_ = node.Process(ctx, cmd) // the command has it
	return cmd.Int64()
}
