package gateway

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/trace"

	"roost/auth"
	"roost/internal/rawjson"
	"roost/phoenix"
)

// rejection is an answer that ends a handshake.
type rejection struct {
	status int
	body   string
	reason string        // for the metric
	wait   time.Duration // of a limit: when to come again
}

func (r *rejection) Error() string { return r.reason }

// offer is what a handshake says, once it has been checked.
type offer struct {
	version     phoenix.Version
	subprotocol string // to be echoed, or ""
	client      *auth.Client
	token       *auth.Token        // nil if tokens are not wanted
	expires     time.Time          // when the backend is asked again; zero: never
	trace       *trace.SpanContext // that the handshake names, or nil
}

// check goes through a handshake in the order of Phoenix: method, origin, token, subprotocol, vsn. Then comes what the
// backend says.
func (g *Gateway) check(r *http.Request, vars []string) (*offer, error) {
	if r.Method != http.MethodGet {
		return nil, &rejection{status: http.StatusBadRequest, reason: "method"}
	}
	if !g.allowOrigin(r) {
		return nil, &rejection{status: http.StatusForbidden, reason: "origin"}
	}
	subprotocol, token, err := g.protocols(r)
	if err != nil {
		return nil, err
	}
	o, err := g.introduce(r, vars, "websocket")
	if err != nil {
		return nil, err
	}
	o.subprotocol, o.client.AuthToken = subprotocol, token
	return o, nil
}

// allowOrigin tells whether the request's origin may connect, and logs what to change if not.
func (g *Gateway) allowOrigin(r *http.Request) bool {
	if g.cfg.Origins.allow(r, g.scheme(r)) {
		return true
	}
	g.cfg.Logger.Warn("origin refused", "origin", r.Header.Get("Origin"), "host", r.Host, "allowed", g.cfg.Origins.String(), "setting", "ROOST_CHECK_ORIGIN")
	return false
}

// introduce reads who wants to connect, and in which version.
func (g *Gateway) introduce(r *http.Request, vars []string, transport string) (*offer, error) {
	var o offer
	query, err := decodeQuery(r.URL.RawQuery)
	if err != nil {
		return nil, &rejection{status: http.StatusBadRequest, body: "malformed query", reason: "query"}
	}
	for i := 0; i < len(vars); i += 2 {
		query.set(vars[i], &params{kind: paramText, text: vars[i+1]})
	}
	vsn, isText, found := query.string("vsn")
	if !found {
		vsn, isText = "1.0.0", true
	}
	var known bool
	if o.version, known = phoenix.ParseVersion(vsn); !isText || !known {
		return nil, &rejection{status: http.StatusForbidden, reason: "vsn"}
	}
	o.trace = remoteSpan(r.Header)
	o.client = &auth.Client{
		Connection: g.newConnection(),
		Transport:  transport,
		VSN:        vsn,
		RemoteIP:   g.remoteIP(r),
		Params:     query.appendJSON(nil),
		Headers:    g.headers(r),
		Assigns:    noAssigns,
	}
	return &o, nil
}

var noAssigns = json.RawMessage(`{}`)

// connect looks at the token, and asks the backend whether the connection may be.
func (g *Gateway) connect(r *http.Request, o *offer) error {
	if err := g.identify(r.Context(), o); err != nil {
		return err
	}
	if g.cfg.Backend == nil {
		return nil
	}
	ctx, span := g.span(r.Context(), o)
	defer span.End()
	answer, err := g.cfg.Backend.Connect(ctx, o.client)
	failSpan(ctx, err)
	var refusal *auth.Refusal
	switch {
	case errors.As(err, &refusal):
		if refusal.Code < 400 || refusal.Code > 599 {
			refusal = &auth.Refusal{Code: http.StatusForbidden, Response: refusal.Response}
		}
		return &rejection{status: refusal.Code, body: refusalBody(refusal.Response), reason: "refused"}
	case err != nil || answer == nil:
		g.cfg.Logger.Warn("connect failed", "connection", o.client.Connection, "err", err)
		return &rejection{status: http.StatusServiceUnavailable, reason: "backend"}
	}
	if answer.ID != "" {
		o.client.ID = answer.ID
	}
	o.expires = answer.Expires
	if answer.Assigns != nil {
		o.client.Assigns = answer.Assigns
	}
	return nil
}

// refusalBody returns a JSON string as its text, and all else as it is.
func refusalBody(response []byte) string {
	if text, err := rawjson.Unquote(response); err == nil {
		return string(text)
	}
	return string(response)
}

// rejectionOf returns the answer to a handshake that err ended.
func rejectionOf(err error) *rejection {
	var no *rejection
	if !errors.As(err, &no) {
		no = &rejection{status: http.StatusInternalServerError, reason: "error"}
	}
	return no
}

// announce tells when the client may come again, if that is known.
func (r *rejection) announce(w http.ResponseWriter) {
	if r.wait > 0 || r.status == http.StatusServiceUnavailable {
		seconds := max(r.wait+time.Second-1, time.Second) / time.Second
		w.Header().Set("Retry-After", strconv.Itoa(int(seconds)))
	}
}

// reject answers a handshake that goes no further.
func (g *Gateway) reject(w http.ResponseWriter, err error) {
	no := rejectionOf(err)
	g.metrics.rejected.WithLabelValues(no.reason).Inc()
	no.announce(w)
	switch {
	case no.body == "":
	case rawjson.Valid([]byte(no.body)):
		w.Header().Set("Content-Type", "application/json")
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	w.WriteHeader(no.status)
	_, _ = w.Write([]byte(no.body))
}

// tokenPrefix marks the subprotocol that carries phoenix.js's authToken.
const tokenPrefix = "base64url.bearer.phx."

// protocols reads Sec-WebSocket-Protocol: it picks the subprotocol to echo and returns the auth token, if there is one.
func (g *Gateway) protocols(r *http.Request) (subprotocol string, token *string, err error) {
	var offered []string
	tokens := 0
	for _, line := range r.Header.Values("Sec-Websocket-Protocol") {
		for name := range strings.SplitSeq(line, ",") {
			name = strings.TrimSpace(name)
			encoded, isToken := strings.CutPrefix(name, tokenPrefix)
			if !isToken {
				offered = append(offered, name)
				continue
			}
			text, err := decodeToken(encoded)
			if err != nil {
				return "", nil, &rejection{status: http.StatusForbidden, reason: "token"}
			}
			token = &text
			tokens++
		}
	}
	if tokens > 1 {
		token = nil // as Phoenix: neither counts
	}
	if len(offered) == 0 {
		return "", token, nil
	}
	if slices.Contains(offered, "phoenix") {
		return "phoenix", token, nil
	}
	for _, name := range g.cfg.Subprotocols {
		if slices.Contains(offered, name) {
			return name, token, nil
		}
	}
	return "", nil, &rejection{status: http.StatusForbidden, reason: "subprotocol"}
}

// decodeToken reads base64 in either alphabet, padded or not. The prefix says base64url; phoenix.js writes the other.
func decodeToken(s string) (string, error) {
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	text, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil || !utf8.Valid(text) {
		return "", errors.New("gateway: malformed auth token")
	}
	return string(text), nil
}

// headers returns the request headers that the backend sees, as a JSON object.
func (g *Gateway) headers(r *http.Request) json.RawMessage {
	if len(g.cfg.ConnectHeaders) == 0 {
		return noAssigns
	}
	out := []byte{'{'}
	for _, name := range g.cfg.ConnectHeaders {
		values := r.Header.Values(name)
		if len(values) == 0 {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = rawjson.AppendString(out, strings.ToLower(name))
		out = append(out, ':')
		out = rawjson.AppendString(out, strings.ToValidUTF8(strings.Join(values, ", "), "\ufffd"))
	}
	return append(out, '}')
}
