package gateway_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"roost/phoenix/phoenixtest"
)

// Connections come and go, so that descriptors are used again at once and now and then there is no connection at all. Each
// gets its own answers.
func TestChurn(t *testing.T) {
	t.Parallel()
	const rounds = 300
	b := &backend{}
	p := startPod(t, b)
	for _, together := range []int{1, 2, 8} {
		var group sync.WaitGroup
		for i := range together {
			group.Go(func() {
				for round := range rounds / together {
					if err := p.visit(t, fmt.Sprintf("%d-%d-%d", together, i, round), round%3); err != nil {
						t.Errorf("round %d: %v", round, err)
						return
					}
				}
			})
		}
		group.Wait()
		eventually(t, "end of all connections", func() bool { return p.counter("roost_connections") == 0 })
	}
	accepted := int(p.counter("roost_connections_accepted_total"))
	eventually(t, "notice for each connection", func() bool { return len(b.gone()) == accepted })
	if got := p.members("room"); got != nil {
		t.Errorf("got members %v, want none", got)
	}
}

// visit connects, joins, asks something, and goes in one of three ways.
func (p *pod) visit(t *testing.T, name string, way int) error {
	c, err := phoenixtest.Connect(t, p.url("?vsn=2.0.0"), nil)
	if err != nil {
		return err
	}
	defer c.Drop()
	for _, step := range []struct{ ask, answer string }{
		{join(name, "room"), joined(name, "room")},
		{frame(name, "2", "room", "echo", fmt.Sprintf("%q", name)), okay(name, "2", "room", fmt.Sprintf("%q", name))},
	} {
		if err := c.Write(step.ask); err != nil {
			return err
		}
		if m, err := c.Receive(patience); err != nil || !phoenixtest.Same(m, step.answer) {
			return fmt.Errorf("got %v, %v, want %s", m, err, step.answer)
		}
	}
	switch way {
	case 1: // a close handshake
		c.CloseWith(1000)
		if _, err := c.Receive(patience); err == nil {
			return fmt.Errorf("got a message, want the end")
		}
	case 2: // with something under way
		return c.Write(frame(name, "3", "room", "echo", fmt.Sprintf("%q", time.Now())))
	}
	return nil
}
