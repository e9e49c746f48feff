package redisbroker

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts. Nil is valid and counts nothing.
type metrics struct {
	reconnects    prometheus.Counter
	up            prometheus.Gauge
	publishes     *prometheus.CounterVec
	received      prometheus.Counter
	oversize      prometheus.Counter
	subscriptions prometheus.Gauge
	rosterWrites  *prometheus.CounterVec
	renewals      *prometheus.CounterVec
	sweeps        *prometheus.CounterVec
	sweptMembers  prometheus.Counter
}

// Values of the label "result".
const (
	resultOK       = "ok"
	resultError    = "error"
	resultRejected = "rejected" // never sent: the queue was full, or the broker closed
	resultLapsed   = "lapsed"   // the lease had run out or was gone
	resultStopped  = "stopped"  // before the end: the pod came back, or this one stops
)

// newMetrics registers with reg, or returns nil without one.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	if reg == nil {
		return nil, nil
	}
	m := &metrics{
		reconnects: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "roost_redis_reconnects_total", Help: "How often the subscription link was restored."}),
		up: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "roost_redis_link_up", Help: "Whether the subscription link stands, 0 or 1."}),
		publishes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_redis_publishes_total", Help: "Messages this pod published, by result."}, []string{"result"}),
		received: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "roost_redis_received_total", Help: "Messages that came over the subscription link."}),
		oversize: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "roost_redis_oversize_total", Help: "Messages that came and were thrown away because of their size."}),
		subscriptions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "roost_redis_subscriptions", Help: "Channels this pod is, or wants to be, subscribed to."}),
		rosterWrites: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_redis_roster_writes_total", Help: "Entries of membership sets written or removed, by result."}, []string{"result"}),
		renewals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_lease_renewals_total", Help: "Renewals of this pod's lease, by result."}, []string{"result"}),
		sweeps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_sweeps_total", Help: "Sweeps of dead pods by this pod, by result."}, []string{"result"}),
		sweptMembers: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "roost_swept_members_total", Help: "Members of dead pods that this pod took back."}),
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.reconnects, m.up, m.publishes, m.received, m.oversize, m.subscriptions, m.rosterWrites,
		m.renewals, m.sweeps, m.sweptMembers} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) linkUp(again bool) {
	if m == nil {
		return
	}
	m.up.Set(1)
	if again {
		m.reconnects.Inc()
	}
}

func (m *metrics) linkDown() {
	if m != nil {
		m.up.Set(0)
	}
}

func (m *metrics) receivedOne() {
	if m != nil {
		m.received.Inc()
	}
}

func (m *metrics) oversized() {
	if m != nil {
		m.oversize.Inc()
	}
}

func (m *metrics) subscribed(n float64) {
	if m != nil {
		m.subscriptions.Add(n)
	}
}

func (m *metrics) published(result string) {
	if m != nil {
		m.publishes.WithLabelValues(result).Inc()
	}
}

func (m *metrics) wrote(result string, n int) {
	if m != nil && n > 0 {
		m.rosterWrites.WithLabelValues(result).Add(float64(n))
	}
}

func (m *metrics) renewed(result string) {
	if m != nil {
		m.renewals.WithLabelValues(result).Inc()
	}
}

// swept counts a sweep that took back so many members.
func (m *metrics) swept(result string, members int) {
	if m != nil {
		m.sweeps.WithLabelValues(result).Inc()
		m.sweptMembers.Add(float64(members))
	}
}

// result is the label value of how a command ended.
func result(err error) string {
	if err != nil {
		return resultError
	}
	return resultOK
}
