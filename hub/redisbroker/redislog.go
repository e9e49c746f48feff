package redisbroker

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/redis/go-redis/v9"
)

// redisLog takes what go-redis would print to stderr, a line for every failed dial. The broker itself logs what an operator
// needs, so this is for debugging.
type redisLog struct{}

func (redisLog) Printf(ctx context.Context, format string, v ...any) {
	if l := slog.Default(); l.Enabled(ctx, slog.LevelDebug) {
		l.DebugContext(ctx, "go-redis", "text", fmt.Sprintf(format, v...))
	}
}

// quietRedis sets the logger of go-redis, which has one for the whole process.
var quietRedis = sync.OnceFunc(func() { redis.SetLogger(redisLog{}) })
