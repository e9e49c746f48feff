package gateway

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the gateway's; their help texts describe them.
type metrics struct {
	connections   *prometheus.GaugeVec
	accepted      *prometheus.CounterVec
	rejected      *prometheus.CounterVec
	closed        *prometheus.CounterVec
	joins         *prometheus.CounterVec
	joinSeconds   prometheus.Histogram
	sent          prometheus.Counter
	sentBytes     prometheus.Counter
	messages      prometheus.Counter
	bytes         prometheus.Counter
	stale         prometheus.Counter
	unmatched     prometheus.Counter
	slow          prometheus.Counter
	relayed       prometheus.Counter
	limited       *prometheus.CounterVec
	undeliverable *prometheus.CounterVec
	expiries      *prometheus.CounterVec
	renewals      *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer, g *Gateway) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "roost_connections", Help: "Connections, by transport and major version of the serializer.",
		}, []string{"transport", "vsn"}),
		accepted: vec("roost_connections_accepted_total", "Connections accepted, by transport.", "transport"),
		rejected: vec("roost_connections_rejected_total", "Handshakes refused, by reason.", "reason"),
		closed:   vec("roost_connections_closed_total", "Connections closed, by close code (0: none was sent) and reason.", "code", "reason"),
		joins:    vec("roost_joins_total", "Joins, by result.", "result"),
		joinSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "roost_join_seconds", Help: "Time from the moment a join is worked on until it is answered and its broadcasts are published.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
		sent:          counter("roost_messages_sent_total", "Messages handed to clients' connections."),
		sentBytes:     counter("roost_bytes_sent_total", "Bytes of messages handed to clients' connections, framing included."),
		messages:      counter("roost_messages_received_total", "Messages from clients."),
		bytes:         counter("roost_bytes_received_total", "Bytes of messages from clients."),
		stale:         counter("roost_messages_stale_total", "Messages dropped because their join_ref is not the channel's."),
		unmatched:     counter("roost_messages_unmatched_total", "Messages answered with unmatched topic."),
		slow:          counter("roost_slow_clients_total", "Connections closed with 1013 because the client did not read."),
		relayed:       counter("roost_longpoll_relayed_total", "Long-poll requests passed on to the pod that has the session."),
		limited:       vec("roost_limited_total", "What limits refused, by kind.", "kind"),
		undeliverable: vec("roost_undeliverable_total", "Messages that could not be sent, by reason.", "reason"),
		expiries:      vec("roost_expiries_total", "Connections and channels whose authorisation ran out, by what became of them.", "of", "result"),
		renewals:      vec("roost_token_renewals_total", "Tokens that clients sent over a connection, by result.", "result"),
	}
	draining := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "roost_draining", Help: "Whether the pod refuses new connections and closes the others, 0 or 1.",
	}, func() float64 {
		if g.isDraining() {
			return 1
		}
		return 0
	})
	remaining := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "roost_drain_remaining", Help: "Connections that a drain has yet to close; 0 while there is none.",
	}, func() float64 { return float64(g.remaining()) })
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "roost_outbox_bytes", Help: "Bytes that wait for clients who are behind with reading, or for their next poll.",
	}, func() float64 { return float64(g.waiting()) })
	if r != nil {
		r.MustRegister(draining, remaining, waiting)
		r.MustRegister(m.connections, m.accepted, m.rejected, m.closed, m.joins, m.messages, m.bytes, m.joinSeconds, m.sent, m.sentBytes, m.stale, m.unmatched, m.slow, m.relayed, m.limited, m.undeliverable, m.expiries, m.renewals)
	}
	return m
}

// closeLabel names a close code. Clients choose theirs, so only the usual ones have a label of their own.
func closeLabel(code uint16) string {
	if code > closeTryLater {
		return "other"
	}
	return strconv.Itoa(int(code))
}

// putOut counts messages on their way out.
func (m *metrics) putOut(messages, bytes int) {
	m.sent.Add(float64(messages))
	m.sentBytes.Add(float64(bytes))
}

// received counts one message.
func (m *metrics) received(bytes int) {
	m.messages.Inc()
	m.bytes.Add(float64(bytes))
}
