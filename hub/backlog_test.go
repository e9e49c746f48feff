package hub_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"roost/hub"
)

// numbered is a broadcast whose log line is "t <n> {…}", of about 100 bytes.
func numbered(n int) string {
	return fmt.Sprintf(`{"event":"%d","payload":{"x":"%s"}}`, n, strings.Repeat("x", 70))
}

// checkNoSilence fails if a number after first is missing in the log of m without a phx_error before the next line.
func checkNoSilence(t *testing.T, m *member, log []string, first, last int) {
	t.Helper()
	next, told := first, false
	for _, l := range log {
		if l == crashed {
			told = true
			continue
		}
		var topic string
		var n int
		if _, err := fmt.Sscanf(l, "%s %d", &topic, &n); err != nil {
			t.Fatalf("%s got %q", m.Connection(), l)
		}
		if n < next || n > next && !told {
			t.Fatalf("%s got %d, want %d: %.1000q", m.Connection(), n, next, log)
		}
		next, told = n+1, false
	}
	if next <= last && !told {
		t.Errorf("%s got nothing after %d, want more or phx_error: %.1000q", m.Connection(), next-1, log)
	}
}

// TestBacklogIsAGapNotSilence: what a worker cannot carry ends the members that miss it with phx_error.
func TestBacklogIsAGapNotSilence(t *testing.T) {
	const messages = 100
	p := startByHand(t, "a", hub.Config{Workers: 1, BacklogLimit: 1000})
	blocked, other := newMember("t", "a.1"), p.join(t, "t", "a.2")
	entered, release := blocked.block(t)
	p.enter(t, blocked)
	elsewhere := p.join(t, "quiet", "a.3") // carried by the same worker, but nothing of it is lost
	for n := range messages {
		p.receive("t", numbered(n))
		if n == 0 {
			<-entered
		}
	}
	release()
	for _, m := range []*member{blocked, other} {
		log, ok := m.awaitFor(func(log []string) bool { return len(log) > 1 && log[len(log)-1] == crashed })
		if !ok {
			t.Fatalf("%s got %.1000q, want phx_error at the end", m.Connection(), log)
		}
		checkNoSilence(t, m, log, 0, messages-1)
		if len(log) < 8 || len(log) > 12 {
			t.Errorf("%s got %d lines, want about as many as fit into the backlog: %.1000q", m.Connection(), len(log), log)
		}
	}
	// The hub goes on as before.
	p.receive("t", numbered(messages))
	p.receive("quiet", `{"event":"0"}`)
	blocked.awaitLine(t, "t 100 "+strings.TrimSuffix(strings.TrimPrefix(numbered(0), `{"event":"0","payload":`), "}"))
	elsewhere.expect(t, "quiet 0 ")
	// The phx_error stands for the first that was dropped.
	checkCounter(t, p.pod, "roost_backlog_dropped_total", messages+1-(len(other.await(t, 1))-1))
}

// A member that joins while the backlog is full misses what is dropped after its join, and is told as well.
func TestBacklogTellsLateMembers(t *testing.T) {
	p := startByHand(t, "a", hub.Config{Workers: 1, BacklogLimit: 1000})
	blocked := newMember("t", "a.1")
	entered, release := blocked.block(t)
	p.enter(t, blocked)
	n := 0
	fill := func(count int) {
		for range count {
			p.receive("t", numbered(n))
			n++
		}
	}
	fill(1)
	<-entered
	fill(30) // over the limit: a phx_error waits for the member that is there
	late := p.join(t, "t", "a.2")
	first := n
	fill(5) // dropped, too
	release()
	blocked.awaitFor(func(log []string) bool { return len(log) > 0 && log[len(log)-1] == crashed })
	fill(1)
	last := n - 1
	log, ok := late.awaitFor(func(log []string) bool {
		return len(log) > 0 && strings.HasPrefix(log[len(log)-1], fmt.Sprint("t ", last, " "))
	})
	if !ok {
		t.Fatalf("the late member got %.500q, want it to end with %d", log, last)
	}
	checkNoSilence(t, late, log, first, last)
}

// One broadcast larger than the limit still passes, if nothing else waits.
func TestBacklogLargerThanLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startPod(t, hub.NewMemory(), "a", hub.Config{Workers: 1, BacklogLimit: 10})
		m := p.join(t, "t", "a.1")
		for n := range 5 {
			p.send("t", fmt.Sprintf(`{"event":"larger than the limit %d"}`, n))
			m.awaitLine(t, fmt.Sprintf("t larger than the limit %d ", n))
			synctest.Wait() // until the worker, too, is done with it
		}
		checkCounter(t, p, "roost_backlog_dropped_total", 0)
	})
}
