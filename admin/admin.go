package admin

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Config says what there is to look at.
type Config struct {
	Metrics prometheus.Gatherer // shown at /metrics. Default: nothing
	Ready   []Check             // what must hold before /readyz says so. Default: nothing
	API     *APIConfig          // serves /api/v1. Default: it is not there
}

// Handler serves /livez, /healthz, /readyz and /metrics, and the API.
func Handler(cfg Config) http.Handler {
	if cfg.Metrics == nil {
		cfg.Metrics = prometheus.NewRegistry()
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", live)
	mux.HandleFunc("GET /healthz", live)
	mux.HandleFunc("GET /readyz", ready(cfg.Ready))
	// A collector that fails should not hide what the others know.
	mux.Handle("GET /metrics", promhttp.HandlerFor(cfg.Metrics, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError,
	}))
	if cfg.API != nil {
		newAPI(mux, *cfg.API)
	}
	return mux
}
