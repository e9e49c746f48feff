package conformance_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestTwoPods(t *testing.T) {
	t.Parallel()
	pair := func(t *testing.T) (a, b *client) {
		a = v2(t, "socket").joined()
		return a, a.beside(sharedPod(t, "second"), "vsn=2.0.0").joined()
	}
	t.Run("X1 broadcast", func(t *testing.T) {
		a, b := pair(t)
		a.send(`["1","2",$T,"bcast",{"n":1}]`)
		a.want(`[null,null,$T,"bcast",{"n":1}]`, `["1","2",$T,"phx_reply",ok{}]`)
		b.want(`[null,null,$T,"bcast",{"n":1}]`)
		a.Quiet()
		b.Quiet()
	})
	t.Run("X2 broadcast_from", func(t *testing.T) {
		a, b := pair(t)
		a.ask(`["1","2",$T,"bcast_from",{"n":1}]`, `["1","2",$T,"phx_reply",ok{}]`)
		b.want(`[null,null,$T,"bcast_from",{"n":1}]`)
		a.Quiet()
		b.Quiet()
	})
	t.Run("X3 disconnect", func(t *testing.T) {
		id := newUser()
		a, b := user(t, sharedPod(t, "socket"), id).joined(), user(t, sharedPod(t, "second"), id).joined()
		lab.redis.publish(t, "id:user:"+id, disconnect)
		a.WantClose(1001)
		b.WantClose(1001)
	})
	t.Run("X7 a broadcast right after the join's reply", func(t *testing.T) {
		a, b := v2(t, "socket"), dial(t, sharedPod(t, "second"), "vsn=2.0.0")
		for i := range 200 {
			topic := newTopic("x7")
			a.named(topic).joined()
			b.named(topic).joined()
			a.send(`["1","9",$T,"bcast",{}]`)
			want := []string{`[null,null,$T,"bcast",{}]`, `["1","9",$T,"phx_reply",ok{}]`}
			a.want(want...)
			b.want(want[0])
			a.leave()
			b.leave()
			if t.Failed() {
				t.Fatalf("in round %d", i)
			}
		}
	})
	t.Run("X7 a publish right after the join's reply", func(t *testing.T) {
		c := v2(t, "second")
		for range 200 {
			c.named(newTopic("x7")).joined()
			c.publish(`{"event":"e"}`)
			c.want(`[null,null,$T,"e",{}]`)
			c.leave()
		}
	})
	t.Run("X7 no broadcast before the join's reply or after the leave's", func(t *testing.T) {
		a := v2(t, "socket").joined() // keeps the topic subscribed
		c := a.another()
		stop := flood(t, c.topic)
		for range 100 {
			c.joined()
			c.Next() // a broadcast
			c.send(`["1","2",$T,"phx_leave",{}]`)
			left, closed := c.expand(`["1","2",$T,"phx_reply",ok{}]`), c.expand(`["1","1",$T,"phx_close",{}]`)
			for m := c.Next(); !same(m, left); m = c.Next() {
				if !strings.Contains(string(m.Data), `"flood"`) {
					t.Fatalf("got %v, want a broadcast or the leave's reply", m)
				}
			}
			c.want(closed)
			c.Heartbeat()
		}
		stop()
	})
	t.Run("X8 order", func(t *testing.T) {
		a := v2(t, "socket").joined()
		subscribers := []*client{a, a.another().joined()}
		for range 2 {
			subscribers = append(subscribers, a.beside(sharedPod(t, "second"), "vsn=2.0.0").joined())
		}
		for i := range 1000 {
			a.publish(fmt.Sprintf(`{"event":"e","payload":{"i":%d}}`, i))
		}
		for _, s := range subscribers {
			for i := range 1000 {
				s.want(fmt.Sprintf(`[null,null,$T,"e",{"i":%d}]`, i))
			}
			s.Quiet()
		}
	})
}

// flood publishes to a topic as fast as it can, until the function it returns is called or the test ends.
func flood(t *testing.T, topic string) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			default:
				lab.redis.publish(t, "topic:"+topic, `{"event":"flood"}`)
			}
		}
	}()
	stop = sync.OnceFunc(func() {
		close(quit)
		<-done
	})
	t.Cleanup(stop)
	return stop
}
