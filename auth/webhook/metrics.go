package webhook

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts calls and notices. Nil is valid and counts nothing.
type metrics struct {
	calls    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
	queued   prometheus.Gauge
	pending  prometheus.Gauge
	dropped  *prometheus.CounterVec
}

// newMetrics registers the metrics with r, and returns nil if r is nil.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	if r == nil {
		return nil, nil
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	m := &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_webhook_calls_total", Help: "Calls to the backend, by what became of them.",
		}, []string{"type", "result"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "roost_webhook_seconds", Help: "Time until a call was answered or failed, the wait in line included.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"type"}),
		inFlight: gauge("roost_webhook_in_flight", "Calls that the backend is working on."),
		queued:   gauge("roost_webhook_queued", "Calls that wait in line."),
		pending:  gauge("roost_webhook_notices_pending", "Notices of leaves and disconnects that the backend has not taken yet."),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_webhook_notices_dropped_total", Help: "Notices that the backend will never get, by why.",
		}, []string{"reason"}),
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.calls, m.seconds, m.inFlight, m.queued, m.pending, m.dropped} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) called(e event, r result, took time.Duration) {
	if m != nil {
		m.calls.WithLabelValues(types[e], string(r)).Inc()
		m.seconds.WithLabelValues(types[e]).Observe(took.Seconds())
	}
}

func (m *metrics) addInFlight(n float64) {
	if m != nil {
		m.inFlight.Add(n)
	}
}

func (m *metrics) addQueued(n float64) {
	if m != nil {
		m.queued.Add(n)
	}
}

func (m *metrics) addPending(n float64) {
	if m != nil {
		m.pending.Add(n)
	}
}

func (m *metrics) addDropped(reason string, n float64) {
	if m != nil {
		m.dropped.WithLabelValues(reason).Add(n)
	}
}
