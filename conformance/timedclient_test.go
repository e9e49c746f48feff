package conformance_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// reconnectAfter and rejoinAfter are phoenix.js's waits. They have no jitter.
var (
	reconnectAfter = []time.Duration{10, 50, 100, 150, 200, 250, 500, 1000, 2000, 5000}
	rejoinAfter    = []time.Duration{1000, 2000, 5000, 10000}
)

// after returns the wait before try number n, in milliseconds as the table has it.
func after(table []time.Duration, n int) time.Duration {
	return table[min(n, len(table)-1)] * time.Millisecond
}

// timedClient comes back to one topic as phoenix.js does: connect, join, read, and again.
type timedClient struct {
	url, topic string
	crowd      *timedCrowd
	conn       *websocket.Conn
	ref        int
}

// timedCrowd is what timed clients have seen together.
type timedCrowd struct {
	mu     sync.Mutex
	inside int            // clients that are joined now
	joins  int            // ok replies
	codes  map[int]int    // close codes
	events map[string]int // broadcasts, by event
}

func newTimedCrowd() *timedCrowd {
	return &timedCrowd{codes: map[int]int{}, events: map[string]int{}}
}

func (c *timedCrowd) seen(event string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.events[event]
}

func (c *timedCrowd) joined() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inside
}

// run lives until ctx ends.
func (c *timedClient) run(ctx context.Context) {
	for tries := 0; ctx.Err() == nil; tries++ {
		opened, err := c.once(ctx)
		if opened {
			tries = 0
		}
		var closed *websocket.CloseError
		if errors.As(err, &closed) && ctx.Err() == nil {
			c.crowd.mu.Lock()
			c.crowd.codes[closed.Code]++
			c.crowd.mu.Unlock()
		}
		select {
		case <-ctx.Done():
		case <-time.After(after(reconnectAfter, tries)):
		}
	}
}

// once is one connection. It tells whether the connection was opened, and how it ended.
func (c *timedClient) once(ctx context.Context) (opened bool, err error) {
	dialer := websocket.Dialer{NetDialContext: (&net.Dialer{}).DialContext, HandshakeTimeout: 10 * time.Second}
	conn, response, err := dialer.DialContext(ctx, c.url, nil)
	if response != nil && response.Body != nil {
		response.Body.Close()
	}
	if err != nil {
		return false, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	c.conn = conn
	return true, c.stay()
}

// stay joins and reads until the connection ends.
func (c *timedClient) stay() error {
	inside, tries := false, 0
	defer func() { c.moved(&inside, false) }()
	if err := c.join(); err != nil {
		return err
	}
	for {
		var frame [5]json.RawMessage
		if err := c.conn.ReadJSON(&frame); err != nil {
			return err
		}
		var event string
		if err := json.Unmarshal(frame[3], &event); err != nil {
			return err
		}
		current := string(frame[0]) == fmt.Sprintf(`"%d"`, c.ref)
		var reply struct{ Status string }
		json.Unmarshal(frame[4], &reply)
		switch {
		case event == "phx_reply" && current && reply.Status == "ok":
			tries = 0
			c.moved(&inside, true)
			continue
		case event == "phx_reply" && current, event == "phx_error" && current:
			c.moved(&inside, false)
			time.Sleep(after(rejoinAfter, tries))
			tries++
			if err := c.join(); err != nil {
				return err
			}
		case string(frame[0]) == "null":
			c.crowd.mu.Lock()
			c.crowd.events[event]++
			c.crowd.mu.Unlock()
		}
	}
}

func (c *timedClient) join() error {
	c.ref++
	return c.conn.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `["%d","%d",%q,"phx_join",{}]`, c.ref, c.ref, c.topic))
}

// moved counts the client in or out.
func (c *timedClient) moved(inside *bool, to bool) {
	c.crowd.mu.Lock()
	defer c.crowd.mu.Unlock()
	switch {
	case to && !*inside:
		c.crowd.inside++
		c.crowd.joins++
	case !to && *inside:
		c.crowd.inside--
	}
	*inside = to
}
