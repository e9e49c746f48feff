package conformance_test

import (
	"strings"
	"testing"
)

// push returns a client's binary push.
func binaryPush(joinRef, ref, topic, event, data string) []byte {
	return binaryFrame(0, data, joinRef, ref, topic, event)
}

// binaryFrame returns a binary frame of a kind: the sizes of the fields, the fields, the data.
func binaryFrame(kind byte, data string, fields ...string) []byte {
	frame := []byte{kind}
	for _, f := range fields {
		frame = append(frame, byte(len(f)))
	}
	return append(frame, strings.Join(fields, "")+data...)
}

func TestBinary(t *testing.T) {
	t.Parallel()
	// Phoenix pushes before it replies. The backend contract has an answer's pushes after its reply.
	t.Run("B1 B2 push and reply", func(t *testing.T) {
		c := v2(t, "socket").joinedAs("11")
		for data, reply := range map[string]string{"\x01\x02": "\x01\x02\x03\x04", "": "\x03\x04"} {
			c.SendBinary(binaryPush("11", "2", c.topic, "bin", data))
			c.WantBinary(binaryFrame(1, reply, "11", "2", c.topic, "ok"))
			c.WantBinary(binaryFrame(0, "\x00\x01", "11", c.topic, "bin_push"))
		}
	})
	t.Run("B3 error reply", func(t *testing.T) {
		c := v2(t, "socket").joinedAs("11")
		c.SendBinary(binaryPush("11", "2", c.topic, "bin_err", ""))
		c.WantBinary(binaryFrame(1, "\x07", "11", "2", c.topic, "error"))
	})
	t.Run("B4 B10 broadcast", func(t *testing.T) {
		c := v2(t, "socket").joinedAs("11")
		other := c.another().joined() // it has sent text only
		c.SendBinary(binaryPush("11", "2", c.topic, "bin_bcast", "\xff\x00"))
		want := binaryFrame(2, "\xff\x00", c.topic, "bin_bcast")
		c.WantBinary(want)
		c.want(`["11","2",$T,"phx_reply",ok{}]`)
		other.WantBinary(want)
	})
	t.Run("B5 stale", func(t *testing.T) {
		c := v2(t, "socket").joinedAs("11")
		c.SendBinary(binaryPush("", "2", c.topic, "bin", "x"))
		c.SendBinary(binaryPush("12", "2", c.topic, "bin", "x"))
		c.Quiet()
	})
	t.Run("B6 heartbeat", func(t *testing.T) {
		c := v2(t, "socket")
		c.SendBinary(binaryPush("", "9", "phoenix", "heartbeat", ""))
		c.want(`[null,"9","phoenix","phx_reply",ok{}]`)
	})
	t.Run("B7 not joined", func(t *testing.T) {
		c := v2(t, "socket")
		c.SendBinary(binaryPush("1", "2", c.topic, "bin", "x"))
		c.want(`[null,"2",$T,"phx_reply",UNM]`)
	})
	for name, frame := range map[string]string{
		"B8 kind 1":    "\x01\x01\x01\x01\x01abcd",
		"B8 kind 3":    "\x03\x01\x01\x01\x01abcd",
		"B8 truncated": "\x00\x05\x05\x05\x05abc",
		"B8 empty":     "",
		"B9 JSON text": beat,
	} {
		t.Run(name, func(t *testing.T) {
			c := v2(t, "socket")
			c.SendBinary([]byte(frame))
			c.WantClose(1011)
		})
	}
	t.Run("B11 V1 members get no bytes", func(t *testing.T) {
		sender := v2(t, "socket").joined()
		other := sender.another().joined()
		old := sender.beside(sender.pod, "vsn=1.0.0").joinedV1()
		sender.SendBinary(binaryPush("1", "2", sender.topic, "bin_bcast", "\xff\x00"))
		want := binaryFrame(2, "\xff\x00", sender.topic, "bin_bcast")
		sender.WantBinary(want)
		sender.want(`["1","2",$T,"phx_reply",ok{}]`)
		other.WantBinary(want)
		old.Quiet()
	})
	t.Run("B13 sizes count bytes", func(t *testing.T) {
		c := v2(t, "socket").named(newTopic("café")).joined()
		c.SendBinary(binaryPush("1", "2", c.topic, "bin_err", ""))
		c.WantBinary(binaryFrame(1, "\x07", "1", "2", c.topic, "error"))
		lab.backend.await(t, 1, c.topic, pushes("bin_err"))
	})
}

func TestBinaryLongTopic(t *testing.T) {
	t.Parallel()
	topic := newTopic("long-")
	topic += strings.Repeat("x", 256-len(topic))
	t.Run("B12 broadcast", func(t *testing.T) {
		c := v2(t, "socket").named(topic).joined()
		c.publish(`{"event":"e","payload_base64":"AAE="}`)
		c.publish(`{"event":"after"}`)
		c.want(`[null,null,$T,"after",{}]`)
	})
	t.Run("B12 push and reply", func(t *testing.T) {
		c := v2(t, "socket").named(topic).joined()
		c.send(`["1","2",$T,"bin",{}]`)
		ask, answer := c.NextHeartbeat()
		lab.backend.await(t, 1, topic, pushes("bin"))
		c.send(`["1","3",$T,"ok",{}]`) // waits behind the push
		c.wantOnlyText(`["1","3",$T,"phx_reply",ok{}]`)
		c.send(ask)
		c.wantOnlyText(answer)
	})
}

// wantOnlyText reads until the frame comes. There may be an error reply to ref "2" before it, and nothing else.
func (c *client) wantOnlyText(frame string) {
	c.t.Helper()
	want := c.expand(frame)
	for range 2 {
		m := c.Next()
		if same(m, want) {
			return
		}
		if m.Binary || !strings.Contains(string(m.Data), `"2"`) || !strings.Contains(string(m.Data), `"error"`) {
			c.t.Fatalf("got %v, want an error reply to \"2\" or %s", m, want)
		}
	}
	c.t.Fatalf("got no %s", want)
}
