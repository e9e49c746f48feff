package redisbroker

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"roost/hub"
)

// Inspection is what [Inspect] found out about a Redis installation. What could not be found out is zero.
type Inspection struct {
	Version   string        // of the server that answered
	Mode      string        // "standalone", "cluster" or "sentinel", as the server says
	Eviction  string        // its maxmemory-policy; "" where that is not told
	Clock     time.Duration // how far Redis's clock is ahead of this machine's, to a millisecond or so
	Answer    time.Duration // from a PING to its answer
	RoundTrip time.Duration // from a publish to its arrival over a subscription
	Pods      []string      // those that hold a lease
}

// Inspect looks at the installation that cfg names as a pod would use it: commands, publish and subscribe. It writes
// nothing. It returns what it found out before the first thing that failed, and that as an error, which holds nothing of the
// URL but host names. It blocks until ctx ends at most.
func Inspect(ctx context.Context, cfg Config) (Inspection, error) {
	var found Inspection
	b, err := Open(cfg)
	if err != nil {
		return found, err
	}
	defer b.client.Close()
	if err := b.inspectServer(ctx, &found); err != nil {
		return found, err
	}
	if major, _, _ := strings.Cut(found.Version, "."); b.client.sharded && len(major) == 1 && major < "7" {
		return found, fmt.Errorf("sharded pub/sub needs Redis 7, and this is %s", found.Version)
	}
	probe := hub.TopicAddress("roost:doctor:" + rand.Text())
	if found.RoundTrip, err = b.roundTrip(ctx, probe); err != nil {
		return found, fmt.Errorf("publish and subscribe: %w", err)
	}
	return found, nil
}

// inspectServer asks one server.
func (b *Broker) inspectServer(ctx context.Context, found *Inspection) error {
	sent := time.Now()
	if err := b.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	found.Answer = time.Since(sent)
	info, err := b.client.Info(ctx, "server").Result()
	if err != nil {
		return fmt.Errorf("info: %w", err)
	}
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "redis_version":
			found.Version = value
		case "redis_mode":
			found.Mode = value
		}
	}
	now, err := b.client.Time(ctx).Result()
	if err != nil {
		return fmt.Errorf("time: %w", err)
	}
	found.Clock = time.Until(now)
	// Services that are run by others often refuse CONFIG. Then it is not told.
	if policy, err := b.client.ConfigGet(ctx, "maxmemory-policy").Result(); err == nil {
		found.Eviction = policy["maxmemory-policy"]
	}
	found.Pods, err = b.client.ZRange(ctx, b.lease.keys.pods(), 0, -1).Result()
	if err != nil {
		return fmt.Errorf("list of pods: %w", err)
	}
	return nil
}

// roundTrip subscribes to addr, publishes to it, and measures how long the message is on its way.
func (b *Broker) roundTrip(ctx context.Context, addr hub.Address) (time.Duration, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	seen := make(inspector, 1)
	subscribed := make(chan error, 1)
	b.subs.subscribe(addr, func(err error) { subscribed <- err })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.listen(ctx, seen)
	}()
	defer func() {
		stop()
		<-ended
	}()
	select {
	case err := <-subscribed:
		if err != nil {
			return 0, err
		}
	case <-ctx.Done():
		return 0, fmt.Errorf("the subscription was not confirmed: %w", context.Cause(ctx))
	}
	sent := time.Now()
	b.publisher.send(ctx, []publication{{addr: addr, body: []byte("{}"), done: func(err error) {
		if err != nil {
			subscribed <- err
		}
	}}})
	select {
	case err := <-subscribed:
		return 0, err
	case <-seen:
		return time.Since(sent), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("the message did not come back: %w", context.Cause(ctx))
	}
}

// inspector is a sink that tells when something came.
type inspector chan struct{}

var _ hub.Sink = inspector(nil)

func (i inspector) Message(hub.Address, []byte) { i <- struct{}{} }
func (i inspector) Oversize(hub.Address, int64) {}
func (i inspector) LinkUp(bool)                 {}
func (i inspector) Gap(hub.Address)             {}
func (i inspector) LinkDown(error)              {}
