package conformance_test

import (
	"fmt"
	"testing"

	"roost/phoenix/phoenixtest"
)

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ id, ask, answer string }{
		{"P1", `[null,"1","phoenix","heartbeat",{}]`, `[null,"1","phoenix","phx_reply",ok{}]`},
		{"P2", `["9",null,"phoenix","heartbeat",{}]`, `[null,null,"phoenix","phx_reply",ok{}]`},
		{"P3", `[null,7,"phoenix","heartbeat",null]`, `[null,7,"phoenix","phx_reply",ok{}]`},
		{"P4", `["","1","phoenix","heartbeat",null]`, `[null,"1","phoenix","phx_reply",ok{}]`},
		{"P5", `[null,"1","phoenix","foo",{}]`, `[null,"1","phoenix","phx_reply",UNM]`},
		{"P5", `["1","2","phoenix","phx_join",{}]`, `[null,"2","phoenix","phx_reply",UNM]`},
	} {
		t.Run(c.id, func(t *testing.T) { v2(t, "socket").ask(c.ask, c.answer) })
	}
}

func TestJoin(t *testing.T) {
	t.Parallel()
	t.Run("P6 ok", func(t *testing.T) {
		v2(t, "socket").ask(`["1","1",$T,"phx_join",{"x":1}]`, `["1","1",$T,"phx_reply",OK({"got":{"x":1}})]`)
	})
	// Phoenix sends user_entered before joined. The backend contract has a join's pushes before its broadcasts.
	t.Run("P7 what follows the reply", func(t *testing.T) {
		c := v2(t, "socket")
		c.send(`["1","1",$T,"phx_join",{"after":true,"user":"bob"}]`)
		c.want(`["1","1",$T,"phx_reply",OK({"got":{"after":true,"user":"bob"}})]`,
			`["1",null,$T,"joined",{"status":"connected"}]`,
			`[null,null,$T,"user_entered",{"user":"bob"}]`)
	})
	t.Run("P8 refused", func(t *testing.T) {
		c := v2(t, "socket").named(newTopic("deny"))
		c.ask(`["1","1",$T,"phx_join",{}]`, `["1","1",$T,"phx_reply",ERR({"reason":"unauthorized"})]`)
		c.ask(`["1","2",$T,"ok",{}]`, `[null,"2",$T,"phx_reply",UNM]`)
	})
	t.Run("P9 crashed", func(t *testing.T) {
		c := v2(t, "socket").named(newTopic("crash"))
		c.ask(`["1","1",$T,"phx_join",{}]`, `["1","1",$T,"phx_reply",ERR({"reason":"join crashed"})]`)
		c.ask(`["1","2",$T,"ok",{}]`, `[null,"2",$T,"phx_reply",UNM]`)
	})
	t.Run("P10 unmatched", func(t *testing.T) {
		c := v2(t, "socket").named("nope:1")
		c.ask(`["1","1",$T,"phx_join",{}]`, `[null,"1",$T,"phx_reply",UNM]`)
		if calls := lab.backend.seen("nope:1", joins); len(calls) > 0 {
			t.Errorf("the backend was asked: %+v", calls)
		}
	})
	t.Run("P11 empty names", func(t *testing.T) {
		c := v2(t, "socket")
		c.ask(`["2","2","","phx_join",{}]`, `[null,"2","","phx_reply",UNM]`)
		c.ask(`["3","3","room:","phx_join",{}]`, `["3","3","room:","phx_reply",OK({"got":{}})]`)
	})
}

func TestJoinRef(t *testing.T) {
	t.Parallel()
	t.Run("P12 join_ref and ref differ", func(t *testing.T) {
		c := v2(t, "socket")
		c.ask(`["11","1",$T,"phx_join",{}]`, `["11","1",$T,"phx_reply",OK({"got":{}})]`)
		c.ask(`["11","2",$T,"ok",{}]`, `["11","2",$T,"phx_reply",ok{}]`)
		c.ask(`["11","3",$T,"push",{"a":1}]`, `["11",null,$T,"pushed",{"a":1}]`)
	})
	t.Run("P13 null join_ref", func(t *testing.T) {
		c := v2(t, "socket")
		c.ask(`[null,"1",$T,"phx_join",{}]`, `[null,"1",$T,"phx_reply",OK({"got":{}})]`)
		c.ask(`[null,"2",$T,"ok",{}]`, `["1","2",$T,"phx_reply",ok{}]`)
		c.send(`[null,"4",$T,"phx_leave",{}]`)
		c.want(`["1","4",$T,"phx_reply",ok{}]`, `[null,null,$T,"phx_close",{}]`)
	})
	t.Run("P14 joined with null, sent with a join_ref", func(t *testing.T) {
		c := v2(t, "socket")
		c.ask(`[null,"1",$T,"phx_join",{}]`, `[null,"1",$T,"phx_reply",OK({"got":{}})]`)
		c.send(`["1","3",$T,"ok",{}]`)
		c.Quiet()
	})
	t.Run("P15 numbers are not strings", func(t *testing.T) {
		c := v2(t, "socket")
		c.ask(`[1,1,$T,"phx_join",{}]`, `[1,1,$T,"phx_reply",OK({"got":{}})]`)
		c.ask(`[1,2,$T,"ok",{}]`, `[1,2,$T,"phx_reply",ok{}]`)
		c.send(`["1",3,$T,"ok",{}]`)
		c.Quiet()
	})
}

func TestPendingJoin(t *testing.T) {
	t.Parallel()
	t.Run("P16 messages wait for the join", func(t *testing.T) {
		c := v2(t, "socket").named(newTopic("slow"))
		c.send(`["1","1",$T,"phx_join",{"ms":300}]`, `["1","2",$T,"ok",{}]`)
		c.want(`["1","1",$T,"phx_reply",OK({"got":{"ms":300}})]`, `["1","2",$T,"phx_reply",ok{}]`)
	})
	t.Run("P17 heartbeats do not wait", func(t *testing.T) {
		c := v2(t, "socket")
		h := lab.backend.hold(c.topic)
		c.send(`["1","1",$T,"phx_join",{}]`)
		awaitCall(t, h.entered, "of the join")
		c.Heartbeat()
		close(h.let)
		c.want(`["1","1",$T,"phx_reply",OK({"got":{}})]`)
	})
	t.Run("P18 message behind a refused join", func(t *testing.T) {
		c := v2(t, "socket").named(newTopic("deny"))
		c.send(`["1","1",$T,"phx_join",{}]`, `["1","2",$T,"ok",{}]`)
		c.want(`["1","1",$T,"phx_reply",ERR({"reason":"unauthorized"})]`, `[null,"2",$T,"phx_reply",UNM]`)
	})
	t.Run("P19 event on a topic not joined", func(t *testing.T) {
		c := v2(t, "socket")
		c.ask(`["1","5",$T,"ok",{}]`, `[null,"5",$T,"phx_reply",UNM]`)
		c.ask(`[null,null,$T,"ok",{}]`, `[null,null,$T,"phx_reply",UNM]`)
	})
}

func TestDuplicateJoin(t *testing.T) {
	t.Parallel()
	t.Run("P29 P30 the new join wins", func(t *testing.T) {
		c := v2(t, "socket").joined()
		c.send(`["2","2",$T,"phx_join",{"after":true}]`)
		c.want(`["2","2",$T,"phx_reply",OK({"got":{"after":true}})]`, `["1","1",$T,"phx_close",{}]`,
			`["2",null,$T,"joined",{"status":"connected"}]`, `[null,null,$T,"user_entered",{"user":null}]`)
		c.send(`["1","3",$T,"ok",{}]`, `["2","4",$T,"ok",{}]`)
		c.want(`["2","4",$T,"phx_reply",ok{}]`)
		c.Quiet()
	})
	t.Run("P31 two joins and an event in one write", func(t *testing.T) {
		for range 20 {
			c := v2(t, "socket")
			c.send(`["3","3",$T,"phx_join",{}]`, `["4","4",$T,"phx_join",{}]`, `["4","5",$T,"ok",{}]`)
			c.want(`["3","3",$T,"phx_reply",OK({"got":{}})]`, `["4","4",$T,"phx_reply",OK({"got":{}})]`,
				`["3","3",$T,"phx_close",{}]`, `["4","5",$T,"phx_reply",ok{}]`)
			c.Drop()
		}
	})
	t.Run("P32 leave and join in one write", func(t *testing.T) {
		for range 20 {
			c := v2(t, "socket").joined()
			c.send(`["1","2",$T,"phx_leave",{}]`, `["3","3",$T,"phx_join",{}]`)
			c.wantReopened()
		}
	})
	t.Run("P33 the same join_ref", func(t *testing.T) {
		c := v2(t, "socket").joined()
		c.send(`["1","2",$T,"phx_join",{}]`)
		c.want(`["1","2",$T,"phx_reply",OK({"got":{}})]`, `["1","1",$T,"phx_close",{}]`)
		c.ask(`["1","3",$T,"ok",{}]`, `["1","3",$T,"phx_reply",ok{}]`)
	})
	t.Run("P34 refused", func(t *testing.T) {
		c := v2(t, "socket").joined()
		connection := c.connection("1")
		c.send(`["2","2",$T,"phx_join",{"refuse":true}]`)
		c.wantAll(`["2","2",$T,"phx_reply",ERR({"reason":"unauthorized"})]`, `["1","1",$T,"phx_close",{}]`)
		c.ask(`["2","3",$T,"ok",{}]`, `[null,"3",$T,"phx_reply",UNM]`)
		c.wantLeft(connection, "1", "duplicate_join")
		wantMembers(t, lab.redis, c.topic)
	})
}

// wantReopened reads what a leave of join "1" with ref "2" and a join "3" in one write may be answered with.
func (c *client) wantReopened() {
	c.t.Helper()
	join := c.expand(`["3","3",$T,"phx_reply",OK({"got":{}})]`)
	closed := c.expand(`["1","1",$T,"phx_close",{}]`)
	left := c.expand(`["1","2",$T,"phx_reply",ok{}]`)
	count := map[string]int{}
	for count[join] == 0 || count[closed] == 0 {
		m := c.Next()
		for _, frame := range []string{join, closed, left, ""} {
			if frame == "" {
				c.t.Fatalf("got %v, want the join's reply, a phx_close, or the leave's reply", m)
			}
			if phoenixtest.Same(m, frame) {
				count[frame]++
				break
			}
		}
	}
	if count[join] != 1 || count[closed] != 1 || count[left] > 1 {
		c.t.Fatalf("got %v, want one join reply, one phx_close, at most one leave reply", count)
	}
	c.ask(`["3","4",$T,"ok",{}]`, `["3","4",$T,"phx_reply",ok{}]`)
}

func TestChannelLimit(t *testing.T) {
	t.Parallel()
	t.Run("P35 the 101st topic", func(t *testing.T) {
		c := v2(t, "socket")
		prefix := c.topic
		for i := 1; i <= 100; i++ {
			c.named(fmt.Sprintf("%s:%d", prefix, i)).joinedAs(fmt.Sprint(i))
		}
		c.named(prefix+":101").ask(`["101","101",$T,"phx_join",{}]`,
			`["101","101",$T,"phx_reply",ERR({"reason":"too many channels joined"})]`)
		c.named(prefix+":100").ask(`["100","102",$T,"ok",{}]`, `["100","102",$T,"phx_reply",ok{}]`)
	})
	t.Run("P36 a limit of one", func(t *testing.T) {
		c := v2(t, "limited").joined()
		a, b := c.topic, newTopic("b")
		c.named(b).ask(`["2","2",$T,"phx_join",{}]`, `["2","2",$T,"phx_reply",ERR({"reason":"too many channels joined"})]`)
		c.named(a).send(`["3","3",$T,"phx_join",{}]`)
		c.want(`["3","3",$T,"phx_reply",OK({"got":{}})]`, `["1","1",$T,"phx_close",{}]`)
		c.send(`["3","4",$T,"phx_leave",{}]`)
		c.want(`["3","4",$T,"phx_reply",ok{}]`, `["3","3",$T,"phx_close",{}]`)
		c.named(b).joinedAs("5")
	})
}
