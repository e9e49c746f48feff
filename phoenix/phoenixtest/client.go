package phoenixtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// Timeout is how long a client waits for what must come.
const Timeout = 20 * time.Second

// quietTime is how long a client listens for what must not come, before it asks with a heartbeat.
const quietTime = 150 * time.Millisecond

// ErrTimeout means that nothing came.
var ErrTimeout = errors.New("phoenixtest: nothing came")

// Message is one frame with data from the server.
type Message struct {
	Binary bool
	Data   []byte
}

func (m Message) String() string {
	if m.Binary {
		return fmt.Sprintf("binary % x", m.Data)
	}
	if len(m.Data) > 1000 {
		return fmt.Sprintf("%s… (%d bytes)", m.Data[:1000], len(m.Data))
	}
	return string(m.Data)
}

// Client is a WebSocket client that collects what the server sends. It always reads.
type Client struct {
	tb         testing.TB
	conn       *websocket.Conn
	cork       *corkConn
	v1         bool
	heartbeats int

	mu      sync.Mutex
	queue   []Message
	end     error         // why reading ended
	arrived chan struct{} // holds one token when queue or end has changed
}

// Dial connects to a WebSocket URL with query, and fails the test if it cannot. The header may be nil. A permessage-deflate
// offer is not made.
func Dial(tb testing.TB, url string, header http.Header) *Client {
	tb.Helper()
	c, err := Connect(tb, url, header)
	if err != nil {
		tb.Fatalf("dial %s: %v", url, err)
	}
	return c
}

// Connect is Dial that returns its error. It may be called from any goroutine.
func Connect(tb testing.TB, url string, header http.Header) (*Client, error) {
	c := &Client{tb: tb, v1: !strings.Contains(url, "vsn=2."), arrived: make(chan struct{}, 1)}
	dialer := websocket.Dialer{
		HandshakeTimeout: Timeout,
		NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			c.cork = &corkConn{Conn: conn}
			return c.cork, err
		},
	}
	conn, response, err := dialer.DialContext(tb.Context(), url, header)
	if err != nil {
		if response != nil {
			return nil, fmt.Errorf("%w: %s", err, response.Status)
		}
		return nil, err
	}
	c.conn = conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.read()
	}()
	tb.Cleanup(func() {
		conn.Close()
		<-done
	})
	return c, nil
}

func (c *Client) read() {
	for {
		kind, data, err := c.conn.ReadMessage()
		c.mu.Lock()
		if err != nil {
			c.end = err
		} else {
			c.queue = append(c.queue, Message{Binary: kind == websocket.BinaryMessage, Data: data})
		}
		c.mu.Unlock()
		select {
		case c.arrived <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// Write sends a text frame. It may be called from any goroutine, but not while another writes.
func (c *Client) Write(frame string) error {
	return c.conn.WriteMessage(websocket.TextMessage, []byte(frame))
}

// Send sends text frames; several leave in one write to the network. A server that has closed already is no error: what it
// sent before is still there to read.
func (c *Client) Send(frames ...string) {
	c.tb.Helper()
	c.cork.hold()
	for _, f := range frames {
		if err := c.Write(f); err != nil {
			c.tb.Logf("send %.200s: %v", f, err)
		}
	}
	if err := c.cork.flush(); err != nil {
		c.tb.Logf("send: %v", err)
	}
}

// SendBinary sends a binary frame, in the same way.
func (c *Client) SendBinary(frame []byte) {
	c.tb.Helper()
	if err := c.conn.WriteMessage(websocket.BinaryMessage, frame); err != nil {
		c.tb.Logf("send % x: %v", frame, err)
	}
}

// Receive returns the next message, or ErrTimeout, or the error that ended the connection. It may be called from any
// goroutine.
func (c *Client) Receive(timeout time.Duration) (Message, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		c.mu.Lock()
		if len(c.queue) > 0 {
			m := c.queue[0]
			c.queue = c.queue[1:]
			c.mu.Unlock()
			return m, nil
		}
		end := c.end
		c.mu.Unlock()
		if end != nil {
			return Message{}, end
		}
		select {
		case <-c.arrived:
		case <-timer.C:
			return Message{}, ErrTimeout
		}
	}
}

// Next returns the next message and fails the test if none comes.
func (c *Client) Next() Message {
	c.tb.Helper()
	m, err := c.Receive(Timeout)
	if err != nil {
		c.tb.Fatalf("got %v, want a message", err)
	}
	return m
}

// CloseWith sends a close frame; code 0 sends one without a code.
func (c *Client) CloseWith(code int) {
	c.tb.Helper()
	var body []byte
	if code != 0 {
		body = websocket.FormatCloseMessage(code, "")
	}
	if err := c.conn.WriteControl(websocket.CloseMessage, body, time.Now().Add(Timeout)); err != nil {
		c.tb.Fatalf("close: %v", err)
	}
}

// Drop ends the TCP connection without a close frame.
func (c *Client) Drop() { c.conn.NetConn().Close() }
