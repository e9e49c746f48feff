package redisbroker

import (
	"context"

	"github.com/redis/go-redis/v9"

	"roost/hub"
)

// Scripts that remove ARGV[2] and the following from a set or a hash, before ARGV[1] by Redis's clock, and answer how many
// were there. Later they do nothing and answer -1: the claim they belong to has ended, and the pod may be back.
const (
	sremBefore = clock + `
if now >= tonumber(ARGV[1]) then
  return -1
end
return redis.call('SREM', KEYS[1], unpack(ARGV, 2))
`
	hdelBefore = clock + `
if now >= tonumber(ARGV[1]) then
  return -1
end
return redis.call('HDEL', KEYS[1], unpack(ARGV, 2))
`
)

// removeMembers takes members out of their sets, before till. A set that is none is left alone.
func (s *sweeper) removeMembers(ctx context.Context, till int64, entries []hub.Member) error {
	byTopic := map[string][]any{}
	for _, m := range entries {
		if listed(m) {
			byTopic[m.Topic] = append(byTopic[m.Topic], m.Connection)
		}
	}
	if len(byTopic) == 0 {
		return nil
	}
	pipe := s.client.Pipeline()
	for topic, connections := range byTopic {
		pipe.Eval(ctx, sremBefore, []string{s.keys.members(topic)}, append([]any{till}, connections...)...)
	}
	cmds, err := pipe.Exec(ctx)
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil {
			if ofTopic(err) {
				continue
			}
			return err
		}
		if n, _ := cmd.(*redis.Cmd).Int(); n < 0 {
			return errClaimed
		}
	}
	if len(cmds) < len(byTopic) {
		return err
	}
	return nil
}

// removeShown takes back what members show, before till, and has their topics told.
func (s *sweeper) removeShown(ctx context.Context, till int64, entries []hub.Member) error {
	w := rosterWrite{Pipeliner: s.client.Pipeline(), again: s.client.sharded}
	var ops []presenceOp
	for _, m := range entries {
		if !m.Bare {
			ops = append(ops, hideOp(m))
		}
	}
	calls := w.shows(ctx, s.keys, s.roster.presenceChannel, s.roster.limit, till, ops)
	err := w.exec(ctx)
	if late := s.roster.settle(calls); err == nil {
		err = late
	}
	return err
}

// removeFields takes fields out of the pod's index, before till, and returns how many were there.
func (s *sweeper) removeFields(ctx context.Context, till int64, pod string, fields []string) (int, error) {
	args := make([]any, 0, len(fields)+1)
	args = append(args, till)
	for _, field := range fields {
		args = append(args, field)
	}
	n, err := s.client.Eval(ctx, hdelBefore, []string{s.keys.indexOf(pod)}, args...).Int()
	if err == nil && n < 0 {
		return 0, errClaimed
	}
	return n, err
}
