package conformance_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"syscall"
	"testing"
)

// TestNoticesOfAKilledPod: all its members are told as lost, each once, with the latest assigns; the members of others are not.
func TestNoticesOfAKilledPod(t *testing.T) {
	t.Parallel()
	server, l := ownRedis(t), newLedger(t)
	more := settings{"ROOST_WEBHOOK_EVENTS": "connect,join,push,leave,disconnect"}
	a, b := l.pod(server, "pod-a", more), l.pod(server, "pod-b", more)
	topic := newTopic("notice")
	dying := assemble(t, a, topic, 20)
	assemble(t, b, topic, 5)
	for _, c := range dying {
		c.named(newTopic("notice")).joinedAs("2") // a second topic of each
		c.ask(`["2","3",$T,"ok",{}]`, `["2","3",$T,"phx_reply",OK({"got":{}})]`)
	}
	eventually(t, func() error { // the pushes have changed the assigns; the index follows
		n := 0
		for _, value := range server.client.HVals(context.Background(), "roost:pod:pod-a:members").Val() {
			if containsAll(value, `"of":"channel.push"`) {
				n++
			}
		}
		if n != len(dying) {
			return fmt.Errorf("got %d entries with new assigns, want %d", n, len(dying))
		}
		return nil
	})
	a.kill()
	found := l.wantEnds(40, leaves)
	wantReasons(t, found, map[string]int{"pod_lost": 40})
	l.wantEnds(20, disconnects)
	for _, c := range found {
		want := `{"of":"channel.join"}`
		if c.Data.Topic != topic {
			want = `{"of":"channel.push"}`
		}
		if string(c.Data.Assigns) != want {
			t.Errorf("got assigns %s of %s, want %s", c.Data.Assigns, c.end(), want)
		}
	}
	wantRest(t, server)
	l.wantEnds(40, leaves)
	l.wantEnds(20, disconnects)
	gone := map[string]bool{}
	for _, c := range l.notices(func(call) bool { return true }) {
		if leaves(c) && gone[c.Data.Connection] {
			t.Errorf("a leave of %s came after its disconnect", c.Data.Connection)
		}
		gone[c.Data.Connection] = gone[c.Data.Connection] || disconnects(c)
	}
}

// TestNoticesSurviveTheirPod: leaves that were answered, and that the backend has not taken, are told by another pod, with
// their reasons and in order.
func TestNoticesSurviveTheirPod(t *testing.T) {
	t.Parallel()
	server, l := ownRedis(t), newLedger(t)
	a := l.pod(server, "pod-a", nil)
	l.pod(server, "pod-b", nil)
	l.setDown(true)
	topic := newTopic("notice")
	var all []*client
	for range 10 {
		c := dial(t, a, "vsn=2.0.0").named(topic).joined()
		c.leave()
		c.joinedAs("5").send(`["6","6",$T,"phx_join",{}]`)
		c.want(`["6","6",$T,"phx_reply",OK({"got":{}})]`, `["5","5",$T,"phx_close",{}]`)
		all = append(all, c)
	}
	a.kill()
	wantPods(t, server, "pod-b")
	l.setDown(false)
	found := l.wantEnds(30, leaves)
	wantReasons(t, found, map[string]int{"left": 10, "duplicate_join": 10, "pod_lost": 10})
	byConnection := map[string][]call{}
	for _, c := range found {
		byConnection[c.Data.Connection] = append(byConnection[c.Data.Connection], c)
	}
	for connection, leaves := range byConnection {
		if got, want := refs(leaves), []string{`"1"`, `"5"`, `"6"`}; !slices.Equal(got, want) {
			t.Errorf("leaves of %s: got join_refs %v, want %v", connection, got, want)
		}
	}
	wantRest(t, server)
	l.wantEnds(len(all)*3, leaves)
}

// TestNoticesOfAStoppedPod: a pod that stops while the backend is down hands its notices over, with the reason they have.
func TestNoticesOfAStoppedPod(t *testing.T) {
	t.Parallel()
	for _, survivor := range []string{"another pod", "the next pod", "the same pod"} {
		t.Run(survivor, func(t *testing.T) {
			t.Parallel()
			server, l := ownRedis(t), newLedger(t)
			a := l.pod(server, "pod-a", nil)
			if survivor == "another pod" {
				l.pod(server, "pod-b", nil)
			}
			assemble(t, a, newTopic("notice"), 20)
			l.setDown(true)
			if err := a.stop(); err != nil {
				t.Fatal(err)
			}
			l.setDown(false)
			switch survivor {
			case "the next pod":
				l.pod(server, "pod-c", nil)
			case "the same pod":
				l.pod(server, "pod-a", nil)
			}
			wantReasons(t, l.wantEnds(20, leaves), map[string]int{"drained": 20})
			wantRest(t, server)
			l.wantEnds(20, leaves)
		})
	}
}

// TestNoticesOfACleanStop: what the backend takes while the pod stops leaves nothing behind.
func TestNoticesOfACleanStop(t *testing.T) {
	t.Parallel()
	server, l := ownRedis(t), newLedger(t)
	a := l.pod(server, "pod-a", nil)
	assemble(t, a, newTopic("notice"), 50)
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	wantReasons(t, l.wantEnds(50, leaves), map[string]int{"drained": 50})
	wantKeys(t, server, "roost:*", "roost:secret")
}

// TestNoticesOfAFormerLife: a pod that crashed and comes back under its name tells what it left.
func TestNoticesOfAFormerLife(t *testing.T) {
	t.Parallel()
	server, l := ownRedis(t), newLedger(t)
	a := l.pod(server, "pod-a", nil)
	topic := newTopic("notice")
	clients := assemble(t, a, topic, 20)
	l.setDown(true)
	for _, c := range clients[:5] {
		c.leave()
	}
	a.kill()
	l.setDown(false)
	again := l.pod(server, "pod-a", nil)
	wantReasons(t, l.wantEnds(20, leaves), map[string]int{"left": 5, "pod_lost": 15})
	assemble(t, again, topic, 3)
	wantRest(t, server)
	l.wantEnds(20, leaves)
}

// TestNoticesOfAFrozenPod: a pod that was taken for dead and wakes up starts over with what the backend believes to be gone.
func TestNoticesOfAFrozenPod(t *testing.T) {
	t.Parallel()
	server, l := ownRedis(t), newLedger(t)
	a, b := l.pod(server, "pod-a", nil), l.pod(server, "pod-b", nil)
	topic := newTopic("notice")
	frozen := assemble(t, a, topic, 10)
	assemble(t, b, topic, 3)
	a.signal(t, syscall.SIGSTOP)
	wantPods(t, server, "pod-b")
	wantReasons(t, l.wantEnds(10, leaves), map[string]int{"pod_lost": 10})
	a.signal(t, syscall.SIGCONT)
	for _, c := range frozen {
		c.want(`["1","1",$T,"phx_error",{"reason":"channel_crash"}]`)
		c.joinedAs("2")
	}
	wantRest(t, server)
	l.wantEnds(10, leaves) // copies of what was told have the same ids
	if n := len(server.members(t, topic)); n != 13 {
		t.Errorf("got %d members, want 13", n)
	}
	for _, c := range frozen {
		c.CloseWith(1000)
	}
	l.wantEnds(20, leaves)
	wantRest(t, server)
	wantReasons(t, l.wantEnds(20, leaves), map[string]int{"pod_lost": 10, "closed": 10})
}

// TestDisconnectsOfAFrozenPod: where the backend was told that connections are gone, too, they are closed, and clients connect
// again.
func TestDisconnectsOfAFrozenPod(t *testing.T) {
	t.Parallel()
	server, l := ownRedis(t), newLedger(t)
	more := settings{"ROOST_WEBHOOK_EVENTS": "connect,join,push,leave,disconnect"}
	a := l.pod(server, "pod-a", more)
	l.pod(server, "pod-b", more)
	frozen := assemble(t, a, newTopic("notice"), 5)
	idle := dial(t, a, "vsn=2.0.0") // in no topic
	eventually(t, func() error {    // a connection is entered right behind its handshake
		if n := server.client.HLen(context.Background(), "roost:pod:pod-a:members").Val(); n != 11 {
			return fmt.Errorf("got %d entries, want 5 members and 6 connections", n)
		}
		return nil
	})
	a.signal(t, syscall.SIGSTOP)
	wantPods(t, server, "pod-b")
	wantReasons(t, l.wantEnds(5, leaves), map[string]int{"pod_lost": 5})
	l.wantEnds(6, disconnects)
	a.signal(t, syscall.SIGCONT)
	for _, c := range append(frozen, idle) {
		c.WantClose(1001)
	}
	wantKeys(t, server, "roost:pod:pod-a:members")
	wantRest(t, server)
	l.wantEnds(5, leaves)
	l.wantEnds(6, disconnects)
}

// TestNoticesThatNobodyWants cost nothing in Redis.
func TestNoticesThatNobodyWants(t *testing.T) {
	t.Parallel()
	server, l := ownRedis(t), newLedger(t)
	a, b := l.pod(server, "pod-a", settings{"ROOST_WEBHOOK_EVENTS": "join,push"}), l.pod(server, "pod-b", settings{"ROOST_WEBHOOK_EVENTS": "join,push"})
	topic := newTopic("notice")
	clients := assemble(t, a, topic, 3)
	assemble(t, b, topic, 1)
	for field, value := range server.client.HGetAll(context.Background(), "roost:pod:pod-a:members").Val() {
		if !containsAll(field, " "+topic) || value != `"1"` {
			t.Errorf("got %q: %q in the index, want the topic and the join_ref", field, value)
		}
	}
	clients[0].leave()
	a.kill()
	wantMembers(t, server, topic, connectionsOf(l, make([]*client, 1))...)
	wantPods(t, server, "pod-b")
	wantKeys(t, server, "roost:pod:*", "roost:pod:pod-b:members", "roost:pod:pod-b:report", "roost:pod:pod-b:url")
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	if got := l.notices(func(call) bool { return true }); len(got) > 0 {
		t.Errorf("got notices %+v, want none", got)
	}
}

// TestNoticesWhenASweeperDies: of what it began nothing is lost and nothing is told as another.
func TestNoticesWhenASweeperDies(t *testing.T) {
	t.Parallel()
	server, l := ownRedis(t), newLedger(t)
	ctx := context.Background()
	survivors := map[string]*pod{}
	for _, id := range []string{"pod-a", "pod-b", "pod-c"} {
		survivors[id] = l.pod(server, id, settings{"ROOST_WEBHOOK_NOTICE_RATE": "100000"})
	}
	const many, index = 20_000, "roost:pod:pod-x:members"
	pipe := server.client.Pipeline()
	for i := range many {
		connection, topic := fmt.Sprint("pod-x.", i), fmt.Sprint("room:dead-", i)
		data, _ := json.Marshal(map[string]any{
			"connection": connection, "id": nil, "transport": "websocket", "vsn": "2.0.0", "remote_ip": "192.0.2.7", "params": map[string]any{},
			"headers": map[string]any{}, "auth_token": nil, "assigns": map[string]any{}, "topic": topic, "join_ref": "1",
		})
		record := fmt.Sprintf("notice msg_%d channel.leave %s %s", i, connection, data[:len(data)-1])
		pipe.HSet(ctx, index, connection+" "+topic, record)
		pipe.SAdd(ctx, "roost:{"+topic+"}:members", connection)
	}
	pipe.Do(ctx, "ZADD", "roost:pods", 1, "pod-x")
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	sweeper := awaitSweeper(t, server, index, many)
	survivors[sweeper].kill()
	if n := server.client.HLen(ctx, index).Val(); n == 0 {
		t.Fatal("the sweep was over before its sweeper was killed")
	}
	delete(survivors, sweeper)
	var want []string
	for id := range survivors {
		want = append(want, id)
	}
	slices.Sort(want)
	wantPods(t, server, want...)
	wantKeys(t, server, "roost:{room:dead-*")
	wantReasons(t, l.wantEnds(many, leaves), map[string]int{"pod_lost": many})
	wantRest(t, server)
	l.wantEnds(many, leaves)
}
