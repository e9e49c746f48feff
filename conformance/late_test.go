package conformance_test

import "testing"

// TestLate covers joins that the backend has let in, but that are not wanted any more before Redis has confirmed them.
func TestLate(t *testing.T) {
	t.Parallel()
	server := ownRedis(t)
	p := ownPod(t, server.url(), nil)
	// stuck returns a client whose join was let in by the backend and waits for Redis, which hangs.
	stuck := func(t *testing.T) (c *client, resume func()) {
		c = dial(t, p, "vsn=2.0.0")
		resume = server.pause(t)
		c.send(`["1","1",$T,"phx_join",{"after":true}]`)
		lab.backend.await(t, 1, c.topic, joins)
		c.Quiet()
		return c, resume
	}
	t.Run("A11 leave", func(t *testing.T) {
		c, resume := stuck(t)
		c.ask(`["1","2",$T,"phx_leave",{}]`, `["1","2",$T,"phx_reply",ok{}]`)
		resume()
		c.wantLeft(c.connection("1"), "1", "left")
		c.Quiet()
		wantMembers(t, server, c.topic)
		c.ask(`["1","3",$T,"ok",{}]`, `[null,"3",$T,"phx_reply",UNM]`)
	})
	t.Run("A12 join again", func(t *testing.T) {
		c, resume := stuck(t)
		c.send(`["2","2",$T,"phx_join",{}]`)
		lab.backend.await(t, 2, c.topic, joins)
		resume()
		c.want(`["2","2",$T,"phx_reply",OK({"got":{}})]`)
		c.wantLeft(c.connection("1"), "1", "duplicate_join")
		c.Quiet()
		wantMembers(t, server, c.topic, c.connection("2"))
		server.publish(t, "topic:"+c.topic, `{"event":"e"}`)
		c.want(`[null,null,$T,"e",{}]`)
	})
	t.Run("A13 close", func(t *testing.T) {
		c, resume := stuck(t)
		connection := c.connection("1")
		c.Drop()
		p.wantMetric(t, `roost_connections{transport="websocket",vsn="2"} 0`) // the pod knows
		resume()
		lab.backend.await(t, 1, "", func(k call) bool { return disconnects(k) && k.Data.Connection == connection })
		c.wantLeft(connection, "1", "closed")
		wantMembers(t, server, c.topic)
	})
	t.Run("A14 nothing of it remains", func(t *testing.T) {
		c, resume := stuck(t)
		c.ask(`["1","2",$T,"phx_leave",{}]`, `["1","2",$T,"phx_reply",ok{}]`)
		resume()
		watcher := dial(t, p, "vsn=2.0.0").named(c.topic).joined()
		watcher.Quiet() // no user_entered of the join that was not wanted
		wantMembers(t, server, c.topic, watcher.connection("1"))
	})
}
