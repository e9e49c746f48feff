package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/phoenix"
)

// checkTimeout bounds gateway check.
const checkTimeout = 20 * time.Second

// checkEvent is what gateway check publishes. Members of the topic see it too.
const checkEvent = "roost:check"

// maxShown is how much of an unexpected answer is printed, in bytes.
const maxShown = 500

// check is a client that joins one topic, and that gets one message through Redis if it knows where Redis is.
type check struct {
	conn  *websocket.Conn
	topic string
}

// checkTopic joins a topic as a client does, and publishes to it as a backend does. It prints each step that went well.
func checkTopic(ctx context.Context, args, environ []string, stdout io.Writer) error {
	target, payload, err := joinArguments("check", args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()

	c, err := dialCheck(ctx, target, args[1])
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer c.conn.Close()
	defer context.AfterFunc(ctx, func() { c.conn.Close() })()
	if err := c.join(payload); err != nil {
		return fmt.Errorf("join %q: %w", c.topic, orTimeout(ctx, err))
	}
	fmt.Fprintf(stdout, "joined %q\n", c.topic)
	cfg, _ := loadConfig(environ, false, false) // only Redis' settings matter
	if cfg.RedisURL == "" {
		fmt.Fprintln(stdout, "REDIS_URL is not set, so no message was published")
		return nil
	}
	if err := c.publish(ctx, cfg); err != nil {
		return fmt.Errorf("publish to %q: %w", c.topic, err)
	}
	fmt.Fprintf(stdout, "got the message that was published to %stopic:%s\n", cfg.RedisPrefix, c.topic)
	return nil
}

// joinArguments reads URL TOPIC [JSON] of a command that joins a topic.
func joinArguments(command string, args []string) (target string, payload []byte, err error) {
	if len(args) != 2 && len(args) != 3 {
		return "", nil, usageError("gateway " + command + " takes URL TOPIC [JSON]: ws://localhost:4000/socket rooms:lobby '{\"token\":\"…\"}'")
	}
	payload = []byte("{}")
	if len(args) == 3 {
		payload = []byte(args[2])
	}
	if !json.Valid(payload) {
		return "", nil, errors.New("the join's payload is not JSON")
	}
	target, err = socketURL(args[0])
	return target, payload, err
}

// socketURL makes a WebSocket URL of what people have at hand: what they give to phoenix.js, with or without /websocket.
func socketURL(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil {
		return "", errors.New("the first argument is not a URL")
	}
	switch u.Scheme {
	case "http":
		u.Scheme = "ws"
	case "https":
		u.Scheme = "wss"
	case "ws", "wss":
	default:
		return "", errors.New("the URL does not begin with ws://, wss://, http:// or https://")
	}
	if u.Path = strings.TrimSuffix(u.Path, "/"); !strings.HasSuffix(u.Path, "/websocket") {
		u.Path += "/websocket"
	}
	query := u.Query()
	query.Set("vsn", "2.0.0")
	u.RawQuery = query.Encode()
	return u.String(), nil
}

func dialCheck(ctx context.Context, target, topic string) (*check, error) {
	conn, response, err := websocket.DefaultDialer.DialContext(ctx, target, nil)
	if err != nil && response != nil {
		return nil, fmt.Errorf("the server answered %s", response.Status)
	}
	if err != nil {
		return nil, err
	}
	return &check{conn: conn, topic: topic}, nil
}

// join sends the join and waits for its reply.
func (c *check) join(payload []byte) error {
	frame, err := json.Marshal([]any{"1", "1", c.topic, phoenix.EventJoin, json.RawMessage(payload)})
	if err != nil {
		return err
	}
	if err := c.conn.WriteMessage(websocket.TextMessage, frame); err != nil {
		return err
	}
	reply, err := c.await(phoenix.EventReply)
	if err != nil {
		return err
	}
	var answer struct{ Status string }
	if json.Unmarshal(reply, &answer) != nil || answer.Status != "ok" {
		return fmt.Errorf("the answer was %.*s", maxShown, reply)
	}
	return nil
}

// publish publishes a message that nobody has seen before, and waits until the member gets it.
func (c *check) publish(ctx context.Context, cfg *config) error {
	payload := fmt.Appendf(nil, `{"check":%q}`, rand.Text())
	body := fmt.Appendf(nil, `{"event":%q,"payload":%s}`, checkEvent, payload)
	redis := redisbroker.Config{URL: cfg.RedisURL, Prefix: cfg.RedisPrefix, ShardedPubSub: bool(cfg.RedisSharded)}
	listening, err := redisbroker.PublishOnce(ctx, redis, hub.TopicAddress(c.topic), body)
	if err != nil {
		return err
	}
	for {
		got, err := c.await(checkEvent)
		if err != nil && listening == 0 {
			return fmt.Errorf("%w; nobody listens there: do the pods have this REDIS_URL and this ROOST_REDIS_PREFIX?", orTimeout(ctx, err))
		}
		if err != nil {
			return orTimeout(ctx, err)
		}
		if bytes.Equal(got, payload) {
			return nil
		}
	}
}

// await returns the payload of the next message with event, and skips what else the topic says.
func (c *check) await(event string) (json.RawMessage, error) {
	for {
		kind, frame, err := c.conn.ReadMessage()
		if err != nil {
			return nil, err
		}
		var fields []json.RawMessage
		if kind != websocket.TextMessage || json.Unmarshal(frame, &fields) != nil || len(fields) != 5 {
			continue
		}
		var topic, name string
		if json.Unmarshal(fields[2], &topic) != nil || json.Unmarshal(fields[3], &name) != nil || topic != c.topic {
			continue
		}
		switch name {
		case event:
			return fields[4], nil
		case phoenix.EventError, phoenix.EventClose:
			return nil, fmt.Errorf("the channel ended with %s", name)
		}
	}
}

// orTimeout says that ctx ended, where that is why err came.
func orTimeout(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("nothing came within %v", checkTimeout)
	}
	return err
}
