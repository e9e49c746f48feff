package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/rawjson"
)

// publish runs gateway publish: it sends one broadcast, as a backend does, and tells who listens.
func publish(ctx context.Context, environ, args []string, stdout io.Writer) error {
	topic, event, payload := args[0], args[1], "{}"
	if len(args) > 2 {
		payload = args[2]
	}
	if !rawjson.Valid([]byte(payload)) || !rawjson.IsObject([]byte(payload)) {
		return fmt.Errorf("the payload %.80q is not a JSON object, such as '{\"body\":\"hi\"}'", payload)
	}
	cfg, _ := loadConfig(environ, false, true) // only what is needed here must be right
	if err := cfg.checkRedisURL(); err != nil {
		return fmt.Errorf("REDIS_URL: %w", err)
	}
	if err := cfg.checkRedisPrefix(); err != nil {
		return fmt.Errorf("ROOST_REDIS_PREFIX: %w", err)
	}
	body, err := hub.Body(hub.Broadcast{Event: event, Payload: []byte(payload)})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, doctorTime)
	defer cancel()
	subscribers, err := redisbroker.PublishOnce(ctx, redisbroker.Config{
		URL: cfg.RedisURL, Prefix: cfg.RedisPrefix, ShardedPubSub: bool(cfg.RedisSharded),
	}, hub.TopicAddress(topic), body)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if strings.Contains(cfg.RedisURL, ",") {
		subscribers = -1
	}
	_, err = fmt.Fprintln(stdout, heard(topic, subscribers))
	return err
}

// heard says what the number of subscribers means; -1 is a Cluster, where no server knows it.
func heard(topic string, pods int64) string {
	switch {
	case pods < 0:
		return "published to " + topic + "; a Redis Cluster does not tell how many pods listen"
	case pods == 0:
		return "published to " + topic + ", and no pod listens: nobody has joined that topic, or the pods use another Redis or another ROOST_REDIS_PREFIX"
	case pods == 1:
		return "published to " + topic + ": 1 pod listens"
	default:
		return fmt.Sprintf("published to %s: %d pods listen", topic, pods)
	}
}
