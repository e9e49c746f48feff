package redisbroker

import (
	"context"
	"encoding/base64"

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
	sender sender[appended]
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
	a := &appender{keys: k, client: c, length: length, queue: newBatcher(maxAppends, maxAppendedSize, size)}
	a.sender = sender[appended]{client: c, command: a.command, end: func(item appended, _ *command, err error) { item.done <- err }}
	return a
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

// send appends a batch in one go. It goes to the stream's node itself: a client of a whole cluster would send it again when the
// connection breaks.
func (a *appender) send(ctx context.Context, batch []appended) {
	node, err := a.client.node(ctx, a.keys.pushes())
	if err != nil {
		a.sender.fail(batch, err)
		return
	}
	a.sender.sendTo(ctx, node, batch, 0)
}

func (a *appender) command(ctx context.Context, item appended) *command {
	e := &item.entry
	args := []any{
		"xadd", a.keys.pushes(), "maxlen", "~", a.length, "*",
		"connection", e.Connection, "id", e.ID, "topic", e.Topic, "join_ref", e.JoinRef, "ref", e.Ref, "event", e.Event,
	}
	if e.Binary {
		args = append(args, "payload_base64", base64.StdEncoding.EncodeToString(e.Payload))
	} else {
		args = append(args, "payload", e.Payload)
	}
	return newCommand(ctx, args...)
}
