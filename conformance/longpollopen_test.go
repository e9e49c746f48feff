package conformance_test

import (
	"net/http"
	"strings"
	"testing"
)

const (
	lpMethods = "get, post, options"
	lpHeaders = "content-type, x-phoenix-longpoll-token"
	opened    = http.StatusGone // what a request that opens a session is answered
)

func TestLongPollOpen(t *testing.T) {
	t.Parallel()
	overOneAndThree(t, func(t *testing.T, addr string) {
		with := func(query string, header ...string) pollAnswer {
			c := pollOf(t, addr)
			c.query = query
			for i := 0; i < len(header); i += 2 {
				c.header.Set(header[i], header[i+1])
			}
			return c.poll()
		}
		t.Run("L1 open", func(t *testing.T) {
			a := with("vsn=2.0.0")
			wantPolled(t, a, opened)
			for name, want := range map[string]string{
				"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*", "Content-Type": "application/json; charset=utf-8",
			} {
				if got := a.header.Values(name); len(got) != 1 || got[0] != want {
					t.Errorf("got %s %q, want %q", name, got, want)
				}
			}
			if a.Token == "" || a.Messages == nil || len(a.Messages) != 0 {
				t.Errorf("got %v, want a token and no messages", a)
			}
		})
		t.Run("L2 without vsn", func(t *testing.T) { wantPolled(t, with(""), opened) })
		t.Run("L3 refused", func(t *testing.T) {
			for _, query := range []string{"vsn=9.0.0", "vsn=2.0.0&reject=true", "vsn=2.0.0&ratelimit=true"} {
				if a := with(query); a.code != http.StatusOK || a.body != `{"status":403}` {
					t.Errorf("%s: got %v, want {\"status\":403}", query, a)
				}
			}
		})
		t.Run("L4 the backend fails", func(t *testing.T) { wantError(t, with("vsn=2.0.0&crash=true"), 500, 502, 503) })
		t.Run("L5 L6 origin", func(t *testing.T) {
			a := with("vsn=2.0.0", "Origin", "http://evil.com")
			wantPolled(t, a, http.StatusForbidden)
			if got := a.header.Get("Access-Control-Allow-Origin"); got != "*" {
				t.Errorf("got allow-origin %q, want *", got)
			}
			wantPolled(t, with("vsn=2.0.0", "Origin", "https://example.com"), opened)
		})
		t.Run("L7 L8 preflight", func(t *testing.T) {
			c := pollOf(t, addr)
			c.header.Set("Access-Control-Request-Headers", lpHeaders)
			a := c.must(http.MethodOptions, "", "")
			if a.code != http.StatusOK || a.body != "" {
				t.Errorf("got %v, want HTTP 200 and nothing", a)
			}
			for name, want := range map[string]string{"Allow-Headers": lpHeaders, "Allow-Methods": lpMethods, "Max-Age": "3600", "Allow-Origin": "*"} {
				if got := a.header.Get("Access-Control-" + name); got != want {
					t.Errorf("got %s %q, want %q", name, got, want)
				}
			}
			c.header.Set("Origin", "http://evil.com")
			a = c.must(http.MethodOptions, "", "")
			wantPolled(t, a, http.StatusForbidden)
			if got, found := a.header["Access-Control-Allow-Headers"]; found {
				t.Errorf("got allow-headers %q, want none", got)
			}
		})
		t.Run("L9 other methods", func(t *testing.T) {
			for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodPatch} {
				if a := pollOf(t, addr).must(method, "", ""); a.code != http.StatusBadRequest || a.body != "" {
					t.Errorf("%s: got %v, want HTTP 400 and nothing", method, a)
				}
			}
		})
		t.Run("L25 L26 the application has a token of its own", func(t *testing.T) {
			c := openPoll(t, addr, "token=usertoken")
			session := c.token
			c.token, c.query = "", "token=usertoken&vsn=2.0.0&token="+session
			c.joined()
			if got := lab.backend.seen(c.topic, joins)[0].Data.Params["token"]; got != "usertoken" {
				t.Errorf("got token %q at the backend, want the user's", got)
			}
			c.query = "token=" + session + "&vsn=2.0.0&token=usertoken"
			wantPolled(t, c.post("[]"), http.StatusGone)
		})
		t.Run("L27 POST without a session", func(t *testing.T) {
			c := pollOf(t, addr)
			if a := c.post("[]"); a.body != `{"status":410}` {
				t.Errorf("got %v, want {\"status\":410}", a)
			}
			c.token = "bogus"
			if a := c.post("[]"); a.body != `{"status":410}` {
				t.Errorf("got %v, want {\"status\":410}", a)
			}
		})
		t.Run("L43 L44 auth token", func(t *testing.T) {
			c := pollOf(t, addr)
			c.header.Set("X-Phoenix-AuthToken", "abc")
			c.open().joined()
			if got := lab.backend.seen(c.topic, joins)[0].Data.AuthToken; got == nil || *got != "abc" {
				t.Errorf("got auth token %v at the backend, want abc", got)
			}
			c = pollOf(t, addr)
			c.header.Set("Authorization", "Bearer abc")
			c.open().joined()
			if got := lab.backend.seen(c.topic, joins)[0].Data; got.AuthToken != nil || got.Transport != "longpoll" || got.VSN != "2.0.0" {
				t.Errorf("got auth token %v, transport %q, vsn %q; want none, longpoll, 2.0.0", got.AuthToken, got.Transport, got.VSN)
			}
		})
	})
	t.Run("L47 off", func(t *testing.T) {
		c := pollOf(t, sharedPod(t, "nolp").addr)
		c.path = "/nolp/longpoll"
		if a := c.poll(); a.code != http.StatusNotFound || strings.HasPrefix(a.body, "{") {
			t.Errorf("got %v, want HTTP 404", a)
		}
	})
	t.Run("L48 variables in the path", func(t *testing.T) {
		p := ownPod(t, lab.redis.url(), settings{"ROOST_SOCKET_PATH": "/custom/:thing/nested"})
		c := pollOf(t, p.addr)
		c.path = "/custom/some%20thing/nested/longpoll"
		c.open().joined()
		if got := lab.backend.seen(c.topic, joins)[0].Data.Params["thing"]; got != "some thing" {
			t.Errorf("got variable %q at the backend, want some thing", got)
		}
	})
}

func TestLongPollToken(t *testing.T) {
	t.Parallel()
	overOneAndThree(t, func(t *testing.T, addr string) {
		t.Run("L22 in the query", func(t *testing.T) {
			c := openPoll(t, addr)
			c.query, c.token = "vsn=2.0.0&token="+c.token, ""
			c.joined().quiet()
		})
		t.Run("L23 good header, bad query", func(t *testing.T) {
			c := openPoll(t, addr)
			c.query = "vsn=2.0.0&token=bogus"
			c.joined().quiet()
		})
		t.Run("L24 bad header, good query", func(t *testing.T) {
			c := openPoll(t, addr)
			good := c.token
			c.query, c.token = "vsn=2.0.0&token="+c.token, "bogus"
			if a := c.poll(); a.Status != opened || a.Token == "" || a.Token == good {
				t.Errorf("got %v, want 410 and a new token", a)
			}
			wantPolled(t, c.post("[]"), http.StatusGone)
		})
		t.Run("L28 cut short", func(t *testing.T) {
			c := openPoll(t, addr)
			good := c.token
			c.token = good[:len(good)-1]
			if a := c.poll(); a.Status != opened || a.Token == "" || a.Token == good || a.Token == c.token {
				t.Errorf("got %v, want 410 and a new token", a)
			}
			c.token = good
			c.joined()
		})
	})
}
