package conformance_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"roost/phoenix/phoenixtest"
)

// survivor keeps a client joined, as phoenix.js would, and notes the rounds it is sent.
type survivor struct {
	client *client
	round  atomic.Int64
	refs   int
	quit   chan struct{}
	ended  chan error
}

// survive takes over a joined client until stop.
func survive(t *testing.T, c *client) *survivor {
	s := &survivor{client: c, refs: 100, quit: make(chan struct{}), ended: make(chan error, 1)}
	go func() { s.ended <- s.run() }()
	t.Cleanup(func() { s.stop() })
	return s
}

// stop returns what went wrong.
func (s *survivor) stop() error {
	select {
	case <-s.quit:
		return nil
	default:
	}
	close(s.quit)
	return <-s.ended
}

func (s *survivor) run() error {
	for {
		select {
		case <-s.quit:
			return nil
		default:
		}
		m, err := s.client.Receive(50 * time.Millisecond)
		if errors.Is(err, phoenixtest.ErrTimeout) {
			continue
		}
		if err == nil {
			err = s.behave(m)
		}
		if err != nil {
			return err
		}
	}
}

// rejoin joins again after a moment.
func (s *survivor) rejoin() {
	time.Sleep(100 * time.Millisecond)
	s.refs++
	ref := fmt.Sprintf(`"%d"`, s.refs)
	if err := s.client.Write(s.client.expand(`[` + ref + `,` + ref + `,$T,"phx_join",{}]`)); err != nil {
		s.client.t.Logf("rejoin: %v", err)
	}
}

var errNothingYet = errors.New("nothing has come yet")
