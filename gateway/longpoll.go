package gateway

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"roost/auth"
)

// Headers of long-polling.
const (
	headerToken     = "X-Phoenix-Longpoll-Token"
	headerAuthToken = "X-Phoenix-Authtoken"
)

// postTimeout bounds how long a client may take to send the body of a POST.
const postTimeout = 20 * time.Second

// serveLongPoll serves {socket path}/longpoll. phoenix.js looks at the status in the body, not at HTTP's, and a body that
// is JSON without one that it knows ends its polling for good: what is no such envelope is plain text.
func (g *Gateway) serveLongPoll(w http.ResponseWriter, r *http.Request, vars []string) {
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Cache-Control", "no-store")
	switch r.Method {
	case http.MethodGet, http.MethodPost, http.MethodOptions:
	default:
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if !g.allowOrigin(r) {
		g.metrics.rejected.WithLabelValues("origin").Inc()
		g.answerJSON(w, envelope(http.StatusForbidden, "", nil))
		return
	}
	if r.Method == http.MethodOptions {
		header.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
		header.Set("Access-Control-Allow-Methods", "get, post, options")
		header.Set("Access-Control-Max-Age", "3600")
		return
	}
	key, err := g.cfg.Directory.Key(r.Context())
	if err != nil {
		g.cfg.Logger.Warn("long-poll key unknown", "err", err)
		http.Error(w, "unavailable", http.StatusServiceUnavailable)
		return
	}
	token := longPollToken(r)
	t, err := parseTicket(token, key, time.Now())
	switch {
	case err == nil && t.pod() != g.cfg.Hub.PodID() && g.relay(w, r, t.pod(), token, key):
	case err == nil:
		g.serveSession(w, r, g.sessions.get(t.connection), token)
	case r.Method == http.MethodGet && (errors.Is(err, errTicketOld) || r.Header.Get(headerHop) != ""):
		// Ours, but too old; or what no pod would pass on.
		g.serveSession(w, r, nil, "")
	case r.Method == http.MethodGet:
		g.open(w, r, vars, key)
	default:
		g.answerJSON(w, envelope(http.StatusGone, "", nil))
	}
}

// longPollToken returns the session's token. The header counts before the query, even if it is no good, and the last
// of several in the query, because the application may have a param of the same name.
func longPollToken(r *http.Request) string {
	if values := r.Header.Values(headerToken); len(values) > 0 {
		return values[0]
	}
	query, err := decodeQuery(r.URL.RawQuery)
	if err != nil {
		return ""
	}
	token, _, _ := query.string("token")
	return token
}

// serveSession serves a poll or a POST of a session, which is nil if it is gone.
func (g *Gateway) serveSession(w http.ResponseWriter, r *http.Request, s *session, token string) {
	if r.Method == http.MethodPost {
		g.servePost(w, r, s)
		return
	}
	if s == nil {
		g.answerJSON(w, envelope(http.StatusInternalServerError, token, nil))
		return
	}
	p := &poll{session: s, token: token, since: time.Now().UnixMilli()}
	s.hold(p)
	p.serve(w, r)
}

func (g *Gateway) servePost(w http.ResponseWriter, r *http.Request, s *session) {
	if s == nil {
		g.answerJSON(w, envelope(http.StatusGone, "", nil))
		return
	}
	// Not every ResponseWriter can; the server's own timeouts are left then.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(postTimeout))
	err := s.post(http.MaxBytesReader(w, r.Body, maxBody), r.Header.Get("Content-Type") == "application/x-ndjson")
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		g.answerJSON(w, envelope(http.StatusOK, "", nil))
	case errors.Is(err, errGone):
		g.answerJSON(w, envelope(http.StatusGone, "", nil))
	case errors.Is(err, errBatchSize), errors.As(err, &tooLarge):
		g.limited(limitPost, "connection", s.client().Connection)
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	default:
		http.Error(w, "bad request", http.StatusBadRequest)
	}
}

// open begins a session, as a handshake begins a WebSocket.
func (g *Gateway) open(w http.ResponseWriter, r *http.Request, vars []string, key []byte) {
	p, err := g.admit(r)
	defer g.door.release(&p)
	var o *offer
	if err == nil {
		o, err = g.introduce(r, vars, "longpoll")
	}
	if err == nil && g.isDraining() {
		err = &rejection{status: http.StatusServiceUnavailable, reason: "draining"}
	}
	if err == nil {
		if values := r.Header.Values(headerAuthToken); len(values) > 0 {
			text := strings.ToValidUTF8(values[0], "\ufffd")
			o.client.AuthToken = &text
		}
		err = g.connectOnce(r, o)
	}
	if err == nil {
		err = g.name(&p, o.client)
	}
	s := &session{}
	if err == nil {
		s.conn = conn{gw: g, enc: g.encodings[o.version][quoted], out: s, trace: o.trace, patience: g.cfg.LongPollWindow * 3 / 2, life: o.lifetime()}
		s.who.Store(o.client)
		s.plan()
		g.sessions.put(s) // before enter, so that a drain that begins now finds it
		if !g.enter(&s.conn) {
			g.sessions.remove(o.client.Connection)
			g.disconnected(o.client, auth.ReasonDrained)
			err = &rejection{status: http.StatusServiceUnavailable, reason: "draining"}
		}
	}
	if err != nil {
		g.blame(&p, err)
		g.rejectPoll(w, err)
		return
	}
	p.keep()
	g.cfg.Hub.Attach(r.Context(), &s.conn, o.client.ID)
	if g.banned(r.Context(), &s.conn) {
		s.close(closeNone, auth.ReasonDisconnected)
		g.rejectPoll(w, errBanned)
		return
	}
	s.announce()
	g.metrics.accepted.WithLabelValues("longpoll").Inc()
	g.answerJSON(w, envelope(http.StatusGone, ticket{o.client.Connection, time.Now()}.sign(key), nil))
}

// rejectPoll answers an opening that goes no further: with {"status":403}, or with plain text if it is the pod or the
// backend that cannot.
func (g *Gateway) rejectPoll(w http.ResponseWriter, err error) {
	no := rejectionOf(err)
	g.metrics.rejected.WithLabelValues(no.reason).Inc()
	switch {
	case no.wait > 0:
		no.announce(w)
		http.Error(w, no.body, no.status)
	case no.status >= http.StatusInternalServerError:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "unavailable", no.status)
	case no.reason == "query":
		http.Error(w, "malformed query", no.status)
	default:
		g.answerJSON(w, envelope(http.StatusForbidden, "", nil))
	}
}

// answerJSON sends an envelope under HTTP 200, whatever its own status is.
func (g *Gateway) answerJSON(w http.ResponseWriter, body []byte) {
	g.limitWrite(w)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(body)
}

// limitWrite bounds how long a client may take to read an answer. The server lifts it before the next request.
func (g *Gateway) limitWrite(w http.ResponseWriter) {
	// Not every ResponseWriter can; the server's own timeouts are left then.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(g.cfg.WriteTimeout))
}
