package redisbroker

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// clock is the beginning of every script that looks at Redis's clock: now, in milliseconds.
const clock = `local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
`

// maxDead is how many dead pods one beat names. The next beats name the others.
const maxDead = 16

// beatScript renews the lease of pod ARGV[1] by ARGV[2] ms, if it is held or ARGV[3] is "take", and looks around. It returns
// when the lease ends, or 0 if it is not held; how long until the next lease of all ends, or -1; and who is dead.
var beatScript = redis.NewScript(clock + `
local till = 0
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if ARGV[3] == 'take' or score and tonumber(score) > now then
  till = now + ARGV[2]
  redis.call('ZADD', KEYS[1], string.format('%.0f', till), ARGV[1])
end
local wait = -1
local nextPod = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
if nextPod[2] then
  wait = tonumber(nextPod[2]) - now
end
local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now), 'LIMIT', 0, ARGV[4])
return {till, wait, dead}
`)

// expiredScript tells whether the lease of pod ARGV[1] has run out and is still there.
var expiredScript = redis.NewScript(clock + `
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if score and tonumber(score) <= now then
  return 1
end
return 0
`)

// buryScript removes the lease of pod ARGV[1], if it has run out.
var buryScript = redis.NewScript(clock + `
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if score and tonumber(score) <= now then
  return redis.call('ZREM', KEYS[1], ARGV[1])
end
return 0
`)

// beat is what a beat tells.
type beat struct {
	till int64         // when the lease ends, in ms by Redis's clock; 0 if it is not held
	wait time.Duration // until the next lease of all ends, below 0 if there is none
	dead []string      // pods whose lease has run out
}

// beat sends one beat. With take the lease is taken even if it had run out.
func (l *lease) beat(ctx context.Context, take bool) (beat, error) {
	mode := "keep"
	if take {
		mode = "take"
	}
	reply, err := beatScript.Run(ctx, l.client, []string{l.keys.pods()}, l.keys.pod, l.length.Milliseconds(), mode, maxDead).Slice()
	if err != nil {
		return beat{}, err
	}
	b := beat{}
	if len(reply) != 3 {
		return b, errScript
	}
	till, ok := reply[0].(int64)
	wait, ok2 := reply[1].(int64)
	dead, ok3 := reply[2].([]any)
	if !ok || !ok2 || !ok3 {
		return b, errScript
	}
	b.till, b.wait = till, time.Duration(wait)*time.Millisecond
	for _, pod := range dead {
		if id, ok := pod.(string); ok && id != l.keys.pod {
			b.dead = append(b.dead, id)
		}
	}
	return b, nil
}
