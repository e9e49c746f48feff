package hub

import "github.com/prometheus/client_golang/prometheus"

// metrics are the hub's; their help texts describe them.
type metrics struct {
	received   prometheus.Counter
	malformed  *prometheus.CounterVec
	deliveries prometheus.Counter
	overflow   prometheus.Counter
	resyncs    prometheus.Counter
	members    prometheus.Gauge

	presenceDiffs   prometheus.Counter
	presenceReads   prometheus.Counter
	presenceCounted prometheus.Gauge

	lag prometheus.Histogram
}

func newMetrics(r prometheus.Registerer, h *Hub) *metrics {
	m := &metrics{
		received: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "roost_publishes_received_total", Help: "Messages that came from the broker.",
		}),
		malformed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_publishes_malformed_total", Help: "Messages from the broker that were dropped, by reason.",
		}, []string{"reason"}),
		deliveries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "roost_deliveries_total", Help: "Broadcasts handed to members.",
		}),
		overflow: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "roost_backlog_dropped_total", Help: "Broadcasts a fan-out worker had no room for; the members were sent phx_error.",
		}),
		resyncs: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "roost_resyncs_total", Help: "Times that all channels were told to join again, because messages may have been missed.",
		}),
		presenceDiffs: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "roost_presence_diffs_total", Help: "Changes of presence that members were told, each of one topic.",
		}),
		presenceReads: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "roost_presence_reads_total", Help: "Times that the presence of a topic was read as a whole.",
		}),
		presenceCounted: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "roost_presence_counted_topics", Help: "Topics with members here in which too many are present to be listed.",
		}),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "roost_broadcast_seconds", Help: "Time from the moment a broadcast came from the broker until it was written to, or queued for, the last member here.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}),
		members: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "roost_channels", Help: "Members: channels that are joined on this pod.",
		}),
	}
	topics := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "roost_topics", Help: "Topics this pod listens to.",
	}, func() float64 {
		h.mu.RLock()
		defer h.mu.RUnlock()
		return float64(len(h.topics))
	})
	if r != nil {
		r.MustRegister(m.received, m.malformed, m.deliveries, m.overflow, m.resyncs, m.members, m.lag, m.presenceDiffs, m.presenceReads, m.presenceCounted, topics)
	}
	return m
}
