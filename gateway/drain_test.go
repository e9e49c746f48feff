package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"roost/auth"
	"roost/gateway"
	"roost/phoenix/phoenixtest"
)

// Shed closes the share it was asked for, and no more, and is not asked twice.
func TestShed(t *testing.T) {
	t.Parallel()
	b := &backend{}
	p := startPod(t, b)
	for range 20 {
		p.raw(nil)
	}
	for _, share := range []float64{0, -1, 1.5} {
		if _, err := p.Shed(share, 0, nil); err == nil {
			t.Errorf("Shed(%v) = nil, want an error", share)
		}
	}
	if n, err := p.Shed(0.25, time.Hour, nil); n != 5 || err != nil {
		t.Errorf("Shed = %d, %v, want 5", n, err)
	}
	if !p.Shedding() {
		t.Error("it is not shedding, though it was told to")
	}
	if _, err := p.Shed(0.25, 0, nil); !errors.Is(err, gateway.ErrShedding) {
		t.Errorf("Shed while shedding = %v, want %v", err, gateway.ErrShedding)
	}
}

func TestShedCloses(t *testing.T) {
	t.Parallel()
	b := &backend{}
	p := startPod(t, b)
	for range 20 {
		p.raw(nil)
	}
	ended := make(chan bool, 1)
	if n, err := p.Shed(0.25, 200*time.Millisecond, func() { ended <- p.Shedding() }); n != 5 || err != nil {
		t.Errorf("Shed = %d, %v, want 5", n, err)
	}
	b.wantGone(t, "drained", "drained", "drained", "drained", "drained")
	p.wantCounter(15, "roost_connections")
	p.wantCounter(5, "roost_connections_closed_total", "code=1012", "reason=drained")
	if still := <-ended; still {
		t.Error("it is still shedding when that has ended")
	}
	if n, err := p.Shed(0.01, 0, nil); n != 0 || err != nil {
		t.Errorf("Shed after it = %d, %v, want 0", n, err)
	}
}

func TestMaxConnectionAge(t *testing.T) {
	t.Parallel()
	b := &backend{}
	p := startPod(t, b, func(c *gateway.Config) { c.MaxConnectionAge = 500 * time.Millisecond })
	old := p.dial()
	joins(old, "room")
	old.WantClose(1012)
	b.wantLeft(t, `room "1" drained`)
}

// A drain that would take longer than the test has patience for is over at once when it is told to hurry.
func TestHurry(t *testing.T) {
	t.Parallel()
	p := startPod(t, nil, func(c *gateway.Config) {
		c.Rules = auth.Rules{{Pattern: "*", Join: auth.JoinAllow, Push: auth.PushBroadcast}}
	})
	for range 60 * patience / time.Second {
		p.raw(nil)
	}
	hour, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- p.Drain(hour) }()
	eventually(t, "drain", func() bool { return p.counter("roost_draining") == 1 })
	if p.counter("roost_drain_remaining") == 0 {
		t.Error("got no remaining connections at the start of a drain")
	}
	p.Hurry()
	if err := await(t, "end of Drain", drained); err != nil {
		t.Errorf("Drain = %v, want nil", err)
	}
	p.wantCounter(0, "roost_drain_remaining")
}

// A pod that retires serves as before, but lets go of every HTTP connection it answers on.
func TestRetire(t *testing.T) {
	t.Parallel()
	p := startPod(t, &backend{})
	p.Retire()
	joins(p.dial(), "room")
	for _, target := range []string{"/socket/longpoll?vsn=2.0.0", "/socket/websocket?vsn=9.0.0", "/nowhere"} {
		r, err := http.Get("http://" + p.addr + target)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if !r.Close {
			t.Errorf("GET %s: got an answer without Connection: close", target)
		}
	}
	r := phoenixtest.Open(t, p.addr, phoenixtest.Request{Target: "/socket/websocket?vsn=2.0.0"})
	if r.Status != http.StatusSwitchingProtocols {
		t.Errorf("got status %d, want 101", r.Status)
	}
}
