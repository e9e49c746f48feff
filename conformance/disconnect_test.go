package conformance_test

import (
	"fmt"
	"testing"
)

// user connects a V2 client with the socket id user:<id>.
func user(t testing.TB, p *pod, id string) *client {
	t.Helper()
	return dial(t, p, "vsn=2.0.0&user_id="+id)
}

const disconnect = `{"event":"disconnect"}`

func TestDisconnect(t *testing.T) {
	t.Parallel()
	t.Run("D1 D2 all connections of an id", func(t *testing.T) {
		p, id := sharedPod(t, "socket"), newUser()
		a, b := user(t, p, id).joined(), user(t, p, id)
		c, d := user(t, p, newUser()).joined(), v2(t, "socket").joined()
		connection := a.connection("1")
		lab.redis.publish(t, "id:user:"+id, disconnect)
		a.WantClose(1001)
		b.WantClose(1001)
		c.Quiet()
		d.Quiet()
		a.wantLeft(connection, "1", "disconnected")
		lab.backend.await(t, 2, "", func(k call) bool {
			return disconnects(k) && k.Data.ID == "user:"+id && k.Data.Reason == "disconnected"
		})
	})
	t.Run("D3 another event", func(t *testing.T) {
		id := newUser()
		c := user(t, sharedPod(t, "socket"), id).joined()
		lab.redis.publish(t, "id:user:"+id, `{"event":"other"}`)
		c.Quiet()
		lab.redis.publish(t, "id:user:"+id, disconnect)
		c.WantClose(1001)
	})
	t.Run("one connection", func(t *testing.T) {
		p, id := sharedPod(t, "socket"), newUser()
		a, b := user(t, p, id).joined(), user(t, p, id).joined()
		lab.redis.publish(t, "conn:"+a.connection("1"), disconnect)
		a.WantClose(1001)
		b.Quiet()
	})
}

// TestID covers pushes to a socket id or a connection, and channels closed by them.
func TestID(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"id", "conn"} {
		start := func(t *testing.T) (c *client, to string) {
			id := newUser()
			c = user(t, sharedPod(t, "socket"), id).joined()
			if by == "id" {
				return c, "id:user:" + id
			}
			return c, "conn:" + c.connection("1")
		}
		t.Run(by+" push", func(t *testing.T) {
			c, to := start(t)
			other := c.another().joined()
			lab.redis.publish(t, to, c.expand(`{"topic":$T,"event":"e","payload":{"f":1.0}}`))
			c.want(`["1",null,$T,"e",{"f":1.0}]`)
			lab.redis.publish(t, to, c.expand(`{"topic":$T,"event":"e"}`))
			c.want(`["1",null,$T,"e",{}]`)
			lab.redis.publish(t, to, c.expand(`{"topic":$T,"event":"e","payload_base64":"AAE="}`))
			c.WantBinary(binaryFrame(0, "\x00\x01", "1", c.topic, "e"))
			lab.redis.publish(t, to, `{"topic":"room:not-joined","event":"e","payload":{}}`)
			c.Quiet()
			other.Quiet()
		})
		for name, frame := range map[string]string{
			"phx_close": `["1","1",$T,"phx_close",{}]`,
			"phx_error": `["1","1",$T,"phx_error",{"reason":"channel_crash"}]`,
		} {
			t.Run(fmt.Sprintf("%s %s", by, name), func(t *testing.T) {
				c, to := start(t)
				connection := c.connection("1")
				kept := c.another().joined()
				lab.redis.publish(t, to, c.expand(`{"topic":$T,"event":"`+name+`"}`))
				c.want(frame)
				c.ask(`["1","2",$T,"ok",{}]`, `[null,"2",$T,"phx_reply",UNM]`)
				kept.Quiet()
				c.wantLeft(connection, "1", "kicked")
				wantMembers(t, lab.redis, c.topic, kept.connection("1"))
			})
		}
	}
}

// TestPublish covers what is published to a topic.
func TestPublish(t *testing.T) {
	t.Parallel()
	t.Run("broadcast", func(t *testing.T) {
		a := v2(t, "socket").joined()
		b := a.beside(sharedPod(t, "second"), "vsn=1.0.0").joinedV1()
		a.publish(`{"event":"e","payload":{"z":1,"a":2}}`)
		a.want(`[null,null,$T,"e",{"z":1,"a":2}]`)
		b.want(v1Frame("e", `{"z":1,"a":2}`, `null`))
		a.publish(`{"event":"e"}`)
		a.want(`[null,null,$T,"e",{}]`)
		b.want(v1Frame("e", `{}`, `null`))
	})
	t.Run("except", func(t *testing.T) {
		a := v2(t, "socket").joined()
		except := a.connection("1")
		b := a.beside(sharedPod(t, "second"), "vsn=2.0.0").joined()
		a.publish(`{"event":"e","payload":{"n":1},"except":` + quote(except) + `}`)
		b.want(`[null,null,$T,"e",{"n":1}]`)
		a.Quiet()
	})
	t.Run("payload_base64", func(t *testing.T) {
		a := v2(t, "socket").joined()
		b := a.beside(sharedPod(t, "second"), "vsn=2.0.0").joined()
		old := a.beside(a.pod, "vsn=1.0.0").joinedV1()
		a.publish(`{"event":"e","payload_base64":"/wA="}`)
		a.WantBinary(binaryFrame(2, "\xff\x00", a.topic, "e"))
		b.WantBinary(binaryFrame(2, "\xff\x00", a.topic, "e"))
		old.Quiet()
	})
	for name, frame := range map[string]string{
		"phx_close": `["1","1",$T,"phx_close",{}]`,
		"phx_error": `["1","1",$T,"phx_error",{"reason":"channel_crash"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			a := v2(t, "socket").joined()
			first := a.connection("1")
			b := a.beside(sharedPod(t, "second"), "vsn=2.0.0").joined()
			second := b.connection("1")
			a.publish(`{"event":"` + name + `"}`)
			a.want(frame)
			b.want(frame)
			a.wantLeft(first, "1", "kicked")
			a.wantLeft(second, "1", "kicked")
			wantMembers(t, lab.redis, a.topic)
			a.joinedAs("2")
			b.Quiet()
		})
	}
}
