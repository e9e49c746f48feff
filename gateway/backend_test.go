package gateway_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/auth"
)

// backend is an application that answers at once, unless a test says otherwise, and writes down what it was told.
type backend struct {
	connect func(ctx context.Context, c *auth.Client) (*auth.ConnectAnswer, error)
	join    func(ctx context.Context, r *auth.JoinRequest) (*auth.Answer, error)
	push    func(ctx context.Context, r *auth.PushRequest) (*auth.Answer, error)
	leave   func() // called with every leave notice

	mu          sync.Mutex
	leaves      []auth.LeaveNotice
	disconnects []auth.DisconnectNotice
}

var _ auth.Backend = (*backend)(nil)

func (b *backend) Connect(ctx context.Context, c *auth.Client) (*auth.ConnectAnswer, error) {
	if b.connect == nil {
		return &auth.ConnectAnswer{}, nil
	}
	return b.connect(ctx, c)
}

func (b *backend) Join(ctx context.Context, r *auth.JoinRequest) (*auth.Answer, error) {
	if b.join == nil {
		return &auth.Answer{Status: "ok"}, nil
	}
	return b.join(ctx, r)
}

// Push answers with the payload it was sent, unless a test says otherwise.
func (b *backend) Push(ctx context.Context, r *auth.PushRequest) (*auth.Answer, error) {
	if b.push == nil {
		return &auth.Answer{Status: "ok", Response: r.Payload, Binary: r.Binary}, nil
	}
	return b.push(ctx, r)
}

func (b *backend) Leave(n *auth.LeaveNotice) {
	b.mu.Lock()
	b.leaves = append(b.leaves, *n)
	b.mu.Unlock()
	if b.leave != nil {
		b.leave()
	}
}

func (b *backend) Disconnect(n *auth.DisconnectNotice) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.disconnects = append(b.disconnects, *n)
}

// left returns the leave notices as "topic joinRef reason", in order.
func (b *backend) left() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var got []string
	for _, n := range b.leaves {
		got = append(got, fmt.Sprintf("%s %s %s", n.Topic, n.JoinRef.JSON(), n.Reason))
	}
	return got
}

// gone returns the reasons of the disconnect notices, in order.
func (b *backend) gone() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var got []string
	for _, n := range b.disconnects {
		got = append(got, string(n.Reason))
	}
	return got
}

// wantLeft waits until these notices came, in any order, and no others.
func (b *backend) wantLeft(t *testing.T, want ...string) {
	t.Helper()
	same(t, "leave notices", b.left, want)
}

// wantGone waits until the connections ended for these reasons, in any order, and no others.
func (b *backend) wantGone(t *testing.T, want ...string) {
	t.Helper()
	same(t, "disconnect notices", b.gone, want)
}

// same waits until read returns want, in any order.
func same(t *testing.T, what string, read func() []string, want []string) {
	t.Helper()
	want = slices.Sorted(slices.Values(want))
	var got []string
	if !holds(func() bool {
		got = slices.Sorted(slices.Values(read()))
		return slices.Equal(got, want)
	}) {
		t.Fatalf("got %s\n\t%s\nwant\n\t%s", what, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// patience is how long a test waits for what must happen.
const patience = time.Minute

// holds waits until condition is true.
func holds(condition func() bool) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if condition() {
			return true
		}
	}
	return condition()
}

// eventually fails the test unless condition becomes true.
func eventually(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	if !holds(condition) {
		tb.Fatalf("got no %s within %v", what, patience)
	}
}

// await returns what comes on c, and fails the test if nothing does.
func await[T any](tb testing.TB, what string, c <-chan T) T {
	tb.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		tb.Fatalf("got no %s within %v", what, patience)
		panic("unreachable")
	}
}
