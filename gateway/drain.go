package gateway

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"roost/auth"
)

// drainPace is the least number of connections closed in a second of a drain: a few need not take as long as many.
const drainPace = 50

// drainShare is the part of a drain's time over which connections are closed. The rest is for their answers and last calls.
const drainShare = 0.8

// paceStep is the shortest pause between two batches of closes.
const paceStep = 5 * time.Millisecond

// Retire makes every answer over HTTP end its connection, so that the next request goes to another pod. All is served as
// before.
func (g *Gateway) Retire() { g.retiring.Store(true) }

// Connections returns how many there are.
func (g *Gateway) Connections() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.conns)
}

// LongPolls returns how many of the connections are long-poll sessions.
func (g *Gateway) LongPolls() int {
	g.sessions.mu.Lock()
	defer g.sessions.mu.Unlock()
	return len(g.sessions.byID)
}

// Drain refuses new connections with 503 and closes all others with 1012, spread over most of the time that ctx leaves,
// at random moments, so that clients do not come back all at once. It blocks until the last one is gone, or until ctx ends.
func (g *Gateway) Drain(ctx context.Context) error {
	g.Retire()
	g.mu.Lock()
	g.draining = true
	g.leave()
	conns := append([]*conn(nil), g.conns...)
	g.mu.Unlock()
	g.garages.sweep(time.Now().Add(time.Hour), true) // a client must not send another request into an idle connection
	for _, s := range g.sessions.all(nil) {
		s.overdue(math.MaxInt64) // held polls end at once, and their clients' next request goes elsewhere
	}
	spread := time.Duration(len(conns)) * time.Second / drainPace
	if end, limited := ctx.Deadline(); limited {
		spread = min(spread, time.Duration(drainShare*float64(time.Until(end))))
	}
	closePaced(conns, spread, func(d time.Duration) bool {
		select {
		case <-time.After(d):
		case <-g.hurried:
		case <-ctx.Done():
		}
		return true
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.garages.close()
		g.work.wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Hurry makes a drain, that is under way or to come, close its connections without a pause.
func (g *Gateway) Hurry() { g.hurry.Do(func() { close(g.hurried) }) }

// remaining is how many connections a drain has yet to close.
func (g *Gateway) remaining() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.draining {
		return 0
	}
	return len(g.conns)
}

// closePaced closes conns with 1012 in a random order, each at a random moment of its own share of spread. It ends before
// they are closed when wait returns false.
func closePaced(conns []*conn, spread time.Duration, wait func(time.Duration) bool) {
	rand.Shuffle(len(conns), func(i, j int) { conns[i], conns[j] = conns[j], conns[i] })
	began := time.Now()
	for i, c := range conns {
		due := time.Duration((float64(i) + rand.Float64()) / float64(len(conns)) * float64(spread))
		if pause := due - time.Since(began); pause > paceStep && !wait(pause) {
			return
		}
		c.close(closeRestart, auth.ReasonDrained)
	}
}

// ErrShedding means that connections are being shed already, or that the pod drains.
var ErrShedding = errors.New("gateway: connections are being closed already")

// Shed closes a random share (above 0, up to 1) of the connections with 1012, spread over within, so that their clients
// come back through the load balancer: to pods that were added, for one. It does not wait for that, and returns how many it
// will close. ended, unless nil, is called when it is over.
func (g *Gateway) Shed(share float64, within time.Duration, ended func()) (n int, err error) {
	if !(share > 0 && share <= 1) || within < 0 {
		return 0, fmt.Errorf("gateway: cannot shed a share of %v within %v", share, within)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.draining || g.shedding {
		return 0, ErrShedding
	}
	conns := append([]*conn(nil), g.conns...)
	rand.Shuffle(len(conns), func(i, j int) { conns[i], conns[j] = conns[j], conns[i] })
	conns = conns[:int(math.Round(share*float64(len(conns))))]
	g.shedding = true
	g.work.start(func() {
		closePaced(conns, within, func(d time.Duration) bool {
			select {
			case <-time.After(d):
				return true
			case <-g.leaving.Done(): // the drain closes them
				return false
			}
		})
		g.mu.Lock()
		g.shedding = false
		g.mu.Unlock()
		if ended != nil {
			ended()
		}
	})
	return len(conns), nil
}

// Shedding tells whether connections are being shed.
func (g *Gateway) Shedding() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shedding
}
