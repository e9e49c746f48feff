package conformance_test

import (
	"fmt"
	"testing"
	"time"

	"roost/phoenix/phoenixtest"
)

// bystander joins a topic of its own on a pod and, until the test ends, gets broadcasts and heartbeat replies there. The
// test fails if one does not come.
func bystander(t *testing.T, p *pod, server *redisServer) {
	t.Helper()
	c := dial(t, p, "vsn=2.0.0").named(newTopic("bystander")).joined()
	quit, ended := make(chan struct{}), make(chan error, 1)
	rounds := 0
	go func() { // until quit
		for last := false; !last; {
			select {
			case <-quit:
				last = true // one more round, after all that the test did
			case <-time.After(20 * time.Millisecond):
			}
			if err := c.round(server, rounds); err != nil {
				ended <- fmt.Errorf("round %d: %w", rounds, err)
				return
			}
			rounds++
		}
		ended <- nil
	}()
	t.Cleanup(func() {
		close(quit)
		if err := <-ended; err != nil {
			t.Errorf("bystander: %v", err)
		}
	})
}

// round publishes to the client's topic, sends a heartbeat, and waits for both.
func (c *client) round(server *redisServer, n int) error {
	server.publish(c.t, "topic:"+c.topic, fmt.Sprintf(`{"event":"round","payload":{"n":%d}}`, n))
	ask, answer := c.NextHeartbeat()
	if err := c.Write(ask); err != nil {
		return err
	}
	missing := []string{answer, c.expand(fmt.Sprintf(`[null,null,$T,"round",{"n":%d}]`, n))}
	for len(missing) > 0 {
		m, err := c.Receive(phoenixtest.Timeout)
		if err != nil {
			return err
		}
		switch {
		case same(m, missing[0]):
			missing = missing[1:]
		case len(missing) == 2 && same(m, missing[1]):
			missing = missing[:1]
		default:
			return fmt.Errorf("got %v, want %q", m, missing)
		}
	}
	return nil
}
