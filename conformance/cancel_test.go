package conformance_test

import (
	"fmt"
	"testing"
)

// TestCancel covers calls that are not wanted any more before the backend has answered.
func TestCancel(t *testing.T) {
	t.Parallel()
	pending := func(t *testing.T) (*client, *hold) {
		c := v2(t, "socket")
		h := lab.backend.hold(c.topic)
		c.send(`["1","1",$T,"phx_join",{}]`)
		awaitCall(t, h.entered, "of the join")
		return c, h
	}
	t.Run("A1 leave cancels a join", func(t *testing.T) {
		c, h := pending(t)
		c.ask(`["1","2",$T,"phx_leave",{}]`, `["1","2",$T,"phx_reply",ok{}]`)
		awaitCall(t, h.ended, "was cancelled")
		close(h.let)
		c.Quiet()
		c.ask(`["1","3",$T,"ok",{}]`, `[null,"3",$T,"phx_reply",UNM]`)
		wantNow(t, c.topic)
		c.joinedAs("4")
	})
	t.Run("A2 rejoin cancels a join", func(t *testing.T) {
		c, h := pending(t)
		c.send(`["2","2",$T,"phx_join",{}]`)
		if k := awaitCall(t, h.ended, "was cancelled"); string(k.Data.JoinRef) != `"1"` {
			t.Errorf("got join %s cancelled, want 1", k.Data.JoinRef)
		}
		close(h.let)
		c.want(`["2","2",$T,"phx_reply",OK({"got":{}})]`)
		c.Quiet()
		c.ask(`["2","3",$T,"ok",{}]`, `["2","3",$T,"phx_reply",ok{}]`)
		wantNow(t, c.topic, c.connection("2"))
	})
	t.Run("A3 close cancels a join", func(t *testing.T) {
		c, h := pending(t)
		c.Drop()
		awaitCall(t, h.ended, "was cancelled")
		connection := c.connection("1")
		lab.backend.await(t, 1, "", func(k call) bool { return disconnects(k) && k.Data.Connection == connection })
		wantNow(t, c.topic)
	})
	t.Run("A4 a close right behind the join", func(t *testing.T) {
		for range 20 {
			c := v2(t, "socket")
			c.send(`["1","1",$T,"phx_join",{}]`)
			c.Drop()
			wantMembers(t, lab.redis, c.topic)
		}
	})
	t.Run("A5 leave cancels a push", func(t *testing.T) {
		c := v2(t, "socket").joined()
		h := lab.backend.hold(c.topic)
		c.send(`["1","2",$T,"bcast",{}]`)
		awaitCall(t, h.entered, "of the push")
		c.send(`["1","3",$T,"phx_leave",{}]`)
		awaitCall(t, h.ended, "was cancelled")
		close(h.let)
		c.want(`["1","3",$T,"phx_reply",ok{}]`, `["1","1",$T,"phx_close",{}]`)
		c.Quiet()
	})
	t.Run("A6 a push that is answered soon, then a leave", func(t *testing.T) {
		c := v2(t, "socket").joined()
		c.send(`["1","2",$T,"ok",{}]`, `["1","3",$T,"phx_leave",{}]`)
		c.want(`["1","2",$T,"phx_reply",ok{}]`, `["1","3",$T,"phx_reply",ok{}]`, `["1","1",$T,"phx_close",{}]`)
	})
	t.Run("A7 leave and join again while a join waits", func(t *testing.T) {
		c, h := pending(t)
		c.send(`["1","2",$T,"phx_leave",{}]`, `["3","3",$T,"phx_join",{}]`)
		awaitCall(t, h.ended, "was cancelled")
		close(h.let)
		c.want(`["1","2",$T,"phx_reply",ok{}]`, `["3","3",$T,"phx_reply",OK({"got":{}})]`)
		c.Quiet()
		wantNow(t, c.topic, c.connection("3"))
	})
}

// TestConcurrency covers what the backend is asked side by side, and what one by one.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	t.Run("A8 joins of three topics side by side", func(t *testing.T) {
		c := v2(t, "socket")
		holds := map[string]*hold{}
		for i := range 3 {
			topic := newTopic("side")
			holds[topic] = lab.backend.hold(topic)
			c.named(topic).send(fmt.Sprintf(`["%d","%d",$T,"phx_join",{}]`, i, i))
		}
		for topic, h := range holds {
			awaitCall(t, h.entered, "of the join of "+topic+" beside the others")
		}
		c.Heartbeat()
		for _, h := range holds {
			close(h.let)
		}
		for range holds {
			c.Next()
		}
		c.Quiet()
	})
	t.Run("A9 pushes of one channel one by one", func(t *testing.T) {
		c := v2(t, "socket").joined()
		other := c.another().joined()
		h := lab.backend.hold(c.topic)
		const n = 10
		for i := range n {
			c.send(fmt.Sprintf(`["1","%d",$T,"ok",{}]`, i))
		}
		for i := range n {
			if k := awaitCall(t, h.entered, "of a push"); string(k.Data.Ref) != fmt.Sprintf(`"%d"`, i) {
				t.Fatalf("got push %s, want %d", k.Data.Ref, i)
			}
			c.Heartbeat()
			if len(h.entered) > 0 {
				t.Fatal("two pushes of one channel are in flight")
			}
			h.let <- struct{}{}
			c.want(fmt.Sprintf(`["1","%d",$T,"phx_reply",ok{}]`, i))
		}
		other.send(`["1","2",$T,"ok",{}]`)
		c.send(`["1","99",$T,"ok",{}]`)
		awaitCall(t, h.entered, "of one channel")
		awaitCall(t, h.entered, "of another channel beside it")
		close(h.let)
		other.want(`["1","2",$T,"phx_reply",ok{}]`)
		c.want(`["1","99",$T,"phx_reply",ok{}]`)
	})
	t.Run("A10 broadcasts reach a channel whose push waits", func(t *testing.T) {
		c := v2(t, "socket").joined()
		h := lab.backend.hold(c.topic)
		c.send(`["1","2",$T,"ok",{}]`)
		awaitCall(t, h.entered, "of the push")
		c.publish(`{"event":"e"}`)
		c.want(`[null,null,$T,"e",{}]`)
		close(h.let)
		c.want(`["1","2",$T,"phx_reply",ok{}]`)
	})
}
