package gateway

import (
	"encoding/base64"
	"net/http"
	"strings"
	"sync"

	"github.com/gorilla/websocket"

	"roost/auth"
)

// upgrader answers the handshake. Its connection is let go of at once: reading and writing are ours, so that frames keep
// their order, sizes are bounded after inflation, and an idle connection holds no buffers.
var upgrader = websocket.Upgrader{
	ReadBufferSize:  512,
	WriteBufferSize: 512,
	WriteBufferPool: &sync.Pool{},
	CheckOrigin:     func(*http.Request) bool { return true }, // checked before
	Error:           func(http.ResponseWriter, *http.Request, int, error) {},
}

// serveWebSocket does the handshake of a WebSocket and hands the connection to a goroutine of its own, so that what the
// HTTP server held for the request is free again.
func (g *Gateway) serveWebSocket(w http.ResponseWriter, r *http.Request, vars []string) {
	p, err := g.admit(r)
	defer g.door.release(&p)
	var o *offer
	if err == nil {
		o, err = g.check(r, vars)
	}
	if err == nil {
		err = checkUpgrade(r)
	}
	if err == nil && g.isDraining() {
		err = &rejection{status: http.StatusServiceUnavailable, reason: "draining"}
	}
	if err == nil {
		err = g.connectOnce(r, o)
	}
	if err == nil {
		err = g.name(&p, o.client)
	}
	if err != nil {
		g.blame(&p, err)
		g.reject(w, err)
		return
	}
	deflate := g.cfg.Compress && offersDeflate(r)
	s := &socket{}
	s.conn = conn{gw: g, enc: g.encodings[o.version][framed], out: s, trace: o.trace, patience: g.cfg.IdleTimeout, life: o.lifetime()}
	s.who.Store(o.client)
	s.plan()
	if deflate {
		s.enc = g.encodings[o.version][framedDeflated]
	}
	if !g.enter(&s.conn) {
		g.reject(w, &rejection{status: http.StatusServiceUnavailable, reason: "draining"})
		g.disconnected(o.client, auth.ReasonDrained)
		return
	}
	p.keep()
	g.cfg.Hub.Attach(r.Context(), &s.conn, o.client.ID)
	if g.banned(r.Context(), &s.conn) {
		s.close(closeNone, auth.ReasonDisconnected)
		g.work.done()
		g.reject(w, errBanned)
		return
	}
	s.announce()
	header := http.Header{}
	if o.subprotocol != "" {
		header.Set("Sec-WebSocket-Protocol", o.subprotocol)
	}
	up := upgrader
	up.EnableCompression = deflate
	ws, err := up.Upgrade(w, r, header)
	if err != nil {
		g.cfg.Logger.Debug("upgrade failed", "connection", o.client.Connection, "err", err)
		g.metrics.rejected.WithLabelValues("upgrade").Inc()
		s.close(closeNone, auth.ReasonClosed)
		g.work.done()
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	g.metrics.accepted.WithLabelValues("websocket").Inc()
	s.start(ws.NetConn(), deflate)
}

func (g *Gateway) isDraining() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.draining
}

// checkUpgrade checks the headers of an upgrade, so that a request that cannot become a WebSocket costs the backend
// nothing. Phoenix looks at them last.
func checkUpgrade(r *http.Request) error {
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-Websocket-Key"))
	var body string
	switch {
	case !hasToken(r.Header, "Connection", "upgrade"):
		body = "'connection' header must contain 'upgrade'"
	case !hasToken(r.Header, "Upgrade", "websocket"):
		body = "'upgrade' header must contain 'websocket'"
	case r.Header.Get("Sec-Websocket-Version") != "13":
		body = "'sec-websocket-version' header must be '13'"
	case err != nil || len(key) != 16:
		body = "'sec-websocket-key' header must be 16 bytes in base64"
	default:
		return nil
	}
	return &rejection{status: http.StatusBadRequest, body: body, reason: "upgrade"}
}

// hasToken tells whether a comma-separated header has token, in lower or upper case.
func hasToken(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for word := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(word), token) {
				return true
			}
		}
	}
	return false
}

// offersDeflate tells whether the client can do permessage-deflate as we do it: with the largest window.
func offersDeflate(r *http.Request) bool {
	for _, line := range r.Header.Values("Sec-Websocket-Extensions") {
		for offer := range strings.SplitSeq(line, ",") {
			name, parameters, _ := strings.Cut(offer, ";")
			if strings.TrimSpace(name) == "permessage-deflate" && !strings.Contains(parameters, "server_max_window_bits") {
				return true
			}
		}
	}
	return false
}
