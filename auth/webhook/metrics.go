package webhook

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts calls and notices. Nil is valid and counts nothing.
type metrics struct {
	calls      *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
	inFlight   *prometheus.GaugeVec
	queued     *prometheus.GaugeVec
	retries    *prometheus.CounterVec
	opened     *prometheus.CounterVec
	reused     *prometheus.CounterVec
	entries    prometheus.Gauge
	bytes      prometheus.Gauge
	evicts     prometheus.Counter
	pending    prometheus.Gauge
	dropped    *prometheus.CounterVec
	registerer prometheus.Registerer
}

// newMetrics registers the metrics with r, and returns nil if r is nil.
// lag tells the age of the oldest notice, in seconds.
func newMetrics(r prometheus.Registerer, lag func() float64) (*metrics, error) {
	if r == nil {
		return nil, nil
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	byBackend := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"backend"})
	}
	m := &metrics{
		registerer: r,
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_webhook_calls_total", Help: "Calls to the backend, by what became of them.",
		}, []string{"backend", "type", "result"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "roost_webhook_seconds", Help: "Time until a call was answered or failed, the wait in line included.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"backend", "type"}),
		inFlight: byBackend("roost_webhook_in_flight", "Calls that the backend is working on."),
		queued:   byBackend("roost_webhook_queued", "Calls that wait in line."),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_webhook_retries_total", Help: "Connects and joins sent again because their connection failed.",
		}, []string{"backend", "type"}),
		opened: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_webhook_breaker_opened_total", Help: "How often the breaker of a backend opened.",
		}, []string{"backend"}),
		reused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_webhook_joins_unasked_total", Help: "Joins answered without a call of their own, by how.",
		}, []string{"how"}),
		entries: gauge("roost_webhook_remembered", "Answers that are remembered."),
		bytes:   gauge("roost_webhook_remembered_bytes", "Bytes of answers that are remembered."),
		evicts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "roost_webhook_remembered_evicted_total", Help: "Answers that were forgotten early to make room.",
		}),
		pending: gauge("roost_webhook_notices_pending", "Notices of leaves and disconnects in memory that the backend has not taken yet."),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_webhook_notices_dropped_total", Help: "Notices that the backend will never get, by why.",
		}, []string{"reason"}),
	}
	age := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "roost_webhook_notice_lag_seconds", Help: "Age of the oldest notice that the backend has not taken yet.",
	}, lag)
	var errs []error
	for _, c := range []prometheus.Collector{m.calls, m.seconds, m.inFlight, m.queued, m.retries, m.opened, m.reused, m.entries, m.bytes, m.evicts, m.pending, m.dropped, age} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) called(backend string, e event, r result, took time.Duration) {
	if m != nil {
		m.calls.WithLabelValues(backend, types[e], string(r)).Inc()
		m.seconds.WithLabelValues(backend, types[e]).Observe(took.Seconds())
	}
}

func (m *metrics) addInFlight(backend string, n float64) {
	if m != nil {
		m.inFlight.WithLabelValues(backend).Add(n)
	}
}

func (m *metrics) addQueued(backend string, n float64) {
	if m != nil {
		m.queued.WithLabelValues(backend).Add(n)
	}
}

func (m *metrics) unasked(how string) {
	if m != nil {
		m.reused.WithLabelValues(how).Inc()
	}
}

func (m *metrics) remembered(entries, bytes int) {
	if m != nil {
		m.entries.Set(float64(entries))
		m.bytes.Set(float64(bytes))
	}
}

func (m *metrics) evicted() {
	if m != nil {
		m.evicts.Inc()
	}
}

func (m *metrics) retried(backend string, e event) {
	if m != nil {
		m.retries.WithLabelValues(backend, types[e]).Inc()
	}
}

func (m *metrics) breakerTurned(backend string, open bool) {
	if m != nil && open {
		m.opened.WithLabelValues(backend).Inc()
	}
}

// watchBreaker shows the state of a backend's breaker.
func (m *metrics) watchBreaker(backend string, b *breaker) error {
	if m == nil {
		return nil
	}
	m.opened.WithLabelValues(backend)
	return m.registerer.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "roost_webhook_breaker_state", Help: "Of a backend's breaker: 0 closed, 1 probing, 2 open.",
		ConstLabels: prometheus.Labels{"backend": backend},
	}, b.state))
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
