package admin

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"roost/hub"
)

// openAPI describes the API.
//
//go:embed openapi.json
var openAPI []byte

// APIConfig says what the API has to work with. Operator is required.
type APIConfig struct {
	Operator   hub.Operator
	Token      string                // bearer token. Default: none, only this machine is answered
	MaxMessage int                   // bytes of one published body. Default: 1 MiB
	Registerer prometheus.Registerer // Default: nowhere
}

// api is the HTTP API of docs/api.md.
type api struct {
	op         hub.Operator
	token      string
	maxMessage int
	requests   *prometheus.CounterVec
	taps       atomic.Int32
}

// callTimeout bounds how long Redis is asked for one request.
const callTimeout = 5 * time.Second

// handler carries out a request, or says why not. It has written the answer if it returns nil.
type handler func(w http.ResponseWriter, r *http.Request) error

// routes are all there are.
func (a *api) routes() map[string]handler {
	return map[string]handler{
		"POST /api/v1/broadcast":              a.once(a.broadcast),
		"POST /api/v1/push":                   a.once(a.push),
		"POST /api/v1/disconnect":             a.once(a.disconnect),
		"POST /api/v1/kick":                   a.once(a.kick),
		"POST /api/v1/rebalance":              a.once(a.rebalance),
		"GET /api/v1/topics":                  a.topics,
		"GET /api/v1/topics/{topic}":          a.topic,
		"GET /api/v1/topics/{topic}/members":  a.members,
		"GET /api/v1/topics/{topic}/presence": a.presence,
		"GET /api/v1/connections/{id}":        a.connection,
		"GET /api/v1/pods":                    a.pods,
		"GET /api/v1/stats":                   a.stats,
		"GET /api/v1/tap":                     a.tap,
		"GET /api/v1/openapi.json":            describe,
		"GET /api/v1/errors/{code}":           explain,
	}
}

// newAPI mounts the API in mux.
func newAPI(mux *http.ServeMux, cfg APIConfig) {
	a := &api{op: cfg.Operator, token: cfg.Token, maxMessage: cfg.MaxMessage}
	if a.maxMessage == 0 {
		a.maxMessage = 1 << 20
	}
	a.requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "roost_api_requests_total", Help: "Requests of the HTTP API, by route and status.",
	}, []string{"route", "status"})
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(a.requests)
	}
	allowed := map[string][]string{}
	for route, h := range a.routes() {
		method, path, _ := strings.Cut(route, " ")
		allowed[path] = append(allowed[path], method)
		mux.HandleFunc(route, a.serve(path, h))
	}
	for path, methods := range allowed {
		mux.HandleFunc(path, a.serve(path, func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Allow", strings.Join(methods, ", "))
			return problem("method_not_allowed", "")
		}))
	}
	mux.HandleFunc("/api/", a.serve("other", func(http.ResponseWriter, *http.Request) error { return problem("not_found", "") }))
}

// serve answers a request of a route, if whoever asks may.
func (a *api) serve(route string, h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		err := a.guard(r)
		if err == nil {
			err = h(seen, r)
		}
		if err != nil {
			problemOf(err).write(seen)
		}
		a.requests.WithLabelValues(route, statusLabel(seen.status)).Inc()
	}
}

// statusWriter keeps the status that was written.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets [http.ResponseController] reach what is below.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// statusLabel is a status as a label. There are few.
func statusLabel(status int) string {
	b, _ := json.Marshal(status)
	return string(b)
}

// reply answers with JSON.
func reply(w http.ResponseWriter, status int, value any) error {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // whoever asked is gone if this fails
	return nil
}

// bounded is the context of a request, with the time that Redis has.
func bounded(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), callTimeout)
}

// describe serves the OpenAPI file.
func describe(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPI)
	return nil
}
