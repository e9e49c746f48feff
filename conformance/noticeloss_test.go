package conformance_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestNoticesWithoutRedis: channels that end while Redis is away are told meanwhile, and once; whether Redis comes back as it
// was or empty.
func TestNoticesWithoutRedis(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"paused", "killed"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			server, l := ownRedis(t), newLedger(t)
			a := l.pod(server, "pod-a", settings{"ROOST_RESYNC_SPREAD": "off"})
			topic := newTopic("notice")
			clients := assemble(t, a, topic, 20)
			back := func() { server.start() }
			if how == "killed" {
				server.kill()
			} else {
				back = server.pause(t)
			}
			for _, c := range clients[:10] {
				c.CloseWith(1000)
			}
			l.wantEnds(10, because("closed"))
			l.setDown(true)
			for _, c := range clients[10:15] {
				c.CloseWith(1000)
			}
			time.Sleep(4 * time.Second) // their removal fails, too
			back()
			wantMembers(t, server, topic, connectionsOf(l, clients[15:])...)
			l.setDown(false)
			wantReasons(t, l.wantEnds(15, leaves), map[string]int{"closed": 15})
			wantRest(t, server)
			l.wantEnds(15, leaves)
		})
	}
}

// connectionsOf returns the connection ids of the last n that joined.
func connectionsOf(l *ledger, clients []*client) (ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.joins[len(l.joins)-len(clients):] {
		ids = append(ids, c.Data.Connection)
	}
	return ids
}

// TestNoticesAfterAFlush: notices that wait in memory are told, though Redis has forgotten them.
func TestNoticesAfterAFlush(t *testing.T) {
	t.Parallel()
	server, l := ownRedis(t), newLedger(t)
	a := l.pod(server, "pod-a", nil)
	l.setDown(true)
	topic := newTopic("notice")
	clients := assemble(t, a, topic, 20)
	for _, c := range clients[:10] {
		c.leave()
	}
	a.wantMetric(t, "roost_webhook_notices_pending 10")
	if err := server.client.FlushAll(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	wantMembers(t, server, topic, connectionsOf(l, clients[10:])...)
	l.setDown(false)
	wantReasons(t, l.wantEnds(10, leaves), map[string]int{"left": 10})
	for _, c := range clients[10:] {
		c.leave()
	}
	wantReasons(t, l.wantEnds(20, leaves), map[string]int{"left": 20})
	wantRest(t, server)
	l.wantEnds(20, leaves)
}

// TestNoticesBeyondMemory: what has no room in memory waits in Redis, and loses neither its turn nor its reason.
func TestNoticesBeyondMemory(t *testing.T) {
	t.Parallel()
	server, l := ownRedis(t), newLedger(t)
	a := l.pod(server, "pod-a", settings{"ROOST_WEBHOOK_NOTICE_LIMIT": "10KiB"})
	l.setDown(true)
	const clients, joins = 12, 10 // there is room for about ten notices
	var want []string
	for i := range joins {
		want = append(want, quote(fmt.Sprint(i)))
	}
	for range clients {
		c := dial(t, a, "vsn=2.0.0").named(newTopic("notice"))
		for _, ref := range want {
			c.ask(`[`+ref+`,`+ref+`,$T,"phx_join",{}]`, `[`+ref+`,`+ref+`,$T,"phx_reply",OK({"got":{}})]`)
			c.send(`[` + ref + `,"x",$T,"phx_leave",{}]`)
			c.want(`[`+ref+`,"x",$T,"phx_reply",ok{}]`, `[`+ref+`,`+ref+`,$T,"phx_close",{}]`)
		}
	}
	if n := server.client.XLen(context.Background(), "roost:pod:pod-a:notices").Val(); n != clients*joins {
		t.Errorf("got %d notices in Redis, want %d", n, clients*joins)
	}
	l.setDown(false)
	byTopic := map[string][]call{}
	for _, c := range l.wantEnds(clients*joins, because("left")) {
		byTopic[c.Data.Topic] = append(byTopic[c.Data.Topic], c)
	}
	for topic, leaves := range byTopic {
		if got := refs(leaves); !slices.Equal(got, want) {
			t.Errorf("got leaves of joins %v of %s, want them in order", got, topic)
		}
	}
	wantRest(t, server)
	l.wantEnds(clients*joins, leaves)
}
