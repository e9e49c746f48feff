package redisbroker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/hub"
)

// request is what became of a request with an idempotency key. What an operator calls it is hashed: it may be long.
func (k keys) request(key string) string {
	sum := sha256.Sum256([]byte(key))
	return k.prefix + "request:" + hex.EncodeToString(sum[:])
}

// Remember implements [hub.Operator]. The value is the fingerprint, a space, and the result once it is known.
func (b *Broker) Remember(ctx context.Context, key, fingerprint string, pending time.Duration) ([]byte, error) {
	name := b.directory.keys.request(key)
	for range 2 { // it may end between the two commands
		first, err := b.client.SetNX(ctx, name, fingerprint+" ", pending).Result()
		if err != nil || first {
			return nil, err
		}
		value, err := b.client.Get(ctx, name).Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return nil, err
		}
		was, result, _ := strings.Cut(value, " ")
		switch {
		case was != fingerprint:
			return nil, hub.ErrOther
		case result == "":
			return nil, hub.ErrPending
		default:
			return []byte(result), nil
		}
	}
	return nil, hub.ErrPending
}

// Conclude implements [hub.Operator].
func (b *Broker) Conclude(ctx context.Context, key, fingerprint string, result []byte, keep time.Duration) error {
	name := b.directory.keys.request(key)
	if result == nil {
		return b.client.Del(ctx, name).Err()
	}
	return b.client.Set(ctx, name, fingerprint+" "+string(result), keep).Err()
}
