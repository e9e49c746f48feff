package token

import "github.com/prometheus/client_golang/prometheus"

const (
	resultOK    = "ok"
	resultError = "error"
)

type metrics struct {
	refused *prometheus.CounterVec
	fetches *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_tokens_refused_total", Help: "Tokens that were not accepted, by reason.",
		}, []string{"reason"}),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roost_jwks_fetches_total", Help: "Times that the JWK Set was fetched, by result.",
		}, []string{"result"}),
	}
	if r != nil {
		r.MustRegister(m.refused, m.fetches)
	}
	return m
}

func (m *metrics) fetched(result string) { m.fetches.WithLabelValues(result).Inc() }
