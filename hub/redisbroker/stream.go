package redisbroker

import (
	"context"
	"encoding/base64"

	"github.com/redis/go-redis/v9"

	"roost/hub"
)

// Bounds of what waits to be appended.
const (
	maxAppends      = 100_000
	maxAppendedSize = 64 << 20 // bytes
)

// appender adds to the stream of pushes, batch by batch.
type appender struct {
	keys   keys
	client *client
	length int64 // of the stream, about
	queue  *batcher[appended]
}

type appended struct {
	entry hub.StreamEntry
	done  chan<- error // has room for one
}

func newAppender(k keys, c *client, length int64) *appender {
	size := func(a appended) int {
		e := &a.entry
		return len(e.Connection) + len(e.ID) + len(e.Topic) + len(e.JoinRef) + len(e.Ref) + len(e.Event) + len(e.Payload)
	}
	return &appender{keys: k, client: c, length: length, queue: newBatcher(maxAppends, maxAppendedSize, size)}
}

func (a *appender) append(ctx context.Context, e hub.StreamEntry) error {
	done := make(chan error, 1)
	if err := a.queue.put(appended{e, done}); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (a *appender) send(ctx context.Context, batch []appended) {
	pipe := a.client.Pipeline()
	for i := range batch {
		e := &batch[i].entry
		values := []any{"connection", e.Connection, "id", e.ID, "topic", e.Topic, "join_ref", e.JoinRef, "ref", e.Ref, "event", e.Event}
		if e.Binary {
			values = append(values, "payload_base64", base64.StdEncoding.EncodeToString(e.Payload))
		} else {
			values = append(values, "payload", e.Payload)
		}
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: a.keys.pushes(), MaxLen: a.length, Approx: true, Values: values})
	}
	cmds, _ := pipe.Exec(ctx) // each command has its own error
	for i := range batch {
		batch[i].done <- cmds[i].Err()
	}
}
