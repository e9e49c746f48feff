package conformance_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// wantJoins checks how many joins of the topic the backend has been asked about.
func (c *client) wantJoins(want int) {
	c.t.Helper()
	if got := len(lab.backend.seen(c.topic, joins)); got != want {
		c.t.Errorf("joins that the backend was asked about: got %d, want %d", got, want)
	}
}

// TestEqualJoins covers joins that share a call.
func TestEqualJoins(t *testing.T) {
	t.Parallel()
	p, id := ownPod(t, lab.redis.url(), nil), newUser()
	a, b, other := user(t, p, id), user(t, p, id), user(t, p, newUser())
	b.topic, other.topic = a.topic, a.topic
	h := lab.backend.hold(a.topic)
	a.send(`["1","1",$T,"phx_join",{"after":true}]`)
	awaitCall(t, h.entered, "of the first join")
	b.send(`["2","2",$T,"phx_join",{"after":true}]`)
	other.send(`["3","3",$T,"phx_join",{"after":true}]`)
	awaitCall(t, h.entered, "of another user's join")
	eventually(t, func() error {
		if metricValue(t, p, `roost_webhook_joins_unasked_total{how="coalesced"}`) != 1 {
			return errors.New("the second join does not wait for the first one's answer")
		}
		return nil
	})
	close(h.let)
	for ref, c := range map[string]*client{`"1"`: a, `"2"`: b, `"3"`: other} {
		c.want(`[`+ref+`,`+ref+`,$T,"phx_reply",OK({"got":{"after":true}})]`, `[`+ref+`,null,$T,"joined",{"status":"connected"}]`)
	}
	a.wantJoins(2)
}

const (
	cachedJoin  = `["1","1",$T,"phx_join",{"cache":"1h"}]`
	cachedReply = `["1","1",$T,"phx_reply",OK({"got":{"cache":"1h"}})]`
)

var errStillCached = errors.New("the answer is still remembered")

// TestCachedJoin covers answers that hold for a while, and what ends them.
func TestCachedJoin(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T) (c *client, id string) {
		id = newUser()
		c = user(t, sharedPod(t, "socket"), id)
		c.ask(cachedJoin, cachedReply)
		c.leave()
		c.ask(cachedJoin, cachedReply)
		c.wantJoins(1)
		return c, id
	}
	t.Run("another payload", func(t *testing.T) {
		c, _ := begin(t)
		c.leave()
		c.joined()
		c.wantJoins(2)
	})
	t.Run("another connection", func(t *testing.T) {
		c, id := begin(t)
		o := user(t, c.pod, id).named(c.topic)
		o.ask(cachedJoin, cachedReply)
		o.wantJoins(1)
	})
	for _, by := range []string{"id", "conn", "topic"} {
		t.Run("phx_error by "+by, func(t *testing.T) {
			c, id := begin(t)
			switch by {
			case "topic":
				c.publish(`{"event":"phx_error"}`)
			case "id":
				lab.redis.publish(t, "id:user:"+id, `{"topic":`+quote(c.topic)+`,"event":"phx_error"}`)
			case "conn":
				lab.redis.publish(t, "conn:"+c.connection("1"), `{"topic":`+quote(c.topic)+`,"event":"phx_error"}`)
			}
			c.want(`["1","1",$T,"phx_error",{"reason":"channel_crash"}]`)
			c.ask(cachedJoin, cachedReply)
			c.wantJoins(2)
		})
	}
	t.Run("disconnect", func(t *testing.T) {
		c, id := begin(t)
		lab.redis.publish(t, "id:user:"+id, disconnect)
		c.WantClose(1001)
		o := user(t, c.pod, id).named(c.topic)
		o.ask(cachedJoin, cachedReply)
		o.wantJoins(2)
	})
	t.Run("disconnect of an id without a connection", func(t *testing.T) {
		c, id := begin(t)
		c.Drop()
		lab.backend.await(t, 1, "", func(k call) bool { return disconnects(k) && k.Data.ID == "user:"+id })
		lab.redis.publish(t, "id:user:"+id, disconnect)
		eventually(t, func() error { // the word may come behind a new connection
			o := user(t, c.pod, id).named(c.topic)
			defer o.Drop()
			o.ask(cachedJoin, cachedReply)
			if len(lab.backend.seen(c.topic, joins)) < 2 {
				return errStillCached
			}
			return nil
		})
	})
}

// TestStale covers joins while the backend is down, on topics whose rule allows it.
func TestStale(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "topics.yaml")
	if err := os.WriteFile(file, []byte("topics:\n  - {topic: \"room:*\", stale: 5m}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := ownPod(t, lab.redis.url(), settings{"ROOST_TOPICS_FILE": file})
	const (
		yes     = `["1","1",$T,"phx_join",{}]`
		down    = `["1","1",$T,"phx_join",{"status":503}]`
		no      = `["1","1",$T,"phx_join",{"status":403}]`
		ok      = `["1","1",$T,"phx_reply",OK({"got":{}})]`
		crashed = `["1","1",$T,"phx_reply",ERR({"reason":"join crashed"})]`
	)
	t.Run("allowed before", func(t *testing.T) {
		c := user(t, p, newUser())
		c.ask(down, crashed)
		c.ask(yes, ok)
		c.leave()
		c.ask(down, ok)
		c.wantJoins(3)
	})
	t.Run("refused since", func(t *testing.T) {
		c := user(t, p, newUser())
		c.ask(yes, ok)
		c.leave()
		c.ask(no, `["1","1",$T,"phx_reply",ERR({"reason":"forbidden"})]`)
		c.ask(down, crashed)
	})
	t.Run("kicked since", func(t *testing.T) {
		id := newUser()
		c := user(t, p, id)
		c.ask(yes, ok)
		lab.redis.publish(t, "id:user:"+id, `{"topic":`+quote(c.topic)+`,"event":"phx_close"}`)
		c.want(`["1","1",$T,"phx_close",{}]`)
		c.ask(down, crashed)
	})
	t.Run("nobody in particular", func(t *testing.T) {
		c := dial(t, p, "vsn=2.0.0")
		c.ask(yes, ok)
		c.leave()
		c.ask(down, crashed)
	})
}
