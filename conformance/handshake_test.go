package conformance_test

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"roost/phoenix/phoenixtest"
)

// upgrade asks a kind of pod for a WebSocket.
func upgrade(t *testing.T, kind, query string, header http.Header) *phoenixtest.Raw {
	t.Helper()
	p := sharedPod(t, kind)
	return phoenixtest.Open(t, p.addr, phoenixtest.Request{Target: p.path(query), Header: header})
}

// wantStatus checks the status of an upgrade, and that a refusal has no body.
func wantStatus(t *testing.T, got *phoenixtest.Raw, status int) {
	t.Helper()
	if got.Status != status {
		t.Fatalf("got status %d, want %d; body %q", got.Status, status, got.Body)
	}
	if len(got.Body) > 0 {
		t.Errorf("got body %q, want none", got.Body)
	}
}

// connectOf returns the connect call whose params have this tag, or nil.
func connectOf(tag string) *call {
	found := lab.backend.seen("", func(c call) bool { return connects(c) && c.Data.Params["tag"] == tag })
	if len(found) == 0 {
		return nil
	}
	return &found[0]
}

// speaks checks the serializer of a connection by a heartbeat.
func speaks(t *testing.T, raw *phoenixtest.Raw, version int) {
	t.Helper()
	ask, answer := `[null,"1","phoenix","heartbeat",{}]`, `[null,"1","phoenix","phx_reply",{"status":"ok","response":{}}]`
	if version == 1 {
		ask = `{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"1"}`
		answer = `{"topic":"phoenix","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"1"}`
	}
	raw.Send(phoenixtest.Frame{Opcode: phoenixtest.OpText, Payload: []byte(ask)})
	raw.Want(phoenixtest.OpText, answer)
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	t.Run("H1 upgrade", func(t *testing.T) {
		raw := upgrade(t, "socket", "vsn=2.0.0", nil)
		wantStatus(t, raw, 101)
		for _, name := range []string{"Sec-Websocket-Protocol", "Sec-Websocket-Extensions"} {
			if got := raw.Header.Get(name); got != "" {
				t.Errorf("got %s %q, want none", name, got)
			}
		}
		speaks(t, raw, 2)
	})
	t.Run("H2 no vsn is V1", func(t *testing.T) {
		raw := upgrade(t, "socket", "", nil)
		wantStatus(t, raw, 101)
		speaks(t, raw, 1)
	})
	for query, version := range map[string]int{"vsn=1.0.0": 1, "vsn=1.0.7": 1, "vsn=2.0.5": 2} {
		t.Run("H3 "+query, func(t *testing.T) {
			raw := upgrade(t, "socket", query, nil)
			wantStatus(t, raw, 101)
			speaks(t, raw, version)
		})
	}
	for query, id := range map[string]string{
		"vsn=3.0.0": "H4", "vsn=2.1.0": "H4", "vsn=123.1.1": "H4",
		"vsn=2": "H5", "vsn=2.0": "H5", "vsn=": "H5", "vsn=v2.0.0": "H5", "vsn=2.0.0-rc.1": "H5",
		"vsn[]=2.0.0": "H6",
	} {
		t.Run(id+" "+query, func(t *testing.T) {
			tag := newUser()
			wantStatus(t, upgrade(t, "socket", query+"&tag="+tag, nil), 403)
			if connectOf(tag) != nil {
				t.Error("the backend was asked")
			}
		})
	}
	t.Run("H7 the last vsn wins", func(t *testing.T) {
		raw := upgrade(t, "socket", "vsn=1.0.0&vsn=2.0.0", nil)
		wantStatus(t, raw, 101)
		speaks(t, raw, 2)
	})
	t.Run("H37 paths", func(t *testing.T) {
		p := sharedPod(t, "socket")
		for target, want := range map[string]int{"/socket/websocket/?vsn=2.0.0": 101, "/socket?vsn=2.0.0": 404} {
			if got := phoenixtest.Open(t, p.addr, phoenixtest.Request{Target: target}).Status; got != want {
				t.Errorf("%s: got status %d, want %d", target, got, want)
			}
		}
	})
	t.Run("H38 params", func(t *testing.T) {
		tag := newUser()
		wantStatus(t, upgrade(t, "socket", "vsn=2.0.0&a%5B0%5D=x&b%5Bc%5D=d&&n&e=&tag="+tag, nil), 101)
		c := connectOf(tag)
		if c == nil {
			t.Fatal("the backend was not asked")
		}
		want := map[string]any{"vsn": "2.0.0", "tag": tag, "n": "", "e": "",
			"a": map[string]any{"0": "x"}, "b": map[string]any{"c": "d"}}
		if !reflect.DeepEqual(c.Data.Params, want) {
			t.Errorf("got params %v, want %v", c.Data.Params, want)
		}
		if c.Data.Transport != "websocket" || c.Data.VSN != "2.0.0" || c.Data.RemoteIP != "127.0.0.1" {
			t.Errorf("got transport %q, vsn %q, remote_ip %q", c.Data.Transport, c.Data.VSN, c.Data.RemoteIP)
		}
	})
}

func TestHandshakeConnect(t *testing.T) {
	t.Parallel()
	t.Run("H8 refused", func(t *testing.T) {
		wantStatus(t, upgrade(t, "socket", "vsn=2.0.0&reject=true", nil), 403)
	})
	t.Run("H9 refused with an answer", func(t *testing.T) {
		raw := upgrade(t, "socket", "vsn=2.0.0&ratelimit=true", nil)
		if got := fmt.Sprintf("%d %s", raw.Status, raw.Body); got != "429 Too many requests" {
			t.Errorf("got %q, want 429 Too many requests", got)
		}
	})
	t.Run("H10 refused without an answer", func(t *testing.T) {
		wantStatus(t, upgrade(t, "noauth", "vsn=2.0.0&ratelimit=true", nil), 403)
	})
	t.Run("H11 backend crashed", func(t *testing.T) {
		raw := upgrade(t, "socket", "vsn=2.0.0&crash=true", nil)
		if raw.Status != 503 || raw.Header.Get("Retry-After") == "" {
			t.Errorf("got status %d, Retry-After %q, want 503 with Retry-After", raw.Status, raw.Header.Get("Retry-After"))
		}
	})
}

func TestHandshakeOrigin(t *testing.T) {
	t.Parallel()
	port := func(kind string) string { _, port, _ := strings.Cut(sharedPod(t, kind).addr, ":"); return port }
	for _, c := range []struct {
		id, kind, origin string
		status           int
	}{
		{"H13", "socket", "http://evil.com", 403},
		{"H14", "socket", "https://example.com:444", 101},
		{"H15", "socket", "http://wild.com", 101},
		{"H15", "socket", "http://a.b.wild.com", 101},
		{"H16", "socket", "http://xwild.com", 403},
		{"H17", "socket", "https://secure.com:8443", 403},
		{"H17", "socket", "http://secure.com", 403},
		{"H18", "socket", "http://port.com:81", 101},
		{"H18", "socket", "http://port.com:82", 403},
		{"H19", "socket", "null", 403},
		{"H19", "socket", "file://", 403},
		{"H19", "socket", "", 403},
		{"H20", "socket", "http://EXAMPLE.com", 403},
		{"H21", "conn", "http://127.0.0.1:" + port("conn"), 101},
		{"H21", "conn", "http://127.0.0.1", 403},
		{"H22", "trueo", "https://localhost:9", 101},
		{"H22", "trueo", "http://127.0.0.1:" + port("trueo"), 403},
	} {
		t.Run(fmt.Sprintf("%s %q", c.id, c.origin), func(t *testing.T) {
			tag := newUser()
			wantStatus(t, upgrade(t, c.kind, "vsn=2.0.0&tag="+tag, http.Header{"Origin": {c.origin}}), c.status)
			if asked := connectOf(tag) != nil; asked != (c.status == 101) {
				t.Errorf("got asked the backend %t, want %t", asked, c.status == 101)
			}
		})
	}
	t.Run("H12 no origin", func(t *testing.T) {
		wantStatus(t, upgrade(t, "socket", "vsn=2.0.0", nil), 101)
		wantStatus(t, upgrade(t, "conn", "vsn=2.0.0", nil), 101)
	})
}

func TestHandshakeRequest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		method string
		header http.Header
	}{
		{"H23 plain GET", "GET", http.Header{"Connection": nil, "Upgrade": nil, "Sec-WebSocket-Key": nil, "Sec-WebSocket-Version": nil}},
		{"H24 another WebSocket version", "GET", http.Header{"Sec-WebSocket-Version": {"8"}}},
		{"H24 no key", "GET", http.Header{"Sec-WebSocket-Key": nil}},
		{"H25 POST", "POST", http.Header{"Content-Length": {"0"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := sharedPod(t, "socket")
			raw := phoenixtest.Open(t, p.addr, phoenixtest.Request{Method: c.method, Target: p.path("vsn=2.0.0"), Header: c.header})
			if raw.Status != 400 {
				t.Fatalf("got status %d, want 400", raw.Status)
			}
			if c.method == "POST" && len(raw.Body) > 0 {
				t.Errorf("got body %q, want none", raw.Body)
			}
		})
	}
}

func TestHandshakeSubprotocol(t *testing.T) {
	t.Parallel()
	const token = "base64url.bearer.phx."
	for _, c := range []struct {
		name, kind, offer string
		status            int
		echo              string
		token             string
	}{
		{"H26 phoenix", "socket", "phoenix", 101, "phoenix", ""},
		{"H27 token", "socket", "phoenix, " + token + "MTIzNA", 101, "phoenix", "1234"},
		{"H28 swapped", "socket", token + "MTIzNA, phoenix", 101, "phoenix", "1234"},
		{"H28 padded", "socket", "phoenix, " + token + "MTIzNA==", 101, "phoenix", "1234"},
		{"H29 standard alphabet", "socket", "phoenix, " + token + "bXk/dG9rZW4+Pj5+", 101, "phoenix", "my?token>>>~"},
		{"H29 URL alphabet", "socket", "phoenix, " + token + "bXk_dG9rZW4-Pj5-", 101, "phoenix", "my?token>>>~"},
		{"H30 token alone", "socket", token + "MTIzNA", 101, "", "1234"},
		{"H31 two tokens", "socket", "phoenix, " + token + "MTIzNA, " + token + "NTY3OA", 101, "phoenix", ""},
		{"H32 junk token", "socket", "phoenix, " + token + "!!!", 403, "", ""},
		{"H33 unknown", "socket", "mqtt", 403, "", ""},
		{"H34 server's order", "sub", "mqtt, sip", 101, "sip", ""},
		{"H34 none", "sub", "", 101, "", ""},
		{"H34 no overlap", "sub", "foo", 403, "", ""},
		{"H35 phoenix is always echoed", "noauth", "phoenix, " + token + "MTIzNA", 101, "phoenix", "1234"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tag := newUser()
			header := http.Header{"Sec-WebSocket-Protocol": {c.offer}}
			if c.offer == "" {
				header = nil
			}
			raw := upgrade(t, c.kind, "vsn=2.0.0&tag="+tag, header)
			wantStatus(t, raw, c.status)
			if got := raw.Header.Get("Sec-WebSocket-Protocol"); got != c.echo {
				t.Errorf("got protocol %q, want %q", got, c.echo)
			}
			asked := connectOf(tag)
			if c.status != 101 {
				return
			}
			if asked == nil {
				t.Fatal("the backend was not asked")
			}
			if got := asked.Data.AuthToken; (got == nil) != (c.token == "") || got != nil && *got != c.token {
				t.Errorf("got auth_token %v, want %q", got, c.token)
			}
			speaks(t, raw, 2)
		})
	}
	for kind, want := range map[string]bool{"comp": true, "socket": false} {
		t.Run("H36 compression on "+kind, func(t *testing.T) {
			offer := http.Header{"Sec-WebSocket-Extensions": {"permessage-deflate; client_max_window_bits"}}
			raw := upgrade(t, kind, "vsn=2.0.0", offer)
			wantStatus(t, raw, 101)
			if got := raw.Header.Get("Sec-WebSocket-Extensions"); strings.HasPrefix(got, "permessage-deflate") != want || !want && got != "" {
				t.Errorf("got extensions %q, want deflate: %t", got, want)
			}
		})
	}
}
