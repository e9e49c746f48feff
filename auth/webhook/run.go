package webhook

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"
)

// maxLanes is how many notices are sent at the same time, at most: so many leave room for joins and pushes.
const maxLanes = 16

// Run sends notices until ctx ends, and then, for at most Config.FlushTimeout, those that still wait. It blocks, and leaves
// nothing behind: no goroutine, no idle connection. Run it once, and end it after all that uses c has ended; notices that
// come later are dropped and counted, or not accepted if they were offered.
func (c *Client) Run(ctx context.Context) error {
	if c.running.Swap(true) {
		return errors.New("webhook: Run was called before")
	}
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var lanes errgroup.Group
	for range max(1, min(maxLanes, c.config.MaxInFlight/2)) {
		lanes.Go(func() error {
			for l, n := c.notices.next(); l != nil; l, n = c.notices.next() {
				err := c.pace.Wait(sending)
				if err == nil {
					err = c.send(sending, n)
				}
				c.notices.settle(l, n, err)
			}
			return nil
		})
	}
	<-ctx.Done()
	flush := time.AfterFunc(c.config.FlushTimeout, func() {
		c.notices.stop()
		stop()
	})
	defer flush.Stop()
	c.notices.flush()
	if c.config.Settle != nil {
		c.config.Settle(sending)
	}
	c.notices.end()
	err := lanes.Wait()
	c.notices.close()
	c.closeIdle()
	return err
}

// send tries a notice once.
func (c *Client) send(ctx context.Context, n *notice) error {
	p := c.backendOf(n)
	if p == nil {
		return errNoBackend
	}
	return p.call(ctx, n.event, n.id, n.body(), func([]byte) error { return nil })
}
