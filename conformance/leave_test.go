package conformance_test

import "testing"

func TestLeave(t *testing.T) {
	t.Parallel()
	t.Run("P20 not joined", func(t *testing.T) {
		c := v2(t, "socket")
		c.ask(`["1","5",$T,"phx_leave",{}]`, `["1","5",$T,"phx_reply",ok{}]`)
		c.Quiet()
	})
	t.Run("P21 P22 P23 joined", func(t *testing.T) {
		c := v2(t, "socket").joined()
		c.send(`["1","2",$T,"phx_leave",{}]`)
		c.want(`["1","2",$T,"phx_reply",ok{}]`, `["1","1",$T,"phx_close",{}]`)
		c.ask(`["1","3",$T,"ok",{}]`, `[null,"3",$T,"phx_reply",UNM]`)
		c.ask(`["1","3",$T,"phx_leave",{}]`, `["1","3",$T,"phx_reply",ok{}]`)
		c.Quiet()
	})
	// A push made while the channel terminates has no twin in the backend contract: it is dropped.
	t.Run("P24 no last words", func(t *testing.T) {
		c := v2(t, "socket").named(newTopic("bye")).joined()
		c.send(`["1","2",$T,"phx_leave",{}]`)
		c.want(`["1","2",$T,"phx_reply",ok{}]`, `["1","1",$T,"phx_close",{}]`)
		c.Quiet()
	})
	t.Run("P25 stale leave", func(t *testing.T) {
		c := v2(t, "socket").joinedAs("5")
		c.send(`["4","6",$T,"phx_leave",{}]`, `["5","7",$T,"ok",{}]`)
		c.want(`["5","7",$T,"phx_reply",ok{}]`)
		c.Quiet()
	})
	t.Run("P26 null join_ref", func(t *testing.T) {
		c := v2(t, "socket").joined()
		c.send(`[null,"2",$T,"phx_leave",{}]`)
		c.want(`["1","2",$T,"phx_reply",ok{}]`, `["1","1",$T,"phx_close",{}]`)
	})
	t.Run("P27 stale event", func(t *testing.T) {
		c := v2(t, "socket").joinedAs("5")
		c.send(`["4","6",$T,"ok",{}]`, `["5","7",$T,"ok",{}]`)
		c.want(`["5","7",$T,"phx_reply",ok{}]`)
		c.Quiet()
		if calls := lab.backend.seen(c.topic, pushes("ok")); len(calls) != 1 {
			t.Errorf("got %d pushes at the backend, want 1", len(calls))
		}
	})
	t.Run("P28 event with null join_ref", func(t *testing.T) {
		v2(t, "socket").joinedAs("5").ask(`[null,"6",$T,"ok",{}]`, `["5","6",$T,"phx_reply",ok{}]`)
	})
}
