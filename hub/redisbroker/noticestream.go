package redisbroker

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/hub"
)

// Fields of an entry of the stream of notices.
const (
	fieldRecord = "record"
	fieldReason = "reason"
	fieldAt     = "at" // ms since 1970
)

// add appends notices to the stream by pipe. It is done with every change of the index that forgets what they say.
func (o *outbox) add(ctx context.Context, pipe redis.Pipeliner, n *hub.Notice) {
	pipe.XAdd(ctx, &redis.XAddArgs{Stream: o.keys.notices(o.keys.pod), Values: noticeValues(n)})
}

func noticeValues(n *hub.Notice) []any {
	return []any{fieldRecord, n.Record, fieldReason, n.Reason, fieldAt, strconv.FormatInt(n.At.UnixMilli(), 10)}
}

func parseNotice(values map[string]any) hub.Notice {
	text := func(name string) string { s, _ := values[name].(string); return s }
	at, _ := strconv.ParseInt(text(fieldAt), 10, 64)
	return hub.Notice{Record: text(fieldRecord), Reason: text(fieldReason), At: time.UnixMilli(at)}
}

// dropEmptyScript deletes a stream that has no entries, and returns how many it has.
var dropEmptyScript = redis.NewScript(`
local n = redis.call('XLEN', KEYS[1])
if n == 0 then
  redis.call('DEL', KEYS[1])
end
return n
`)

// after is the start of a range behind the entry id.
func after(id string) string {
	if id == "0" {
		return "-"
	}
	return "(" + id
}
