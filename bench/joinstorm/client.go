package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// client is a bare WebSocket.
type client struct {
	conn net.Conn
	read *bufio.Reader
	name string
	mu   sync.Mutex // for writing
}

// outcome is what one client saw.
type outcome struct {
	waits  []time.Duration // from the begin of the storm to each ok
	failed int             // error replies
	err    error
}

func dial(address, user string) (*client, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, read: bufio.NewReaderSize(conn, 512), name: user}
	fmt.Fprintf(conn, "GET /socket/websocket?vsn=2.0.0&User=%s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", user, address)
	status, err := c.read.ReadString('\n')
	if err != nil || !strings.Contains(status, " 101 ") {
		return nil, fmt.Errorf("handshake: %q: %w", status, errors.Join(err, errors.ErrUnsupported))
	}
	for line := status; line != "\r\n"; {
		if line, err = c.read.ReadString('\n'); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// ask sends the join of one topic. Its ref is the topic's number.
func (c *client) ask(topic int) {
	text := fmt.Sprintf(`["%d","%d","rooms:%d","phx_join",{}]`, topic, topic, topic)
	frame := append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...) // a mask of zeros changes nothing
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.conn.Write(frame) // the reader finds out
}

// pauses are how long phoenix.js waits before it joins again.
var pauses = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second}

// join joins topics until all of them are joined.
func (c *client) join(topics int, start time.Time) (o outcome) {
	tries := make([]int, topics)
	for t := range topics {
		c.ask(t)
	}
	for len(o.waits) < topics {
		frame, err := c.next()
		if err != nil {
			o.err = err
			return o
		}
		t, ok := reply(frame)
		switch {
		case t < 0:
		case ok:
			o.waits = append(o.waits, time.Since(start))
		default:
			o.failed++
			time.AfterFunc(pauses[min(tries[t], len(pauses)-1)], func() { c.ask(t) })
			tries[t]++
		}
	}
	return o
}

// reply reads which join a frame answers, -1 if none.
func reply(frame string) (topic int, ok bool) {
	if !strings.Contains(frame, `"phx_reply"`) {
		return -1, false
	}
	ref, _, _ := strings.Cut(strings.TrimPrefix(frame, `["`), `"`)
	topic, err := strconv.Atoi(ref)
	if err != nil {
		return -1, false
	}
	return topic, strings.Contains(frame, `"status":"ok"`)
}

// next reads one frame of the server.
func (c *client) next() (string, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(time.Minute))
	var head [2]byte
	if _, err := io.ReadFull(c.read, head[:]); err != nil {
		return "", err
	}
	size := int(head[1] & 0x7f)
	if size == 126 {
		var long [2]byte
		if _, err := io.ReadFull(c.read, long[:]); err != nil {
			return "", err
		}
		size = int(binary.BigEndian.Uint16(long[:]))
	}
	body := make([]byte, size)
	_, err := io.ReadFull(c.read, body)
	if head[0]&0x0f == 8 {
		return "", fmt.Errorf("closed: %q", body)
	}
	return string(body), err
}
