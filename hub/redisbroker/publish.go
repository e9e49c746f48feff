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
		p.sendTo(ctx, p.client.single, batch)
		return
	}
	parts := map[*redis.Client][]publication{}
	for _, pub := range batch {
		node, err := p.client.node(ctx, p.keys.channel(pub.addr))
		if err != nil {
			p.end(pub, err)
			continue
		}
		parts[node] = append(parts[node], pub)
	}
	var wg sync.WaitGroup
	for node, part := range parts {
		wg.Go(func() { p.sendTo(ctx, node, part) })
	}
	wg.Wait()
}

func (p *publisher) sendTo(ctx context.Context, node *redis.Client, batch []publication) {
	pipe := node.Pipeline()
	for _, pub := range batch {
		pipe.Publish(ctx, p.keys.channel(pub.addr), pub.body)
	}
	cmds, err := pipe.Exec(ctx)
	if err != nil {
		p.client.suspect(ctx)
	}
	for i, pub := range batch {
		p.end(pub, cmds[i].Err())
	}
}

func (p *publisher) end(pub publication, err error) {
	p.metrics.published(result(err))
	tell(pub.done, err)
}
