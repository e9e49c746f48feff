package gateway_test

import (
	"net/http"
	"testing"

	"roost/gateway"
)

func TestOrigins(t *testing.T) {
	// The handshake's Host is example.com:4000 everywhere.
	const host = "example.com:4000"
	type origins map[string]bool
	for setting, cases := range map[string]origins{
		"conn": {
			"http://example.com:4000":              true,
			"HTTP://example.com:4000":              true,
			"http://example.com":                   false,
			"http://example.com:4001":              false,
			"https://example.com:4000":             false,
			"http://EXAMPLE.com:4000":              false,
			"http://a.example.com:4000":            false,
			"http://example.com.evil.net:4000":     false,
			"http://example.com:4000@evil.net":     false,
			"http://evil.net/http://example.com":   false,
			"http://evil.net?example.com:4000":     false,
			"http://evil.net#@example.com:4000":    false,
			"http://evil.net\\@example.com:4000":   false,
			"http://example.com:4000, http://b.de": false,
			"null":                                 false,
			"file://":                              false,
			"":                                     false,
			"example.com:4000":                     false,
			"//example.com:4000":                   false,
			"http://":                              false,
			"http://%":                             false,
			"http://example.com:4000.evil.net":     false,
			"http://example.com:4000:80":           false,
			"http://example.com:04000":             false,
			"http://example.com%3a4000":            false,
			"http://example.com%00.evil.net:4000":  false,
			"http://example.com.:4000":             false,
			"http:///example.com:4000":             false,
			"http:example.com:4000":                false,
			"javascript://example.com:4000":        false,
			"data:text/html,http://example.com":    false,
			"NULL":                                 false,
		},
		"false": {"http://evil.net": true, "null": true, "": true, "http://%": true},
		"//*.a.com,https://b.com, //c.com:81,//[::1]:5000,//xn--bcher-kva.de,http://d.com:80": {
			"http://a.com":                  true,
			"https://a.com:8443":            true,
			"http://x.a.com":                true,
			"ws://x.y.a.com:1":              true,
			"http://prefix-a.com":           false,
			"http://xa.com":                 false,
			"http://a.com.evil.net":         false,
			"http://a.com.":                 false,
			"http://A.com":                  false,
			"http://.a.com":                 true, // no browser has such a host
			"https://b.com":                 true,
			"https://b.com:443":             true,
			"https://b.com:444":             false,
			"http://b.com":                  false,
			"http://b.com:443":              false,
			"https://x.b.com":               false,
			"http://c.com:81":               true,
			"https://c.com:81":              true,
			"http://c.com:82":               false,
			"http://c.com":                  false,
			"http://[::1]:5000":             true,
			"http://[::1]":                  false,
			"http://[::2]:5000":             false,
			"https://xn--bcher-kva.de":      true,
			"https://bücher.de":             false,
			"https://BÜCHER.de":             false,
			"https://xn--bucher-kva.de":     false,
			"https://XN--BCHER-KVA.de":      false,
			"http://xn--a-cxb.com":          false, // looks like a.com
			"http://а.com":                  false, // a Cyrillic a
			"http://x.а.com":                false,
			"http://a。com":                  false, // an ideographic full stop
			"http://x.a.com.":               false,
			"http://x.a.com%2eevil":         false,
			"http://evil.net%2f.a.com":      false,
			"http://evil.net\\.a.com":       false,
			"http://evil.net?.a.com":        false,
			"http://evil.net#.a.com":        false,
			"http://*.a.com":                true, // no browser has such a host
			"http://[::1%25eth0]:5000":      false,
			"http://[0:0:0:0:0:0:0:1]:5000": false, // browsers write it short
			"http://[::ffff:7f00:1]:5000":   false,
			"http://127.0.0.1:5000":         false,
			"http://[::1]:5000.a.net":       false,
			"http://[::1]5000":              false,
			"http://[::1":                   false,
			"http://c.com:081":              false,
			"http://c.com:":                 false,
			"http://d.com":                  true,
			"http://d.com:80":               true,
			"http://a.com@evil.net":         false,
			"http://evil.net/.a.com":        false,
			"http://example.com:4000":       false,
			"null":                          false,
			"file://":                       false,
			"file:///a.com":                 false,
			"":                              false,
		},
	} {
		t.Run(setting, func(t *testing.T) {
			o, err := gateway.ParseOrigins(setting)
			if err != nil {
				t.Fatalf("ParseOrigins(%q) = %v, want no error", setting, err)
			}
			if got := o.String(); got != setting {
				t.Errorf("String() = %q, want %q", got, setting)
			}
			p := startPod(t, &backend{}, func(c *gateway.Config) { c.Origins = o })
			for origin, allowed := range cases {
				want := map[bool]int{true: 101, false: 403}[allowed]
				header := http.Header{"Host": {host}, "Origin": {origin}}
				if got := p.status("/socket/websocket?vsn=2.0.0", header); got != want {
					t.Errorf("origin %q: got status %d, want %d", origin, got, want)
				}
			}
			if got := p.status("/socket/websocket", http.Header{"Host": {host}}); got != 101 {
				t.Errorf("no origin: got status %d, want 101", got)
			}
			if got := p.status("/socket/websocket", http.Header{"Host": {host}, "Origin": {"http://evil.net", "http://evil.net"}}); got != 403 && setting != "false" {
				t.Errorf("two origins: got status %d, want 403", got)
			}
		})
	}
}

func TestOriginOfItself(t *testing.T) {
	p := startPod(t, &backend{})
	for _, c := range []struct {
		host, origin string
		want         int
	}{
		{"[::1]:4000", "http://[::1]:4000", 101},
		{"[::1]:4000", "http://[::1]", 403},
		{"[::1]", "http://[::1]:80", 101},
		{"example.com", "http://example.com", 101},
		{"example.com", "http://example.com:80", 101},
		{"example.com:80", "http://example.com", 101},
		{"example.com", "https://example.com", 403},
	} {
		header := http.Header{"Host": {c.host}, "Origin": {c.origin}}
		if got := p.status("/socket/websocket", header); got != c.want {
			t.Errorf("host %s, origin %s: got status %d, want %d", c.host, c.origin, got, c.want)
		}
	}
}

func TestMalformedOrigins(t *testing.T) {
	for _, setting := range []string{
		"true", "FALSE", "*", "//", "//*", "//*.", "//*.*.com", "//a.*.com", "//a*.com", "example.com", "http://a.com/path", "http://a.com:x",
		"//a.com,", ",//a.com", "//a.com,,//b.com", "//user@a.com", "//a.com//b.com", "http:a.com", "//a b.com", "https://",
	} {
		if o, err := gateway.ParseOrigins(setting); err == nil {
			t.Errorf("ParseOrigins(%q) = %v, want an error", setting, o)
		}
	}
	if o, err := gateway.ParseOrigins(""); err != nil || o.String() != "conn" {
		t.Errorf("ParseOrigins of nothing = %v, %v, want conn", o, err)
	}
}
