package redisbroker_test

import (
	"context"
	"testing"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

// TestReport: what a pod says of itself is known at once when it has something to say, and gone when it has ended.
func TestReport(t *testing.T) {
	s := redistest.Start(t)
	p := start(t, redisbroker.Config{URL: s.URL})
	said := func() hub.PodReport {
		pods, err := p.ListPods(t.Context())
		if err != nil || len(pods) != 1 {
			t.Fatalf("got %+v, error %v, want one pod", pods, err)
		}
		return pods[0].Reports
	}
	ctx, stop := context.WithCancel(t.Context())
	early, ended := make(chan struct{}), make(chan struct{})
	asked := 0
	go func() {
		defer close(ended)
		p.Report(ctx, func() hub.PodReport { asked++; return hub.PodReport{Connections: asked, Shedding: true} }, early)
	}()
	const times = 50 // by itself that would take minutes
	for range times {
		early <- struct{}{}
	}
	redistest.Eventually(t, "report", func() bool { return said().Connections > times && said().Shedding })
	stop()
	await(t, ended)
	if got := said(); got.Connections != 0 {
		t.Errorf("got %+v of a pod that has ended, want nothing", got)
	}
}
