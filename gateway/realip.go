package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// peer returns the address of the client: that of the connection, or, if a proxy that is trusted has it, the last one in
// X-Forwarded-For that no trusted proxy has. What stands before that one is the client's own invention. It is the zero
// address if it is none.
func (g *Gateway) peer(r *http.Request) netip.Addr {
	at, _ := parseAddr(r.RemoteAddr)
	if !g.trusts(at) {
		return at
	}
	for _, line := range slices.Backward(r.Header.Values("X-Forwarded-For")) {
		for rest, more := line, true; more; {
			var word string
			if i := strings.LastIndexByte(rest, ','); i >= 0 {
				rest, word = rest[:i], rest[i+1:]
			} else {
				word, more = rest, false
			}
			next, ok := parseAddr(strings.TrimSpace(word))
			if !ok {
				return at // the proxy's word ends here
			}
			if at = next; !g.trusts(at) {
				return at
			}
		}
	}
	return at
}

// trusts tells whether at is a proxy's whose headers count.
func (g *Gateway) trusts(at netip.Addr) bool {
	return slices.ContainsFunc(g.cfg.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(at) })
}

// parseAddr reads an address with or without a port. Some proxies write one.
func parseAddr(s string) (netip.Addr, bool) {
	if withPort, err := netip.ParseAddrPort(s); err == nil {
		return withPort.Addr().Unmap().WithZone(""), true
	}
	at, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	return at.Unmap().WithZone(""), err == nil
}

// remoteIP returns the client's address as the backend sees it.
func (g *Gateway) remoteIP(r *http.Request) string {
	if at := g.peer(r); at.IsValid() {
		return at.String()
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// scheme returns how the client reached the service: http or https. A proxy that is trusted may say so in
// X-Forwarded-Proto.
func (g *Gateway) scheme(r *http.Request) string {
	if at, _ := parseAddr(r.RemoteAddr); g.trusts(at) {
		switch proto := r.Header.Get("X-Forwarded-Proto"); proto {
		case "http", "https":
			return proto
		}
	}
	if r.TLS != nil {
		return "https"
	}
	return "http"
}
