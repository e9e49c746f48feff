package conformance_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"roost/phoenix/phoenixtest"
)

// raw returns a V2 connection that speaks frames by hand.
func raw(t *testing.T, kind string) *phoenixtest.Raw {
	t.Helper()
	r := upgrade(t, kind, "vsn=2.0.0", nil)
	wantStatus(t, r, 101)
	return r
}

// text returns a text frame.
func text(payload string) phoenixtest.Frame {
	return phoenixtest.Frame{Opcode: phoenixtest.OpText, Payload: []byte(payload)}
}

// The heartbeat that tests of frames use, and its answer.
const (
	beat     = `[null,"1","phoenix","heartbeat",{}]`
	beatBack = `[null,"1","phoenix","phx_reply",{"status":"ok","response":{}}]`
)

func TestBrokenFrames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		frame phoenixtest.Frame
		code  int
	}{
		{"P53 four elements", text(`[null,"1","phoenix","heartbeat"]`), 1011},
		{"P53 an object", text(`{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"1"}`), 1011},
		{"P53 broken JSON", text(`{bad`), 1011},
		{"P53 nothing", text(``), 1011},
		{"P54 not UTF-8", text("\xff\xfe"), 1007},
		{"P54 not UTF-8 inside a message", text("[null,\"1\",\"phoenix\",\"heartbeat\",\"\xff\"]"), 1007},
		{"P58 stray continuation", phoenixtest.Frame{Opcode: phoenixtest.OpContinuation, Payload: []byte(beat)}, 1002},
		{"P58 reserved opcode", phoenixtest.Frame{Opcode: 3, Payload: []byte(beat)}, 1002},
		{"P58 unmasked", phoenixtest.Frame{Opcode: phoenixtest.OpText, Payload: []byte(beat), Unmasked: true}, 1002},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := raw(t, "socket")
			r.Send(text(beat))
			r.Want(phoenixtest.OpText, beatBack)
			r.Send(c.frame)
			r.WantClose(c.code)
		})
	}
	t.Run("P55 a topic that is no string", func(t *testing.T) {
		v2(t, "socket").ask(`[null,"1",5,"phx_join",{}]`, `[null,"1",5,"phx_reply",UNM]`)
	})
}

func TestControlFrames(t *testing.T) {
	t.Parallel()
	t.Run("P56 ping", func(t *testing.T) {
		r := raw(t, "socket")
		r.Send(phoenixtest.Frame{Opcode: phoenixtest.OpPing, Payload: []byte("hey")})
		r.Want(phoenixtest.OpPong, "hey")
	})
	t.Run("P57 ping between fragments", func(t *testing.T) {
		r := raw(t, "socket")
		first := text(beat[:10])
		first.More = true
		r.Send(first, phoenixtest.Frame{Opcode: phoenixtest.OpPing, Payload: []byte("x")},
			phoenixtest.Frame{Opcode: phoenixtest.OpContinuation, Payload: []byte(beat[10:])})
		r.Want(phoenixtest.OpPong, "x")
		r.Want(phoenixtest.OpText, beatBack)
	})
	for name, code := range map[string]int{"P63 close 1000": 1000, "P63 close without code": 0} {
		t.Run(name, func(t *testing.T) {
			c := v2(t, "socket").joined()
			connection := c.connection("1")
			r := raw(t, "socket")
			close := phoenixtest.Frame{Opcode: phoenixtest.OpClose}
			if code != 0 {
				close.Payload = []byte{byte(code >> 8), byte(code & 0xff)}
			}
			r.Send(close)
			if f, err := r.Read(); err != nil || f.Opcode != phoenixtest.OpClose {
				t.Errorf("got frame %d, error %v, want a close frame", f.Opcode, err)
			}
			c.CloseWith(code)
			c.WantGone()
			c.wantLeft(connection, "1", "closed")
		})
	}
}

func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	// Only lower bounds: a connection that is closed too early is wrong, how late depends on the machine.
	t.Run("P59 nothing for a second", func(t *testing.T) {
		start := time.Now()
		v2(t, "noauth").WantClose(1002)
		if d := time.Since(start); d < 950*time.Millisecond {
			t.Errorf("closed after %v, want 1s", d)
		}
	})
	t.Run("P60 a ping is a sign of life", func(t *testing.T) {
		r := raw(t, "noauth")
		time.Sleep(700 * time.Millisecond)
		start := time.Now()
		r.Send(phoenixtest.Frame{Opcode: phoenixtest.OpPing})
		r.Want(phoenixtest.OpPong, "")
		r.WantClose(1002)
		if d := time.Since(start); d < 950*time.Millisecond {
			t.Errorf("closed %v after a ping, want 1s", d)
		}
	})
}

func TestMessageSize(t *testing.T) {
	t.Parallel()
	// sized returns a heartbeat of n bytes.
	sized := func(n int) string {
		head, tail := `[null,"1","phoenix","heartbeat","`, `"]`
		return head + strings.Repeat("a", n-len(head)-len(tail)) + tail
	}
	halves := func(message string) (a, b phoenixtest.Frame) {
		a = text(message[:len(message)/2])
		a.More = true
		return a, phoenixtest.Frame{Opcode: phoenixtest.OpContinuation, Payload: []byte(message[len(message)/2:])}
	}
	t.Run("P61 limit 2000", func(t *testing.T) {
		r := raw(t, "noauth")
		r.Send(text(sized(2000)))
		r.Want(phoenixtest.OpText, beatBack)
		r.Send(text(sized(3000)))
		r.WantClose(1009)
	})
	// Phoenix has one limit for a frame and another for a fragmented message. The gateway has one for both.
	t.Run("P62 limit 10 MB", func(t *testing.T) {
		r := raw(t, "big")
		r.Send(text(sized(9_000_000)))
		r.Want(phoenixtest.OpText, beatBack)
		a, b := halves(sized(9_000_000))
		r.Send(a, b)
		r.Want(phoenixtest.OpText, beatBack)
		r.Send(text(sized(10_100_000)))
		r.WantClose(1009)
		r = raw(t, "big")
		a, b = halves(sized(10_100_000))
		r.Send(a, b)
		r.WantClose(1009)
	})
	t.Run("P67 a payload of 1 MB", func(t *testing.T) {
		c := v2(t, "big").joined()
		payload := `{"a":{"b":"` + strings.Repeat("x", 1_000_000) + `"}}`
		c.ask(`["1","2",$T,"echo",`+payload+`]`, `["1","2",$T,"phx_reply",OK(`+payload+`)]`)
	})
}

func TestBytes(t *testing.T) {
	t.Parallel()
	t.Run("P64 nothing is escaped", func(t *testing.T) {
		c := v2(t, "socket").named(newTopic("ü/&<>\u2028")).joined()
		c.send(`["1","2",$T,"echo",{"x":"</script>&é"}]`)
		got := c.Next().Data
		head := `["1","2","` + c.topic + `","phx_reply",{"`
		if !bytes.HasPrefix(got, []byte(head)) || !bytes.Contains(got, []byte(`{"x":"</script>&é"}`)) {
			t.Errorf("got  %s\nwant %s… with {\"x\":\"</script>&é\"}", got, head)
		}
		c.publish(`{"event":"<é>","payload":{"y":"&\u2028"}}`)
		want := `[null,null,"` + c.topic + `","<é>",{"y":"&\u2028"}]`
		if got := c.Next().Data; string(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
	t.Run("P65 numbers keep their digits", func(t *testing.T) {
		c := v2(t, "socket").joined()
		payload := `{"big":123456789012345678901234567890,"f":1.0}`
		c.ask(`["1","2",$T,"echo",`+payload+`]`, `["1","2",$T,"phx_reply",OK(`+payload+`)]`)
		c.publish(`{"event":"e","payload":` + payload + `}`)
		c.want(`[null,null,$T,"e",` + payload + `]`)
	})
}
