package conformance_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"syscall"
	"testing"
	"time"
)

func TestPresence(t *testing.T) {
	t.Parallel()
	p, second := sharedPod(t, "socket"), sharedPod(t, "second")
	t.Run("R1 to R9", func(t *testing.T) {
		topic := newTopic("pres")
		a := present(t, p, topic, "u1", "a")
		first := a.list["u1"]
		if len(first) != 1 || first[0].D != "a" || first[0].Prev != "" || len(first[0].Ref) != 16 {
			t.Fatalf("R1: got state %v, want one meta", a.list)
		}
		if d := a.await(1); d.Joins["u1"].Metas[0] != first[0] || len(d.Leaves) != 0 {
			t.Fatalf("R1: got diff %v, want the join of %v", d, first)
		}
		b := present(t, second, topic, "u1", "b")
		if got := b.list["u1"]; len(got) != 2 || got[0] != first[0] {
			t.Errorf("R2: got state %v, want the oldest first", b.list)
		}
		if d := a.next(); len(d.Joins["u1"].Metas) != 1 || d.Joins["u1"].Metas[0].D != "b" || len(d.Leaves) != 0 {
			t.Errorf("R2: got %v, want the join of b only", d)
		}
		a.does("3", "pres_update", `{"key":"u1","meta":{"d":"a2"}}`)
		d := b.await(len(b.diffs) + 1)
		third := d.Joins["u1"].Metas[0]
		if third.D != "a2" || third.Prev != first[0].Ref || d.Leaves["u1"].Metas[0] != first[0] {
			t.Errorf("R3: got %v, want one diff with both halves", d)
		}
		a.await(3)
		if early := slices.Concat(a.early, b.early); len(early) > 0 {
			t.Errorf("got diffs before the state, which phoenix.js would keep for its next connection's, too: %s", early)
		}
		c := present(t, p, topic, "", "")
		if got := c.list["u1"]; len(got) != 2 || got[0] != third || got[1].D != "b" {
			t.Errorf("R4: got %v, want %v in its place, and b", c.list, third)
		}
		a.does("4", "pres_update", `{"key":"u1","meta":{"d":"a3"}}`)
		d = b.await(len(b.diffs) + 1)
		if got := d.Leaves["u1"].Metas[0]; got != third || d.Joins["u1"].Metas[0].Prev != third.Ref {
			t.Errorf("R5: got %v, want %v to leave with its phx_ref_prev", d, third)
		}
		a.await(4)
		a.does("5", "pres_track", `{"key":"u2","meta":{}}`) // one key per member: it replaces the first
		d = b.await(len(b.diffs) + 1)
		if got := d.Joins["u2"].Metas; len(got) != 1 || got[0].Prev != "" || len(d.Leaves["u1"].Metas) != 1 {
			t.Errorf("R6: got %v, want u2 to join and u1 to leave in one diff", d)
		}
		a.await(5)
		b.send(`["1","9",$T,"phx_leave",{}]`)
		b.want(`["1","9",$T,"phx_reply",ok{}]`, `["1","1",$T,"phx_close",{}]`)
		b.Quiet()
		if d := a.next(); len(d.Leaves["u1"].Metas) != 1 || d.Leaves["u1"].Metas[0].D != "b" || len(d.Joins) != 0 {
			t.Errorf("R7: got %v, want b to leave", d)
		}
		e := present(t, second, topic, "u9", "e")
		a.await(7)
		a.Drop()
		if d := e.next(); !maps.Equal(metasOf(d.Leaves), map[string]int{"u2": 1}) || len(d.Joins) != 0 {
			t.Errorf("R8: got %v, want one diff with all that a showed", d)
		}
		n := len(e.diffs)
		e.does("2", "pres_untrack", `{}`)
		if d := e.await(n + 1); !maps.Equal(metasOf(d.Leaves), map[string]int{"u9": 1}) || len(d.Joins) != 0 {
			t.Errorf("R9: got %v, want u9 to leave", d)
		}
		e.does("3", "pres_untrack", `{}`)
		e.Quiet() // R12
		if keys := lab.redis.client.Keys(context.Background(), "roost:{"+topic+"}:presence*").Val(); len(keys) > 0 {
			t.Errorf("got keys %q where nobody is shown, want none", keys)
		}
	})
	t.Run("R10 R11 any key", func(t *testing.T) {
		topic := newTopic("pres")
		a := present(t, p, topic, "", "")
		for _, key := range []string{`7`, `"__proto__"`, `"constructor"`, `""`, `"a\u0000b\"<&\u2028"`} {
			want := key
			if key == "7" {
				want = `"7"`
			}
			var name string
			if err := json.Unmarshal([]byte(want), &name); err != nil {
				t.Fatal(err)
			}
			n := len(a.diffs)
			a.does("2", "pres_track", `{"key":`+key+`,"meta":{"d":"x","phx_ref":"mine"}}`)
			d := a.await(n + 1)
			if got := d.Joins[name].Metas; len(got) != 1 || got[0].Ref == "mine" || got[0].D != "x" {
				t.Errorf("key %s: got %v, want it as it is", key, d)
			}
		}
	})
	t.Run("R13 where no rule keeps presence", func(t *testing.T) {
		c := v2(t, "socket").joined()
		c.ask(`["1","2",$T,"pres_track",{"key":"u"}]`, `["1","2",$T,"phx_reply",ok{}]`)
		c.Quiet()
		if n := lab.redis.client.Exists(context.Background(), "roost:{"+c.topic+"}:presence").Val(); n != 0 {
			t.Error("got a presence in Redis, want none")
		}
	})
	t.Run("R14 R15 rejoin", func(t *testing.T) {
		topic := newTopic("pres")
		silent, b := present(t, p, topic, "", ""), present(t, second, topic, "ub", "b")
		silent.await(1)
		a := present(t, p, topic, "ua", "a")
		silent.await(2)
		before := silent.list
		a.list, a.diffs = nil, nil
		a.send(`["2","2",$T,"phx_join",{"key":"ua","meta":{"d":"a"}}]`)
		a.want(`["2","2",$T,"phx_reply",OK({"got":{"key":"ua","meta":{"d":"a"}}})]`, `["1","1",$T,"phx_close",{}]`)
		for a.list == nil {
			a.take(a.Next())
		}
		was := before["ua"][0].Ref
		silent.until(map[string]string{"ua": "a", "ub": "b"})
		for metas := silent.list["ua"]; len(metas) == 0 || metas[0].Ref == was; metas = silent.list["ua"] { // the leave may come alone
			silent.take(silent.Next())
		}
		if got := a.list["ub"][0]; got != before["ub"][0] {
			t.Errorf("got %v, want %v as before", got, before["ub"][0])
		}
		_ = b
	})
	t.Run("who is only present is in no membership set", func(t *testing.T) {
		topic := newTopic("only-pres")
		a := present(t, p, topic, "u", "a")
		if got := lab.redis.members(t, topic); len(got) != 0 {
			t.Errorf("got members %q, want none", got)
		}
		if n := lab.redis.client.HLen(context.Background(), "roost:{"+topic+"}:presence").Val(); n != 1 {
			t.Errorf("got %d in the hash, want 1", n)
		}
		a.Drop()
		eventually(t, func() error {
			if n := lab.redis.client.Exists(context.Background(), "roost:{"+topic+"}:presence").Val(); n != 0 {
				return fmt.Errorf("still in the hash")
			}
			return nil
		})
	})
}

// TestPresencePodKilled covers R16.
func TestPresencePodKilled(t *testing.T) {
	t.Parallel()
	server := ownRedis(t)
	a, b := leasedPod(t, server, "pod-a"), leasedPod(t, server, "pod-b")
	topic := newTopic("pres")
	here := present(t, b, topic, "u0", "stays")
	want := map[string]string{"u0": "stays"}
	for i := range 20 {
		present(t, a, topic, fmt.Sprint("u", i%10), "dies")
	}
	for i := range 10 {
		want[fmt.Sprint("u", i)] = "dies dies"
	}
	want["u0"] = "dies dies stays"
	here.until(want)
	before := len(here.diffs)
	a.signal(t, syscall.SIGKILL)
	killed := time.Now()
	here.until(map[string]string{"u0": "stays"})
	if took, most := time.Since(killed), leaseTime+2*time.Second; took > most {
		t.Errorf("took %v, want %v at most", took, most)
	}
	here.Quiet()
	left := 0
	for _, d := range here.diffs[before:] {
		if len(d.Joins) > 0 {
			t.Errorf("got joins %v, want none", d.Joins)
		}
		for _, n := range metasOf(d.Leaves) {
			left += n
		}
	}
	if left != 20 {
		t.Errorf("got %d leaves, want 20", left)
	}
	if n := server.client.HLen(context.Background(), "roost:{"+topic+"}:presence").Val(); n != 1 {
		t.Errorf("got %d in the hash, want 1", n)
	}
}

// TestPresenceFlushed: when Redis loses everything, all is entered again, and no client notices.
func TestPresenceFlushed(t *testing.T) {
	t.Parallel()
	server := ownRedis(t)
	pods := []*pod{leasedPod(t, server, "pod-a"), leasedPod(t, server, "pod-b"), leasedPod(t, server, "pod-c")}
	topic := newTopic("pres")
	var all []*observer
	want := map[string]string{}
	for i := range 9 {
		all = append(all, present(t, pods[i%3], topic, fmt.Sprint("u", i), "d"))
		want[fmt.Sprint("u", i)] = "d"
	}
	for _, o := range all {
		o.until(want)
		o.settle()
	}
	for range 2 {
		if err := server.client.FlushAll(context.Background()).Err(); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			if n := server.client.HLen(context.Background(), "roost:{"+topic+"}:presence").Val(); n != 9 {
				return fmt.Errorf("got %d in the hash, want 9", n)
			}
			return nil
		})
	}
	late := present(t, pods[0], topic, "", "")
	late.until(want)
	last := present(t, pods[1], topic, "last", "d") // comes behind all that was told before
	want["last"] = "d"
	for _, o := range all {
		before := len(o.diffs)
		o.until(want)
		if n := len(o.diffs) - before; n != 1 {
			t.Errorf("got %d diffs, want that of the last join only: %v", n, o.diffs[before:])
		}
	}
	_ = last
}

// TestPresenceGrace: who comes back in time, on whatever pod, is not noticed.
func TestPresenceGrace(t *testing.T) {
	t.Parallel()
	server := ownRedis(t)
	grace := settings{"ROOST_PRESENCE_GRACE": "2s"}
	a, b := ownPod(t, server.url(), grace), ownPod(t, server.url(), grace)
	topic := newTopic("pres")
	o := present(t, a, topic, "", "")
	watching := o.connection("1")
	u := present(t, a, topic, "u", "d")
	o.await(1)
	ref := o.list["u"][0].Ref
	u.Drop()
	wantMembers(t, server, topic, watching)
	back := present(t, b, topic, "", "")
	back.send(`["1","2",$T,"pres_track",{"key":"u","meta":{"d":"d"}}]`)
	back.want(`["1","2",$T,"phx_reply",ok{}]`)
	o.Quiet()
	if got := back.list["u"]; len(got) != 1 || got[0].Ref != ref {
		t.Errorf("got %v, want %s", got, ref)
	}
	back.does("3", "pres_update", `{"key":"u","meta":{"d":"d2"}}`)
	if d := o.next(); d.Joins["u"].Metas[0].Prev != ref || d.Leaves["u"].Metas[0].Ref != ref {
		t.Errorf("got %v, want an update of %s", d, ref)
	}
	back.Drop() // and does not come back
	if d := o.next(); len(d.Leaves["u"].Metas) != 1 || len(d.Joins) != 0 {
		t.Errorf("got %v, want u to leave", d)
	}
}
