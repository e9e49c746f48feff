package redisbroker

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/hub"
)

// giveBackTimeout bounds how long is tried to free a key that may have been taken.
const giveBackTimeout = time.Second

// concludeScript writes the result ARGV[2] behind the mark ARGV[1] for ARGV[3] ms, or with an empty one removes the key, if the key
// still holds the mark and nothing else.
var concludeScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
if ARGV[2] == '' then
  return redis.call('DEL', KEYS[1])
end
redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2], 'PX', ARGV[3])
return 1
`)

// request is what became of a request with an idempotency key. What an operator calls it is hashed: it may be long.
func (k keys) request(key string) string {
	sum := sha256.Sum256([]byte(key))
	return k.prefix + "request:" + hex.EncodeToString(sum[:])
}

// Remember implements [hub.Operator]. The value is the fingerprint, a space, a random text, a space, which together are the mark, and the
// result once it is known. If the answer to SET was lost, the value tells whether the key is ours.
func (b *Broker) Remember(ctx context.Context, key, fingerprint string, pending time.Duration) (mark string, result []byte, err error) {
	name := b.directory.keys.request(key)
	mark = fingerprint + " " + rand.Text() + " "
	for range 2 { // it may end between the two commands
		first, err := b.client.SetNX(ctx, name, mark, pending).Result()
		if err != nil {
			b.giveBack(ctx, key, mark)
			return "", nil, err
		}
		if first {
			return mark, nil, nil
		}
		value, err := b.client.Get(ctx, name).Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			b.giveBack(ctx, key, mark)
			return "", nil, err
		}
		was, rest, _ := strings.Cut(value, " ")
		_, result, _ := strings.Cut(rest, " ")
		switch {
		case value == mark: // a client of a whole cluster sends a SET again whose answer did not come
			return mark, nil, nil
		case was != fingerprint:
			return "", nil, hub.ErrOther
		case result == "":
			return "", nil, hub.ErrPending
		default:
			return "", []byte(result), nil
		}
	}
	return "", nil, hub.ErrPending
}

// giveBack frees a key that may have been taken though the answer was lost. Else it ends by itself.
func (b *Broker) giveBack(ctx context.Context, key, mark string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackTimeout)
	defer cancel()
	_ = b.Conclude(ctx, key, mark, nil, 0)
}

// Conclude implements [hub.Operator].
func (b *Broker) Conclude(ctx context.Context, key, mark string, result []byte, keep time.Duration) error {
	name := b.directory.keys.request(key)
	return concludeScript.Run(ctx, b.client, []string{name}, mark, result, keep.Milliseconds()).Err()
}
