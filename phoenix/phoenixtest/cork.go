package phoenixtest

import (
	"net"
	"sync"
)

// corkConn is a connection that can gather what is written, so that several frames leave in one write.
type corkConn struct {
	net.Conn
	mu   sync.Mutex
	held bool
	buf  []byte
}

func (c *corkConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held {
		c.buf = append(c.buf, p...)
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// hold keeps back what is written from now on.
func (c *corkConn) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = true
}

// flush writes all that was kept back.
func (c *corkConn) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = false
	_, err := c.Conn.Write(c.buf)
	c.buf = c.buf[:0]
	return err
}
