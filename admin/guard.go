package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// guard lets in who knows the bearer token; without one, programs on this machine, and no pages that their browsers show.
func (a *api) guard(r *http.Request) error {
	if a.token == "" {
		return local(r)
	}
	given, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	got, want := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(a.token))
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 || !found {
		return problem("unauthorized", "")
	}
	return nil
}

// local refuses whatever may not come from a program on this machine that means to ask us: other machines, proxies, names that
// were made to point here, and pages.
func local(r *http.Request) error {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	switch {
	case err != nil || !peer.Addr().Unmap().IsLoopback():
		return problem("forbidden", "ROOST_API_TOKEN is not set: only this machine is answered")
	case slices.ContainsFunc(slices.Collect(maps.Keys(r.Header)), isOfProxy):
		return problem("forbidden", "ROOST_API_TOKEN is not set: proxies are not answered")
	case !isLoopback(r.Host):
		return problem("forbidden", "ROOST_API_TOKEN is not set: Host has to be localhost or a loopback address")
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if at, err := url.Parse(origin); err != nil || !isLoopback(at.Host) {
			return problem("forbidden", "ROOST_API_TOKEN is not set: pages are not answered")
		}
	}
	return nil
}

// isOfProxy tells whether a proxy adds a header, and a program does not. Those that forward bytes add none.
func isOfProxy(name string) bool {
	switch name {
	case "Forwarded", "Via", "X-Real-Ip":
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Envoy-")
}

// isLoopback tells whether a host, with or without a port, is this machine whatever a name server says.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// isJSON tells whether the body says that it is JSON. A page of another origin cannot send that without being asked.
func isJSON(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}
