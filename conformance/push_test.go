package conformance_test

import "testing"

func TestReply(t *testing.T) {
	t.Parallel()
	t.Run("P37 statuses", func(t *testing.T) {
		c := v2(t, "socket").joined()
		c.ask(`["1","2",$T,"ok",{}]`, `["1","2",$T,"phx_reply",ok{}]`)
		c.ask(`["1","3",$T,"error",{"reason":"x"}]`, `["1","3",$T,"phx_reply",ERR({"reason":"x"})]`)
		c.ask(`["1","4",$T,"custom_status",{"a":1}]`, `["1","4",$T,"phx_reply",{"response":{"a":1},"status":"weird"}]`)
	})
	t.Run("P38 no reply", func(t *testing.T) {
		c := v2(t, "socket").joined()
		c.send(`["1","2",$T,"noreply",{}]`)
		lab.backend.await(t, 1, c.topic, pushes("noreply"))
		c.Quiet()
	})
	t.Run("P39 any JSON", func(t *testing.T) {
		c := v2(t, "socket").joined()
		for _, payload := range []string{`"str"`, `[1]`, `null`, `5`} {
			c.ask(`["1","2",$T,"echo",`+payload+`]`, `["1","2",$T,"phx_reply",OK(`+payload+`)]`)
		}
	})
	t.Run("P41 null ref", func(t *testing.T) {
		v2(t, "socket").joined().ask(`["1",null,$T,"ok",{}]`, `["1",null,$T,"phx_reply",ok{}]`)
	})
	t.Run("P51 reserved names are ordinary events", func(t *testing.T) {
		c := v2(t, "socket").joined()
		for _, name := range []string{"phx_close", "phx_error", "phx_reply"} {
			c.ask(`["1","2",$T,"`+name+`",{"a":1}]`, `["1","2",$T,"phx_reply",OK({"a":1})]`)
			lab.backend.await(t, 1, c.topic, pushes(name))
		}
	})
	t.Run("P52 more elements, and white space", func(t *testing.T) {
		c := v2(t, "socket")
		c.ask(`[null,"1","phoenix","heartbeat",{},"x"]`, `[null,"1","phoenix","phx_reply",ok{}]`)
		c.ask(" [ null\t, \"1\" ,\r\n\"phoenix\" , \"heartbeat\" , { } ] \n", `[null,"1","phoenix","phx_reply",ok{}]`)
	})
}

func TestBroadcast(t *testing.T) {
	t.Parallel()
	t.Run("P42 to all, before the reply", func(t *testing.T) {
		a := v2(t, "socket").joined()
		b := a.another().joined()
		for range 100 {
			a.send(`["1","3",$T,"bcast",{"n":2}]`)
			a.want(`[null,null,$T,"bcast",{"n":2}]`, `["1","3",$T,"phx_reply",ok{}]`)
			b.want(`[null,null,$T,"bcast",{"n":2}]`)
		}
		a.Quiet()
		b.Quiet()
	})
	t.Run("P43 to the others", func(t *testing.T) {
		a := v2(t, "socket").joined()
		b := a.another().joined()
		a.ask(`["1","3",$T,"bcast_from",{"n":3}]`, `["1","3",$T,"phx_reply",ok{}]`)
		b.want(`[null,null,$T,"bcast_from",{"n":3}]`)
		a.Quiet()
	})
	t.Run("P44 one of two topics", func(t *testing.T) {
		c := v2(t, "socket").joined()
		c.named(newTopic("b")).joinedAs("2")
		c.send(`["2","3",$T,"bcast",{}]`)
		c.want(`[null,null,$T,"bcast",{}]`, `["2","3",$T,"phx_reply",ok{}]`)
		c.Quiet()
	})
	t.Run("P66 not joined", func(t *testing.T) {
		a := v2(t, "socket")
		b := a.another().joined()
		b.send(`["1","3",$T,"bcast",{}]`)
		b.want(`[null,null,$T,"bcast",{}]`, `["1","3",$T,"phx_reply",ok{}]`)
		a.Quiet()
	})
	t.Run("another topic", func(t *testing.T) {
		a, b := v2(t, "socket").joined(), v2(t, "socket").joined()
		a.ask(`["1","3",$T,"bcast_to",`+quote(b.topic)+`]`, `["1","3",$T,"phx_reply",ok{}]`)
		b.want(`[null,null,$T,"bcast",{}]`)
		a.Quiet()
	})
	t.Run("order of all effects", func(t *testing.T) {
		a := v2(t, "socket").joined()
		b := a.another().joined()
		a.send(`["1","3",$T,"all",{"a":1}]`)
		a.want(`[null,null,$T,"b1",{}]`, `[null,null,$T,"b2",{}]`, `["1","3",$T,"phx_reply",OK({"a":1})]`,
			`["1",null,$T,"p1",{}]`, `["1","77",$T,"p2",{}]`, `["1","1",$T,"phx_close",{}]`)
		b.want(`[null,null,$T,"b1",{}]`, `[null,null,$T,"b2",{}]`)
		b.Quiet()
	})
}

func TestStop(t *testing.T) {
	t.Parallel()
	const crash = `["1","1",$T,"phx_error",{"reason":"channel_crash"}]`
	t.Run("P46 normal", func(t *testing.T) {
		c := v2(t, "socket").joined()
		c.ask(`["1","2",$T,"stop_normal",{}]`, `["1","1",$T,"phx_close",{}]`)
		c.ask(`["1","3",$T,"ok",{}]`, `[null,"3",$T,"phx_reply",UNM]`)
	})
	t.Run("P47 with a reply", func(t *testing.T) {
		c := v2(t, "socket").joined()
		c.send(`["1","2",$T,"stop_reply",{"p":1}]`)
		c.want(`["1","2",$T,"phx_reply",OK({"p":1})]`, `["1","1",$T,"phx_close",{}]`)
	})
	t.Run("P48 error", func(t *testing.T) {
		v2(t, "socket").joined().ask(`["1","2",$T,"stop_error",{}]`, crash)
		c := v2(t, "socket").joined()
		c.send(`["1","2",$T,"stop_error_reply",{"p":1}]`)
		c.want(`["1","2",$T,"phx_reply",ERR({"p":1})]`, crash)
	})
	// The gateway's policy: a backend that fails costs the event, not the channel.
	t.Run("P49 the backend fails", func(t *testing.T) {
		c := v2(t, "socket").joined()
		for _, name := range []string{"boom", "unheard_of"} {
			c.ask(`["1","2",$T,"`+name+`",{}]`, `["1","2",$T,"phx_reply",ERR({"reason":"backend unavailable"})]`)
		}
		c.ask(`["1","3",$T,"ok",{}]`, `["1","3",$T,"phx_reply",ok{}]`)
	})
	t.Run("P49 P50 exit and rejoin", func(t *testing.T) {
		c := v2(t, "socket").joined()
		c.ask(`["1","2",$T,"exit_normal",{}]`, crash)
		c.ask(`["1","3",$T,"ok",{}]`, `[null,"3",$T,"phx_reply",UNM]`)
		c.joinedAs("3")
	})
}

func TestAssigns(t *testing.T) {
	t.Parallel()
	c := v2(t, "socket").joined()
	c.ask(`["1","2",$T,"recall",{}]`, `["1","2",$T,"phx_reply",OK({"from":"connect"})]`)
	c.ask(`["1","3",$T,"remember",{"n":1.0}]`, `["1","3",$T,"phx_reply",ok{}]`)
	c.ask(`["1","4",$T,"recall",{}]`, `["1","4",$T,"phx_reply",OK({"n":1.0})]`)
	c.named(newTopic("b")).joinedAs("5")
	c.ask(`["5","6",$T,"recall",{}]`, `["5","6",$T,"phx_reply",OK({"from":"connect"})]`)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for status, response := range map[string]string{
		"401": `{"reason":"unauthorized"}`, "403": `{"reason":"forbidden"}`, "409": `{"reason":"forbidden"}`,
	} {
		c := v2(t, "socket")
		c.ask(`["1","1",$T,"phx_join",{"status":`+status+`}]`, `["1","1",$T,"phx_reply",ERR(`+response+`)]`)
	}
	c := v2(t, "socket").joined()
	for _, status := range []string{"401", "403", "409"} {
		c.ask(`["1","2",$T,"refuse_`+status+`",{"response":{"why":"`+status+`"}}]`,
			`["1","2",$T,"phx_reply",ERR({"why":"`+status+`"})]`)
	}
}
