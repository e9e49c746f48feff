package gateway_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"roost/auth"
	"roost/gateway"
	"roost/hub"
	"roost/phoenix/phoenixtest"
)

func closeFrame(code int, reason string) phoenixtest.Frame {
	return phoenixtest.Frame{Opcode: phoenixtest.OpClose, Payload: append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)}
}

// wantEnd fails the test unless the server ends the connection.
func wantEnd(t *testing.T, r *phoenixtest.Raw) {
	t.Helper()
	if f, err := r.Read(); !errors.Is(err, io.EOF) {
		t.Fatalf("got frame %+v, %v, want the end of the connection", f, err)
	}
}

// A client that has sent its close frame need not be waited for.
func TestCloseIsEchoed(t *testing.T) {
	for _, l := range []link{plain, patient, secured} {
		t.Run(string(l), func(t *testing.T) {
			b := &backend{}
			p := startPodOn(t, l, b)
			var left, gone []string
			for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
				r := p.raw(nil)
				send(r, join("1", "room"))
				r.Want(phoenixtest.OpText, joined("1", "room"))
				// What stands behind the close frame is not looked at.
				r.Send(closeFrame(code, "bye"), text("{"))
				r.WantClose(code)
				wantEnd(t, r)
				left, gone = append(left, `room "1" closed`), append(gone, "closed")
			}
			r := p.raw(nil)
			r.Send(phoenixtest.Frame{Opcode: phoenixtest.OpClose})
			r.Want(phoenixtest.OpClose, "")
			wantEnd(t, r)
			b.wantGone(t, append(gone, "closed")...)
			b.wantLeft(t, left...)
			if got := p.members("room"); got != nil {
				t.Errorf("got members %v, want none", got)
			}
		})
	}
}

func TestClientBreaksTheProtocol(t *testing.T) {
	b := &backend{}
	p := startPod(t, b, func(c *gateway.Config) { c.MaxMessageSize = 1000 })
	bystander := p.dial()
	joins(bystander, "room")
	closing := func(body string) phoenixtest.Frame {
		return phoenixtest.Frame{Opcode: phoenixtest.OpClose, Payload: []byte(body)}
	}
	cases := map[string]struct {
		frame phoenixtest.Frame
		want  int
	}{
		"close code 0":           {closeFrame(0, ""), 1002},
		"close code 999":         {closeFrame(999, ""), 1002},
		"close code 1004":        {closeFrame(1004, ""), 1002},
		"close code 1005":        {closeFrame(1005, ""), 1002},
		"close code 1006":        {closeFrame(1006, ""), 1002},
		"close code 1015":        {closeFrame(1015, ""), 1002},
		"close code 2999":        {closeFrame(2999, ""), 1002},
		"close code 5000":        {closeFrame(5000, ""), 1002},
		"close code 65535":       {closeFrame(65535, ""), 1002},
		"half a close code":      {closing("\x03"), 1002},
		"a reason not in UTF-8":  {closeFrame(1000, "\xff"), 1007},
		"an unmasked frame":      {phoenixtest.Frame{Opcode: phoenixtest.OpText, Unmasked: true}, 1002},
		"a stray continuation":   {phoenixtest.Frame{Opcode: phoenixtest.OpContinuation}, 1002},
		"not deflated after all": {phoenixtest.Frame{Opcode: phoenixtest.OpText, Compressed: true}, 1002},
		"text not in UTF-8":      {text("\xff\xfe"), 1007},
		"a large message":        {text(strings.Repeat(" ", 1001)), 1009},
		"a message cut short":    {text("{"), 1011},
		"an empty message":       {text(""), 1011},
	}
	var gone []string
	for name, c := range cases {
		r := p.raw(nil)
		send(r, join("1", "room"))
		r.Want(phoenixtest.OpText, joined("1", "room"))
		r.Send(c.frame, text(frame("", "2", "phoenix", "heartbeat", "{}")))
		f, err := r.Read()
		if want := closeFrame(c.want, ""); err != nil || f.Opcode != want.Opcode || string(f.Payload) != string(want.Payload) {
			t.Errorf("%s: got frame %d % x (%v), want close %d", name, f.Opcode, f.Payload, err, c.want)
		}
		// The server waits for the answer, and looks at nothing else.
		r.Send(text("{"), closeFrame(c.want, ""))
		r.Conn.Close()
		gone = append(gone, "error")
	}
	b.wantGone(t, gone...)
	p.wantCounter(float64(len(cases)), "roost_connections_closed_total", "reason=error")
	bystander.Quiet()
}

func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second
	b := &backend{}
	p := startPod(t, b, func(c *gateway.Config) { c.IdleTimeout = timeout })
	alive, silent := p.raw(nil), p.dial()
	joins(silent, "room")
	tick := time.Tick(timeout / 20)
	ping := func() {
		<-tick
		alive.Send(phoenixtest.Frame{Opcode: phoenixtest.OpPing, Payload: []byte("hey")})
		alive.Want(phoenixtest.OpPong, "hey")
	}
	for len(b.gone()) == 0 {
		ping()
	}
	for range 10 { // it is older, so it would be gone now
		ping()
	}
	silent.WantClose(1002)
	b.wantGone(t, "inactive")
	b.wantLeft(t, `room "1" inactive`)
}

func TestDrain(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	let := make(chan struct{})
	b := &backend{join: func(ctx context.Context, r *auth.JoinRequest) (*auth.Answer, error) {
		if r.Topic == "slow" {
			asked <- struct{}{}
			<-let // the answer comes late
		}
		return &auth.Answer{Status: "ok"}, nil
	}}
	p := startPod(t, b)
	lively, silent, waiting := p.dial(), p.raw(nil), p.dial()
	joins(lively, "room")
	waiting.Send(join("1", "slow"))
	await(t, "join", asked)
	drained := make(chan error, 1)
	go func() { drained <- p.Drain(until(t)) }()
	lively.WantClose(1012)
	waiting.WantClose(1012)
	silent.WantClose(1012)
	b.wantLeft(t, `room "1" drained`)
	r := phoenixtest.Open(t, p.addr, phoenixtest.Request{Target: "/socket/websocket"})
	if r.Status != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("got status %d, header %v, want 503 and Retry-After", r.Status, r.Header)
	}
	select {
	case err := <-drained:
		t.Fatalf("Drain = %v while a join is under way, want it to wait", err)
	default:
	}
	close(let)
	silent.Send(closeFrame(1012, ""))
	if err := await(t, "end of Drain", drained); err != nil {
		t.Errorf("Drain = %v, want nil", err)
	}
	b.wantLeft(t, `room "1" drained`, `slow "1" drained`)
	b.wantGone(t, "drained", "drained", "drained")
	if got := p.members("slow"); got != nil {
		t.Errorf("got members %v, want none", got)
	}
}

func TestDrainEndsWithItsContext(t *testing.T) {
	t.Parallel()
	p := startPod(t, &backend{})
	p.raw(nil) // does not answer the close frame
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Drain(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Drain = %v, want %v", err, context.Canceled)
	}
}

// A connection that comes while the pod drains is let in nowhere, however far it has come.
func TestDrainDuringHandshake(t *testing.T) {
	t.Parallel()
	asked, let := make(chan struct{}), make(chan struct{})
	b := &backend{connect: func(context.Context, *auth.Client) (*auth.ConnectAnswer, error) {
		close(asked)
		<-let
		return &auth.ConnectAnswer{}, nil
	}}
	p := startPod(t, b)
	status := make(chan int, 1)
	go func() { status <- p.status("/socket/websocket", nil) }()
	await(t, "connect", asked)
	if err := p.Drain(until(t)); err != nil {
		t.Errorf("Drain = %v, want nil", err)
	}
	close(let)
	if got := await(t, "answer", status); got != http.StatusServiceUnavailable {
		t.Errorf("got status %d, want 503", got)
	}
	b.wantGone(t, "drained")
}

func TestDisconnect(t *testing.T) {
	b := &backend{connect: func(context.Context, *auth.Client) (*auth.ConnectAnswer, error) {
		return &auth.ConnectAnswer{ID: "user:1"}, nil
	}}
	p := startPod(t, b)
	one, two := p.dial(), p.dial()
	joins(one, "room")
	p.publish("id:user:1", `{"event":"other"}`)
	p.publish("id:user:2", `{"event":"disconnect"}`)
	one.Quiet()
	p.publish("id:user:1", `{"event":"disconnect"}`)
	one.WantClose(1001)
	two.WantClose(1001)
	b.wantGone(t, "disconnected", "disconnected")
	b.wantLeft(t, `room "1" disconnected`)
	three := p.dial()
	joins(three, "room")
	p.publish(hub.ConnAddress(p.members("room")[0]), `{"event":"disconnect"}`)
	three.WantClose(1001)
}

func TestNetworkGone(t *testing.T) {
	b := &backend{}
	p := startPod(t, b)
	c := p.dial()
	joins(c, "a", "b")
	c.Drop()
	b.wantGone(t, "closed")
	b.wantLeft(t, `a "1" closed`, `b "2" closed`)
	p.wantCounter(0, "roost_connections")
	p.wantCounter(1, "roost_connections_closed_total", "code=0", "reason=closed")
}
