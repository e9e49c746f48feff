package gateway_test

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"roost/auth"
	"roost/gateway"
)

func TestRemoteIP(t *testing.T) {
	seen := make(chan string, 1)
	ask := func(_ context.Context, c *auth.Client) (*auth.ConnectAnswer, error) {
		seen <- c.RemoteIP
		return &auth.ConnectAnswer{}, nil
	}
	trusting := func(networks ...string) *pod {
		return startPod(t, &backend{connect: ask}, func(c *gateway.Config) {
			for _, n := range networks {
				c.TrustedProxies = append(c.TrustedProxies, netip.MustParsePrefix(n))
			}
		})
	}
	nobody, elsewhere, here := trusting(), trusting("10.0.0.0/8"), trusting("127.0.0.1/32", "10.0.0.0/8", "2001:db8::/32")
	for name, c := range map[string]struct {
		pod    *pod
		header http.Header
		want   string
	}{
		"no proxy is trusted":             {nobody, http.Header{"X-Forwarded-For": {"192.0.2.1"}}, "127.0.0.1"},
		"another proxy is trusted":        {elsewhere, http.Header{"X-Forwarded-For": {"192.0.2.1"}}, "127.0.0.1"},
		"no header":                       {here, nil, "127.0.0.1"},
		"one":                             {here, http.Header{"X-Forwarded-For": {"192.0.2.1"}}, "192.0.2.1"},
		"a forged one before it":          {here, http.Header{"X-Forwarded-For": {"8.8.8.8, 192.0.2.1"}}, "192.0.2.1"},
		"a forged proxy before it":        {here, http.Header{"X-Forwarded-For": {"8.8.8.8, 10.1.1.1, 192.0.2.1"}}, "192.0.2.1"},
		"proxies behind it":               {here, http.Header{"X-Forwarded-For": {"8.8.8.8, 192.0.2.1,10.1.1.1 , 2001:db8::5"}}, "192.0.2.1"},
		"several lines":                   {here, http.Header{"X-Forwarded-For": {"8.8.8.8", "192.0.2.1", "10.1.1.1"}}, "192.0.2.1"},
		"only proxies":                    {here, http.Header{"X-Forwarded-For": {"10.2.2.2, 10.1.1.1"}}, "10.2.2.2"},
		"rubbish last":                    {here, http.Header{"X-Forwarded-For": {"192.0.2.1, unknown"}}, "127.0.0.1"},
		"rubbish behind a proxy":          {here, http.Header{"X-Forwarded-For": {"192.0.2.1, unknown, 10.1.1.1"}}, "10.1.1.1"},
		"nothing in it":                   {here, http.Header{"X-Forwarded-For": {""}}, "127.0.0.1"},
		"commas":                          {here, http.Header{"X-Forwarded-For": {",,"}}, "127.0.0.1"},
		"with a port":                     {here, http.Header{"X-Forwarded-For": {"192.0.2.1:5555"}}, "192.0.2.1"},
		"IPv6":                            {here, http.Header{"X-Forwarded-For": {"2001:DB9:0::1"}}, "2001:db9::1"},
		"IPv6 in brackets with a port":    {here, http.Header{"X-Forwarded-For": {"[2001:db9::1]:443"}}, "2001:db9::1"},
		"IPv6 in brackets":                {here, http.Header{"X-Forwarded-For": {"[2001:db9::1]"}}, "2001:db9::1"},
		"IPv4 in IPv6":                    {here, http.Header{"X-Forwarded-For": {"::ffff:192.0.2.1"}}, "192.0.2.1"},
		"a proxy's IPv4 in IPv6":          {here, http.Header{"X-Forwarded-For": {"192.0.2.1, ::ffff:10.1.1.1"}}, "192.0.2.1"},
		"Forwarded does not count":        {here, http.Header{"Forwarded": {"for=8.8.8.8"}, "X-Forwarded-For": {"192.0.2.1"}}, "192.0.2.1"},
		"X-Real-IP does not count":        {here, http.Header{"X-Real-Ip": {"8.8.8.8"}}, "127.0.0.1"},
		"a header of ten thousand commas": {here, http.Header{"X-Forwarded-For": {strings.Repeat(",", 10_000)}}, "127.0.0.1"},
	} {
		if got := c.pod.status("/socket/websocket?vsn=2.0.0", c.header); got != 101 {
			t.Fatalf("%s: got status %d, want 101", name, got)
		}
		if got := await(t, "connect", seen); got != c.want {
			t.Errorf("%s: got remote ip %q, want %q", name, got, c.want)
		}
	}
}

// A proxy that ends TLS says how the client came, and the origin rule "conn" believes it if it is trusted.
func TestOriginBehindAProxy(t *testing.T) {
	trusted, not := startPod(t, &backend{}, behindProxy), startPod(t, &backend{})
	for _, c := range []struct {
		pod           *pod
		proto, origin string
		want          int
	}{
		{trusted, "https", "https://example.com", 101},
		{trusted, "https", "http://example.com", 403},
		{trusted, "http", "https://example.com", 403},
		{trusted, "", "https://example.com", 403},
		{trusted, "wss", "https://example.com", 403},
		{trusted, "https", "https://evil.net", 403},
		{trusted, "https", "null", 403},
		{not, "https", "https://example.com", 403},
		{not, "https", "http://example.com", 101},
	} {
		header := http.Header{"Host": {"example.com"}, "Origin": {c.origin}, "X-Forwarded-Proto": {c.proto}}
		if got := c.pod.status("/socket/websocket", header); got != c.want {
			t.Errorf("%+v: got status %d, want %d", c, got, c.want)
		}
	}
}
