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
	queue   *batcher[publication]
	metrics *metrics
}

type publication struct {
	addr hub.Address
	body []byte
	done func(error)
}

func newPublisher(k keys, c *client, m *metrics) *publisher {
	size := func(p publication) int { return len(p.addr) + len(p.body) }
	return &publisher{keys: k, client: c, metrics: m, queue: newBatcher(maxPublishes, maxPublishedSize, size)}
}

func (p *publisher) publish(addr hub.Address, body []byte, done func(error)) {
	if err := p.queue.put(publication{addr, body, done}); err != nil {
		p.metrics.published(resultRejected)
		tell(done, err)
	}
}

// send publishes a batch: on one server in one go, in a cluster at the same time on all nodes.
func (p *publisher) send(ctx context.Context, batch []publication) {
	if p.client.cluster == nil {
		p.sendTo(ctx, p.client.single, batch, 0)
		return
	}
	parts := map[*redis.Client][]publication{}
	for _, pub := range batch {
		node, err := p.client.node(ctx, p.client.way(p.keys, pub.addr))
		if err != nil {
			p.end(pub, err)
			continue
		}
		parts[node] = append(parts[node], pub)
	}
	var wg sync.WaitGroup
	for node, part := range parts {
		wg.Go(func() { p.sendTo(ctx, node, part, 0) })
	}
	wg.Wait()
}

// maxMoves is how often a message follows its slot to another node.
const maxMoves = 3

// sendTo publishes on one node. What the node has sent elsewhere it did not publish, and that goes there.
func (p *publisher) sendTo(ctx context.Context, node *redis.Client, batch []publication, moves int) {
	pipe := node.Pipeline()
	for _, pub := range batch {
		p.client.publish(ctx, pipe, p.keys.channel(pub.addr), isSharded(pub.addr), pub.body)
	}
	cmds, err := pipe.Exec(ctx)
	if err != nil {
		p.client.suspect(ctx)
	}
	var elsewhere map[string][]publication
	for i, pub := range batch {
		err := cmds[i].Err()
		if err != nil && moves < maxMoves {
			if _, at, ok := moved(err.Error(), node.Options().Addr); ok {
				if elsewhere == nil {
					elsewhere = map[string][]publication{}
				}
				elsewhere[at] = append(elsewhere[at], pub)
				continue
			}
		}
		p.end(pub, err)
	}
	for at, part := range elsewhere {
		p.follow(ctx, at, part, moves+1)
	}
}

// follow publishes on the node at addr.
func (p *publisher) follow(ctx context.Context, addr string, batch []publication, moves int) {
	node, err := p.client.at(ctx, addr)
	if err != nil {
		for _, pub := range batch {
			p.end(pub, err)
		}
		return
	}
	defer node.Close()
	p.sendTo(ctx, node, batch, moves)
}

func (p *publisher) end(pub publication, err error) {
	p.metrics.published(result(err))
	tell(pub.done, err)
}

// way is a key in the slot whose master what is published to addr goes to.
func (c *client) way(k keys, addr hub.Address) string {
	if c.sharded && isSharded(addr) {
		return k.channel(addr)
	}
	return k.order(addr)
}

// publish publishes body, within the shard if it may be and the setting says so.
func (c *client) publish(ctx context.Context, to redis.Cmdable, channel string, sharded bool, body []byte) *redis.IntCmd {
	if c.sharded && sharded {
		return to.SPublish(ctx, channel, body)
	}
	return to.Publish(ctx, channel, body)
}
