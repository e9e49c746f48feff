package gateway_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"roost/auth"
	"roost/gateway"
	"roost/hub"
)

// bans is a list that a test writes.
type bans struct {
	mu     sync.Mutex
	banned map[string]bool
	away   bool
}

var _ hub.BanList = (*bans)(nil)

func (b *bans) Banned(_ context.Context, id string) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return false, errors.New("away")
	}
	return b.banned[id], nil
}

func (b *bans) set(change func(*bans)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b)
}

func identified(list *bans) (*backend, func(*gateway.Config)) {
	return &backend{connect: func(_ context.Context, c *auth.Client) (*auth.ConnectAnswer, error) {
		return &auth.ConnectAnswer{ID: "user:1"}, nil
	}}, func(c *gateway.Config) { c.Bans = list }
}

func TestBans(t *testing.T) {
	list := &bans{banned: map[string]bool{"user:1": true}}
	b, banning := identified(list)
	p := startPod(t, b, banning)
	if got := p.status("/socket/websocket", nil); got != 403 {
		t.Errorf("got status %d, want 403", got)
	}
	if a := p.longPoll().poll(); a.code != 200 || a.Status != 403 || a.Token != "" {
		t.Errorf("long-poll: got %+v, want 403", a)
	}
	b.wantGone(t, "disconnected", "disconnected") // the backend had accepted it
	p.wantCounter(2, "roost_connections_rejected_total", "reason=banned")
	p.wantCounter(0, "roost_connections")
	list.set(func(l *bans) { l.banned = nil })
	p.dial().Heartbeat()
	p.polling()
}

// Who came while the list could not be read is looked up when it can.
func TestBansUnknown(t *testing.T) {
	list := &bans{away: true, banned: map[string]bool{"user:1": true}}
	b, banning := identified(list)
	p := startPod(t, b, banning)
	c, poller := p.dial(), p.polling()
	c.Heartbeat()
	gone := p.dial()
	gone.Drop()
	b.wantGone(t, "closed")
	list.set(func(l *bans) { l.away = false })
	c.WantClose(1001)
	if a := poller.poll(); a.Status != 500 {
		t.Errorf("long-poll: got %+v, want the session gone", a)
	}
	b.wantGone(t, "closed", "disconnected", "disconnected")
}
