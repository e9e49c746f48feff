package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/gorilla/websocket"
)

// listenBeat is how often gateway listen says that it is there, as phoenix.js does.
const listenBeat = 30 * time.Second

// listenTo joins a topic as a client does, and prints every frame that comes, a line each, until ctx ends or the connection does.
func listenTo(ctx context.Context, args []string, stdout io.Writer) error {
	target, payload, err := joinArguments("listen", args)
	if err != nil {
		return err
	}
	c, err := dialCheck(ctx, target, args[1])
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer c.conn.Close()
	defer context.AfterFunc(ctx, func() { c.conn.Close() })()
	if err := c.join(payload); err != nil {
		return fmt.Errorf("join %q: %w", c.topic, err)
	}
	fmt.Fprintf(stdout, "joined %q, listening\n", c.topic)
	go c.beat(ctx)
	for {
		kind, frame, err := c.conn.ReadMessage()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("the connection ended: %w", err)
		case kind == websocket.BinaryMessage:
			fmt.Fprintf(stdout, "%s binary, %d bytes\n", time.Now().Format(time.TimeOnly), len(frame))
		default:
			fmt.Fprintf(stdout, "%s %s\n", time.Now().Format(time.TimeOnly), frame)
		}
	}
}

// beat sends heartbeats until ctx ends. Nothing else is written once it runs.
func (c *check) beat(ctx context.Context) {
	ticker := time.NewTicker(listenBeat)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			frame := fmt.Appendf(nil, `[null,"h%d","phoenix","heartbeat",{}]`, n)
			if c.conn.WriteMessage(websocket.TextMessage, frame) != nil {
				return
			}
		}
	}
}
