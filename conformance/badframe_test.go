package conformance_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"roost/phoenix/phoenixtest"
)

// TestBadFrames is bad input from clients, beside a client that must not notice.
func TestBadFrames(t *testing.T) {
	t.Parallel()
	bystander(t, sharedPod(t, "socket"), lab.redis)
	for _, c := range []struct {
		name  string
		frame phoenixtest.Frame
		code  int
	}{
		{"BAD1 {", text(`{`), 1011},
		{"BAD2 no element", text(`[]`), 1011},
		{"BAD2 four elements", text(`["1","1","room:a","phx_join"]`), 1011},
		{"BAD3 1 MB", text(`["1","1","room:a","ok","` + strings.Repeat("a", 1<<20) + `"]`), 1009},
		{"BAD5 invalid UTF-8", text("[\"1\",\"1\",\"room:\xc3(\",\"phx_join\",{}]"), 1007},
		{"BAD6 unmasked", phoenixtest.Frame{Opcode: phoenixtest.OpText, Payload: []byte(beat), Unmasked: true}, 1002},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := raw(t, "socket")
			r.Send(c.frame)
			r.WantClose(c.code)
		})
	}
	t.Run("BAD7 binary kinds 1 to 255", func(t *testing.T) {
		for kind := 1; kind <= 255; kind++ {
			r := raw(t, "socket")
			frame := binaryFrame(byte(kind), "x", "1", "2", "room:a", "ok")
			r.Send(phoenixtest.Frame{Opcode: phoenixtest.OpBinary, Payload: frame})
			r.WantClose(1011)
			r.Conn.Close()
		}
	})
}

func TestBadCompression(t *testing.T) {
	t.Parallel()
	bystander(t, sharedPod(t, "comp"), lab.redis)
	deflated := func(message []byte) phoenixtest.Frame {
		var packed bytes.Buffer
		w, err := flate.NewWriter(&packed, flate.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(message)
		w.Flush()
		payload := bytes.TrimSuffix(packed.Bytes(), []byte{0, 0, 0xff, 0xff})
		return phoenixtest.Frame{Opcode: phoenixtest.OpText, Payload: payload, Compressed: true}
	}
	start := func(t *testing.T) *phoenixtest.Raw {
		offer := "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
		r := upgrade(t, "comp", "vsn=2.0.0", http.Header{"Sec-WebSocket-Extensions": {offer}})
		wantStatus(t, r, 101)
		return r
	}
	t.Run("BAD4 a small message is understood", func(t *testing.T) {
		r := start(t)
		r.Send(deflated([]byte(beat)))
		f, err := r.Read()
		if err != nil || f.Opcode != phoenixtest.OpText {
			t.Errorf("got frame %+v, error %v, want an answer", f, err)
		}
	})
	t.Run("BAD4 1 MB of zeros in 1 kB", func(t *testing.T) {
		bomb := deflated(make([]byte, 1<<20))
		if len(bomb.Payload) > 2000 {
			t.Fatalf("the bomb has %d bytes", len(bomb.Payload))
		}
		r := start(t)
		r.Send(bomb)
		r.WantClose(1009)
	})
	t.Run("BAD4 broken deflate", func(t *testing.T) {
		r := start(t)
		r.Send(phoenixtest.Frame{Opcode: phoenixtest.OpText, Payload: []byte("\xff\xff\xff\xff"), Compressed: true})
		f, err := r.Read()
		if err != nil || f.Opcode != phoenixtest.OpClose || bytes.Equal(f.Payload, []byte{3, 0xe8}) {
			t.Errorf("got frame %+v, error %v, want a close that is not 1000", f, err)
		}
	})
}

func TestBadNames(t *testing.T) {
	t.Parallel()
	bystander(t, sharedPod(t, "socket"), lab.redis)
	long := strings.Repeat("x", 10_000)
	t.Run("BAD10 a topic of 10 kB", func(t *testing.T) {
		c := v2(t, "socket").named("room:" + long)
		c.send(`["1","1",$T,"phx_join",{}]`)
		c.wantTooLong("1", "topic too long")
		c.Quiet()
	})
	t.Run("BAD10 an event of 10 kB", func(t *testing.T) {
		c := v2(t, "socket").joined()
		c.send(fmt.Sprintf(`["1","2",$T,"%s",{}]`, long))
		c.wantTooLong("2", "event too long")
		c.ask(`["1","3",$T,"ok",{}]`, `["1","3",$T,"phx_reply",ok{}]`)
	})
	t.Run("BAD10 names of 1 KiB are fine", func(t *testing.T) {
		topic := newTopic("long-")
		topic += strings.Repeat("x", 1024-len(topic))
		v2(t, "socket").named(topic).joined().ask(`["1","2",$T,"`+long[:1024]+`",{}]`,
			`["1","2",$T,"phx_reply",ERR({"reason":"backend unavailable"})]`)
	})
}

// wantTooLong wants an error reply to ref with a reason. Its join_ref and topic may be the message's or null and shortened.
func (c *client) wantTooLong(ref, reason string) {
	c.t.Helper()
	m := c.Next()
	tail := `"phx_reply",{"status":"error","response":{"reason":"` + reason + `"}}]`
	if got := string(m.Data); !strings.Contains(got, `,"`+ref+`",`) || !strings.HasSuffix(got, tail) {
		c.t.Fatalf("got  %v\nwant a reply to %q that ends in %s", m, ref, tail)
	}
}
