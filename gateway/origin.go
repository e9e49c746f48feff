package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Origins says which origins may connect. The zero value allows the request's own host only.
type Origins struct {
	any  bool
	list []origin // empty: the request's own scheme, host and port
	text string
}

// origin is one entry of a list. An empty scheme or port matches any.
type origin struct{ scheme, host, port string }

// ParseOrigins reads Phoenix's check_origin: "false" allows all, "conn" the scheme, host and port of the request itself,
// and a comma-separated list such as "//*.example.com,https://a.com" what any entry matches: its scheme, if it has one;
// its port, if it has one or its scheme implies one; its host, where a leading "*." stands for the domain itself and all
// below it.
func ParseOrigins(s string) (Origins, error) {
	o := Origins{text: s}
	switch s {
	case "false":
		o.any = true
		return o, nil
	case "", "conn":
		return o, nil
	}
	for entry := range strings.SplitSeq(s, ",") {
		entry = strings.TrimSpace(entry)
		u, err := url.Parse(entry)
		if err != nil || u.Host == "" || !strings.Contains(entry, "//") || u.Path != "" && u.Path != "/" || u.User != nil {
			return o, fmt.Errorf("%q is not an origin: write //host, //*.host, //host:port or scheme://host", entry)
		}
		if host := strings.TrimPrefix(u.Hostname(), "*."); host == "" || strings.Contains(host, "*") {
			return o, fmt.Errorf("%q is not an origin: a star stands in front of a domain, as in //*.example.com", entry)
		}
		o.list = append(o.list, origin{u.Scheme, u.Hostname(), portOf(u)})
	}
	return o, nil
}

// String returns what the origins were read from.
func (o Origins) String() string {
	if o.text == "" {
		return "conn"
	}
	return o.text
}

// portOf returns the port that u names or implies, or "".
func portOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	switch u.Scheme {
	case "http", "ws":
		return "80"
	case "https", "wss":
		return "443"
	}
	return ""
}

// Allows tells whether a page of origin may connect to a gateway that its clients call host, over TLS or not.
func (o Origins) Allows(origin, host string, secure bool) bool {
	scheme := "http"
	if secure {
		scheme = "https"
	}
	return o.allow(&http.Request{Host: host, Header: http.Header{"Origin": {origin}}}, scheme)
}

// allow tells whether the origin of a request, which came by http or https, may connect. A request without one, which no
// browser sends, may.
func (o Origins) allow(r *http.Request, scheme string) bool {
	values, found := r.Header["Origin"]
	if !found || o.any {
		return true
	}
	u, err := url.Parse(values[0])
	if err != nil || len(values) > 1 || u.Host == "" || u.Scheme == "" {
		return false
	}
	if len(o.list) == 0 {
		own := &url.URL{Scheme: scheme, Host: r.Host}
		return u.Scheme == own.Scheme && u.Hostname() == own.Hostname() && portOf(u) == portOf(own)
	}
	for _, e := range o.list {
		if e.matches(u) {
			return true
		}
	}
	return false
}

func (e origin) matches(u *url.URL) bool {
	if e.scheme != "" && e.scheme != u.Scheme || e.port != "" && e.port != portOf(u) {
		return false
	}
	host := u.Hostname()
	if domain, found := strings.CutPrefix(e.host, "*."); found {
		return host == domain || strings.HasSuffix(host, "."+domain)
	}
	return host == e.host
}
