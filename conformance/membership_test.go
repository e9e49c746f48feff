package conformance_test

import (
	"fmt"
	"slices"
	"testing"
)

// wantMember checks the membership set as it is right now.
func (c *client) wantMember(connection string, want bool) {
	c.t.Helper()
	if got := c.isMember(connection); got != want {
		c.t.Errorf("got %s in the set of %s: %t, want %t", connection, c.topic, got, want)
	}
}

func TestMembership(t *testing.T) {
	t.Parallel()
	t.Run("M1 true at every join and leave reply", func(t *testing.T) {
		c := v2(t, "socket")
		for range 50 {
			c.named(newTopic("m")).joined()
			connection := c.connection("1")
			c.wantMember(connection, true)
			c.ask(`["1","2",$T,"phx_leave",{}]`, `["1","2",$T,"phx_reply",ok{}]`)
			c.wantMember(connection, false)
			c.want(`["1","1",$T,"phx_close",{}]`)
		}
	})
	t.Run("M2 members of all pods", func(t *testing.T) {
		a := v2(t, "socket").joined()
		first := a.connection("1")
		a.beside(sharedPod(t, "second"), "vsn=2.0.0").joined()
		second := a.connection("1")
		got, want := lab.redis.members(t, a.topic), []string{first, second}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("got members %v, want %v", got, want)
		}
	})
	t.Run("M3 a rejoin stays a member", func(t *testing.T) {
		c := v2(t, "socket").joined()
		connection := c.connection("1")
		for _, ref := range []string{"2", "3", "4"} {
			c.send(`["` + ref + `","` + ref + `",$T,"phx_join",{}]`)
			c.want(`["` + ref + `","` + ref + `",$T,"phx_reply",OK({"got":{}})]`)
			c.wantMember(connection, true)
			c.Next() // the phx_close of the join before
		}
		c.Quiet()
		c.wantMember(connection, true)
	})
	for _, how := range []string{"close frame", "drop"} {
		t.Run("M4 gone after a "+how, func(t *testing.T) {
			c := v2(t, "socket").joined()
			connection := c.connection("1")
			if how == "drop" {
				c.Drop()
			} else {
				c.CloseWith(1000)
			}
			wantMembers(t, lab.redis, c.topic)
			c.wantLeft(connection, "1", "closed")
		})
	}
	t.Run("M5 refused and crashed joins", func(t *testing.T) {
		for _, word := range []string{"deny", "crash"} {
			c := v2(t, "socket").named(newTopic(word))
			c.send(`["1","1",$T,"phx_join",{}]`)
			c.Next()
			wantNow(t, c.topic)
		}
	})
	t.Run("M6 gone after stop", func(t *testing.T) {
		for _, name := range []string{"stop_normal", "stop_error"} {
			c := v2(t, "socket").joined()
			c.send(`["1","2",$T,"` + name + `",{}]`)
			c.Next()
			wantNow(t, c.topic)
		}
	})
}

// wantNow checks that a topic has exactly these members at this moment.
func wantNow(t *testing.T, topic string, want ...string) {
	t.Helper()
	if got := lab.redis.members(t, topic); !slices.Equal(got, want) {
		t.Errorf("got members %v of %s, want %v", got, topic, want)
	}
}

func TestNotices(t *testing.T) {
	t.Parallel()
	t.Run("N1 one leave per join", func(t *testing.T) {
		c := v2(t, "socket").joined()
		connection := c.connection("1")
		c.send(`["2","2",$T,"phx_join",{}]`)
		c.want(`["2","2",$T,"phx_reply",OK({"got":{}})]`, `["1","1",$T,"phx_close",{}]`)
		c.send(`["2","3",$T,"phx_leave",{}]`)
		c.want(`["2","3",$T,"phx_reply",ok{}]`, `["2","2",$T,"phx_close",{}]`)
		c.joinedAs("4")
		c.ask(`["4","5",$T,"exit_normal",{}]`, `["4","4",$T,"phx_error",{"reason":"channel_crash"}]`)
		c.joinedAs("6")
		c.Drop()
		for ref, reason := range map[string]string{"1": "duplicate_join", "2": "left", "6": "closed"} {
			c.wantLeft(connection, ref, reason)
		}
		if got := lab.backend.await(t, 4, c.topic, leaves); got[0].WebhookID == got[1].WebhookID {
			t.Error("two notices have one webhook-id")
		}
	})
	t.Run("N2 none for joins that were not let in", func(t *testing.T) {
		c := v2(t, "socket").named(newTopic("deny"))
		c.send(`["1","1",$T,"phx_join",{}]`)
		c.Next()
		c.Drop()
		connection := c.connection("1")
		lab.backend.await(t, 1, "", func(k call) bool { return disconnects(k) && k.Data.Connection == connection })
		if got := lab.backend.seen(c.topic, leaves); len(got) > 0 {
			t.Errorf("got leave notices %+v, want none", got)
		}
	})
	t.Run("N3 repeated until it is taken", func(t *testing.T) {
		c := v2(t, "socket").named(newTopic("retry")).joined()
		c.leave()
		got := lab.backend.await(t, 2, c.topic, leaves)
		if got[0].WebhookID != got[1].WebhookID {
			t.Errorf("got webhook-ids %q and %q, want one", got[0].WebhookID, got[1].WebhookID)
		}
		if got[0].Data.Reason != "left" || string(got[0].Data.JoinRef) != `"1"` {
			t.Errorf("got reason %q and join_ref %s, want left and \"1\"", got[0].Data.Reason, got[0].Data.JoinRef)
		}
	})
	t.Run("N4 disconnect", func(t *testing.T) {
		tag := newUser()
		c := dial(t, sharedPod(t, "socket"), "vsn=2.0.0&tag="+tag)
		connected := connectOf(tag)
		if connected == nil {
			t.Fatal("the backend saw no connect")
		}
		c.CloseWith(1000)
		of := func(k call) bool { return disconnects(k) && k.Data.Connection == connected.Data.Connection }
		if got := lab.backend.await(t, 1, "", of)[0]; got.Data.Reason != "closed" || got.Data.Params["tag"] != tag {
			t.Errorf("got %+v, want reason closed and the params", got.Data)
		}
	})
	t.Run("N5 what calls carry", func(t *testing.T) {
		id := newUser()
		c := user(t, sharedPod(t, "socket"), id)
		c.ask(`["7","8",$T,"phx_join",{"a":1.0}]`, `["7","8",$T,"phx_reply",OK({"got":{"a":1.0}})]`)
		c.ask(`["7","9",$T,"ok",{"b":2.0}]`, `["7","9",$T,"phx_reply",OK({"b":2.0})]`)
		join, push := lab.backend.seen(c.topic, joins)[0].Data, lab.backend.seen(c.topic, pushes("ok"))[0].Data
		for _, got := range []struct{ what, got, want string }{
			{"join", fmt.Sprintf("%s %s %s %s", join.ID, join.JoinRef, join.Ref, join.Payload), `user:` + id + ` "7" "8" {"a":1.0}`},
			{"push", fmt.Sprintf("%s %s %s %s", push.ID, push.JoinRef, push.Ref, push.Payload), `user:` + id + ` "7" "9" {"b":2.0}`},
			{"connection", push.Connection, join.Connection},
		} {
			if got.got != got.want {
				t.Errorf("%s: got %s, want %s", got.what, got.got, got.want)
			}
		}
	})
}
