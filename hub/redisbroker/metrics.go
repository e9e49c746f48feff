package redisbroker

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts. Nil is valid and counts nothing.
type metrics struct {
	reconnects    prometheus.Counter
	up            prometheus.Gauge
	shardsUp      prometheus.Gauge
	publishes     *prometheus.CounterVec
	received      prometheus.Counter
	oversize      prometheus.Counter
	probes        prometheus.Histogram
	subscriptions prometheus.Gauge
	rosterWrites  *prometheus.CounterVec
	renewals      *prometheus.CounterVec
	sweeps        *prometheus.CounterVec
	sweptMembers  prometheus.Counter
	notices       prometheus.Gauge
	noticesTaken  prometheus.Counter
	noticesLost   *prometheus.CounterVec
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
func newMetrics(reg prometheus.Registerer, age func() float64) (*metrics, error) {
	if reg == nil {
		return nil, nil
	}
	m := &metrics{
		reconnects: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "roost_redis_reconnects_total", Help: "How often the subscription link was restored."}),
		up: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "roost_redis_link_up", Help: "Whether the subscription link stands, 0 or 1."}),
		shardsUp: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "roost_redis_shard_links_up", Help: "How many links to masters of a cluster stand, with sharded pub/sub."}),
		publishes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_redis_publishes_total", Help: "Messages this pod published, by result."}, []string{"result"}),
		received: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "roost_redis_received_total", Help: "Messages that came over the subscription link."}),
		oversize: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "roost_redis_oversize_total", Help: "Messages that came and were thrown away because of their size."}),
		probes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "roost_redis_probe_seconds", Help: "How long a message of this pod to itself took through Redis; one a second and link.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}}),
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
		notices: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "roost_notices_kept", Help: "Notices in Redis that this pod is to send; as of a minute ago, at most."}),
		noticesTaken: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "roost_notices_taken_over_total", Help: "Notices that this pod took over from dead pods, or made of what they left."}),
		noticesLost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_notices_lost_total", Help: "Notices that were given up, by why."}, []string{"reason"}),
	}
	oldest := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "roost_redis_last_message_age_seconds",
		Help: "Seconds since the last message, probes included, came over the link that has been without one for longest."}, age)
	errs := []error{reg.Register(oldest)}
	for _, c := range []prometheus.Collector{m.reconnects, m.up, m.shardsUp, m.publishes, m.received, m.oversize, m.probes, m.subscriptions, m.rosterWrites,
		m.renewals, m.sweeps, m.sweptMembers, m.notices, m.noticesTaken, m.noticesLost} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

// linkUp counts a link that stands, maybe again, of one shard or of all.
func (m *metrics) linkUp(shard, again bool) {
	if m == nil {
		return
	}
	m.gauge(shard).Inc()
	if again {
		m.reconnects.Inc()
	}
}

func (m *metrics) linkDown(shard bool) {
	if m != nil {
		m.gauge(shard).Dec()
	}
}

func (m *metrics) gauge(shard bool) prometheus.Gauge {
	if shard {
		return m.shardsUp
	}
	return m.up
}

func (m *metrics) probed(took time.Duration) {
	if m != nil {
		m.probes.Observe(took.Seconds())
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

// kept tells how many notices are in the stream.
func (m *metrics) kept(n int64) {
	if m != nil {
		m.notices.Set(float64(n))
	}
}

// adopted counts notices that were another pod's.
func (m *metrics) adopted(n int) {
	if m != nil {
		m.noticesTaken.Add(float64(n))
	}
}

// lost counts notices that were given up.
func (m *metrics) lost(reason string, n int) {
	if m != nil {
		m.noticesLost.WithLabelValues(reason).Add(float64(n))
	}
}

// result is the label value of how a command ended.
func result(err error) string {
	if err != nil {
		return resultError
	}
	return resultOK
}
