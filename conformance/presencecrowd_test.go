package conformance_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestPresenceOfTenThousand: a topic in which a pod that dies has entered 10,000. Joining it costs what its state costs, and when the pod is
// swept a member of another pod is told of all that have gone, in few messages. It logs the figures of docs/performance.md.
func TestPresenceOfTenThousand(t *testing.T) {
	t.Parallel()
	const many = 10_000
	server := ownRedis(t)
	p := ownPod(t, server.url(), settings{"ROOST_PRESENCE_LIMIT": "20000", "ROOST_WEBHOOK_EVENTS": "join,push", "ROOST_POD_LEASE": "3s"})
	topic := newTopic("pres")
	pipe := server.client.Pipeline()
	for i := range many {
		connection := fmt.Sprint("pod-x.", i)
		pipe.HSet(t.Context(), "roost:pod:pod-x:members", connection+" "+topic, `"1"`)
		pipe.SAdd(t.Context(), "roost:{"+topic+"}:members", connection)
		pipe.HSet(t.Context(), "roost:{"+topic+"}:presence", connection, fmt.Sprintf(`{"order":%d,"phx_ref":"ref%013d","key":"user%d","meta":{"d":"d"}}`, i+1, i, i))
	}
	pipe.Set(t.Context(), "roost:{"+topic+"}:presence_version", many, 0)
	now, err := server.client.Time(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	const rest = 30 * time.Second // of the lease
	ends := now.Add(rest)
	pipe.Do(t.Context(), "ZADD", "roost:pods", ends.UnixMilli(), "pod-x")
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	o := present(t, p, topic, "me", "d")
	if len(o.list) != many+1 {
		t.Fatalf("got a state of %d, want %d", len(o.list), many+1)
	}
	var used time.Duration
	bytes := 0
	const joins = 20
	for i := range joins {
		before := p.cpu(t)
		c := dial(t, p, "vsn=2.0.0").named(topic)
		c.send(fmt.Sprintf(`["1","1",$T,"phx_join",{"key":"late%d","meta":{"d":"d"}}]`, i))
		for bytes = 0; bytes == 0; {
			if m := c.Next(); strings.Contains(string(m.Data), `"presence_state"`) {
				bytes = len(m.Data)
			}
		}
		used += p.cpu(t) - before
	}
	t.Logf("a join in a topic of 10,000: %v of CPU, a state of %d bytes", used/joins, bytes)
	diffs := len(o.diffs)
	for end := ends.Add(patience); len(o.list) > joins+1; {
		if time.Now().After(end) {
			t.Fatalf("%d are shown still", len(o.list))
		}
		if m, err := o.Receive(time.Second); err == nil {
			o.take(m)
		}
	}
	t.Logf("the last leave was told %v after the end of the lease, all in %d diffs", time.Since(ends).Round(10*time.Millisecond), len(o.diffs)-diffs)
	if n := len(o.diffs) - diffs; n > many/50 {
		t.Errorf("%d leaves were told in %d diffs, want them gathered", many, n)
	}
}
