package hub_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"roost/hub"
)

// checkCounter compares a metric without labels.
func checkCounter(t testing.TB, p *pod, name string, want int) {
	t.Helper()
	if got := p.metric(t, name); got != float64(want) {
		t.Errorf("%s = %v, want %d", name, got, want)
	}
}

// metric returns the sum of all series called name.
func (p *pod) metric(t testing.TB, name string) float64 {
	t.Helper()
	families, err := p.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// checkMalformed compares the counts by reason.
func checkMalformed(t testing.TB, p *pod, want map[string]int) {
	t.Helper()
	const name = "roost_publishes_malformed_total"
	var text strings.Builder
	fmt.Fprintf(&text, "# HELP %s Messages from the broker that were dropped, by reason.\n# TYPE %s counter\n", name, name)
	for reason, n := range want {
		fmt.Fprintf(&text, "%s{reason=%q} %d\n", name, reason, n)
	}
	if len(want) == 0 {
		text.Reset()
	}
	if err := testutil.GatherAndCompare(p.metrics, strings.NewReader(text.String()), name); err != nil {
		t.Error(err)
	}
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startPod(t, hub.NewMemory(), "a", hub.Config{Linger: time.Second})
		one, two := p.join(t, "x", "a.1"), p.join(t, "x", "a.2")
		three := p.join(t, "y", "a.1")
		p.send("x", `{"event":"e"}`)
		p.send("y", `{"event":"e"}`)
		p.send("y", `{"event":""}`)
		synctest.Wait()
		checkCounter(t, p, "roost_publishes_received_total", 3)
		checkCounter(t, p, "roost_deliveries_total", 3)
		checkCounter(t, p, "roost_channels", 3)
		checkCounter(t, p, "roost_topics", 2)
		checkMalformed(t, p, map[string]int{"no_event": 1})
		p.leave(one)
		p.leave(two)
		p.leave(three)
		checkCounter(t, p, "roost_channels", 0)
		time.Sleep(2 * time.Second)
		checkCounter(t, p, "roost_topics", 0)
	})
}

// Deliveries are those that were handed over: not to whom except leaves out.
func TestDeliveriesWithoutExcept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startPod(t, hub.NewMemory(), "a", hub.Config{})
		p.join(t, "x", "a.1")
		p.join(t, "x", "a.2")
		p.send("x", `{"event":"e","except":"a.1"}`)
		synctest.Wait()
		checkCounter(t, p, "roost_deliveries_total", 1)
	})
}

// A hub without a Registerer works.
func TestNoRegisterer(t *testing.T) {
	memory := hub.NewMemory()
	seams := memory.Pod("a")
	h := hub.New(hub.Config{PodID: "a", Broker: seams, Roster: seams, Logger: slog.New(slog.DiscardHandler)})
	p := &pod{Hub: h, memory: memory}
	p.startFor(t)
	m := p.join(t, "t", "a.1")
	p.send("t", `{"event":"x"}`)
	m.expect(t, "t x ")
	p.send("t", `{`)
}
