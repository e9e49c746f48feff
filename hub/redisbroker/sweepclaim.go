package redisbroker

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// claimTime is how long a claim lasts that its sweeper does not extend. Each batch of a sweep extends it.
const claimTime = 5 * time.Second

// claimScript takes or extends a claim for ARGV[1] by ARGV[2] ms. It returns when the claim ends, or 0 if somebody else has
// it. The end stands in the value, because it is what removals are held against.
var claimScript = redis.NewScript(clock + `
local claim = redis.call('GET', KEYS[1])
if claim then
  local till, owner = string.match(claim, '^(%d+) (.*)$')
  if till and tonumber(till) > now and owner ~= ARGV[1] then
    return 0
  end
end
local till = now + ARGV[2]
redis.call('SET', KEYS[1], string.format('%.0f', till) .. ' ' .. ARGV[1], 'PX', ARGV[2])
return till
`)

// claimFreeScript tells whether nobody has the claim.
var claimFreeScript = redis.NewScript(clock + `
local claim = redis.call('GET', KEYS[1])
local till = claim and string.match(claim, '^(%d+) ')
if till and tonumber(till) > now then
  return 0
end
return 1
`)

// unclaimScript gives a claim of ARGV[1] back.
var unclaimScript = redis.NewScript(`
local claim = redis.call('GET', KEYS[1])
if claim and string.match(claim, '^%d+ (.*)$') == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
`)

// claim is the right to sweep a pod. One sweeper has it at a time.
type claim struct {
	client *client
	key    string
	owner  string
}

// extend takes the claim or makes it last longer. It returns when the claim ends, in ms by Redis's clock, or 0 if somebody
// else has it.
func (c claim) extend(ctx context.Context) (till int64, err error) {
	return claimScript.Run(ctx, c.client, []string{c.key}, c.owner, claimTime.Milliseconds()).Int64()
}

// free tells whether nobody has the claim.
func (c claim) free(ctx context.Context) (bool, error) {
	return claimFreeScript.Run(ctx, c.client, []string{c.key}).Bool()
}

// release gives the claim back.
func (c claim) release(ctx context.Context) error {
	return unclaimScript.Run(ctx, c.client, []string{c.key}, c.owner).Err()
}
