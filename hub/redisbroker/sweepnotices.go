package redisbroker

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/hub"
)

// toldTime is how long is remembered that a pod's ends were told. One that was frozen for longer has no clients any more.
const toldTime = 24 * time.Hour

// adoptScript appends notices, ARGV[2] and the following by threes, to a stream, before ARGV[1] by Redis's clock. Later it does
// nothing and answers -1.
var adoptScript = redis.NewScript(clock + `
if now >= tonumber(ARGV[1]) then
  return -1
end
for i = 2, #ARGV, 3 do
  redis.call('XADD', KEYS[1], '*', 'record', ARGV[i], 'reason', ARGV[i + 1], 'at', ARGV[i + 2])
end
return (#ARGV - 1) / 3
`)

// toldScript notes, before ARGV[1] by Redis's clock, that ends are told. Later it does nothing and answers -1.
var toldScript = redis.NewScript(clock + `
if now >= tonumber(ARGV[1]) then
  return -1
end
redis.call('SET', KEYS[1], 1, 'PX', ARGV[2])
return 1
`)

// adopt puts notices into the stream of this pod, before till.
func (s *sweeper) adopt(ctx context.Context, till int64, notices []hub.Notice) error {
	if len(notices) == 0 {
		return nil
	}
	args := make([]any, 0, 3*len(notices)+1)
	args = append(args, till)
	for i := range notices {
		n := &notices[i]
		args = append(args, n.Record, n.Reason, n.At.UnixMilli())
	}
	if err := s.lease.cover(ctx); err != nil {
		return err
	}
	n, err := adoptScript.Run(ctx, s.client, []string{s.keys.notices(s.keys.pod)}, args...).Int()
	switch {
	case err != nil:
		return err
	case n < 0:
		return errClaimed
	}
	s.metrics.adopted(n)
	s.outbox.written()
	return nil
}

// adoptStream takes over what the dead pod did not get rid of, in order.
func (s *sweeper) adoptStream(ctx context.Context, pod string, c claim) error {
	stream := s.keys.notices(pod)
	if s.outbox.courier == nil {
		return s.client.Del(ctx, stream).Err() // nobody wants to be told
	}
	for {
		entries, err := s.client.XRangeN(ctx, stream, "-", "+", noticesPerRead).Result()
		if err != nil || len(entries) == 0 {
			return err
		}
		till, err := s.hold(ctx, pod, c)
		if err != nil {
			return err
		}
		notices, ids := make([]hub.Notice, len(entries)), make([]string, len(entries))
		for i := range entries {
			notices[i], ids[i] = parseNotice(entries[i].Values), entries[i].ID
		}
		if err := s.adopt(ctx, till, notices); err != nil {
			return err
		}
		if err := s.client.XDel(ctx, stream, ids...).Err(); err != nil {
			return err
		}
	}
}

// tell has the ends of entries told, before till. The pod may be alive after all: then it has to know.
func (s *sweeper) tell(ctx context.Context, till int64, pod string, entries []hub.Member) error {
	var notices []hub.Notice
	for i := range entries {
		if n := s.outbox.ending(&entries[i]); n != nil {
			notices = append(notices, *n)
		}
	}
	if len(notices) == 0 {
		return nil
	}
	n, err := toldScript.Run(ctx, s.client, []string{s.keys.told(pod)}, till, toldTime.Milliseconds()).Int()
	if err == nil && n < 0 {
		err = errClaimed
	}
	if err != nil {
		return err
	}
	return s.adopt(ctx, till, notices)
}
