package redisbroker

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/hub"
)

// tapPing is how often a tap asks whether the server is there. It ends when nothing has come for two times that.
const tapPing = 2 * time.Second

// errTapMoved means that the server has ended a subscription: its slot is at another one now.
var errTapMoved = errors.New("redisbroker: the tapped channel is not at this server any more")

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

	var came atomic.Bool
	pings, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	defer func() {
		stop()
		<-ended
	}()
	go func() {
		defer close(ended)
		pingTap(pings, ps, &came)
	}()
	for {
		reply, err := ps.Receive(ctx)
		if err != nil {
			return err
		}
		came.Store(true)
		switch m := reply.(type) {
		case *redis.Message:
			each(strings.TrimPrefix(m.Channel, before), []byte(m.Payload))
		case *redis.Subscription: // nobody asked for one
			return errTapMoved
		}
	}
}

// pingTap asks the server for answers until ctx ends, and closes ps when there are none.
func pingTap(ctx context.Context, ps *redis.PubSub, came *atomic.Bool) {
	ticker := time.NewTicker(tapPing)
	defer ticker.Stop()
	for silent := 0; silent < 2; silent++ {
		if ps.Ping(ctx) != nil {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if came.Swap(false) {
			silent = -1
		}
	}
	_ = ps.Close()
}
