package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"roost/auth"
	"roost/gateway"
	"roost/phoenix/phoenixtest"
)

// behindProxy makes the test's own address that of a proxy, so that it can speak for any client.
func behindProxy(c *gateway.Config) {
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// from is the header of a request that a proxy passes on for ip.
func from(ip string) http.Header { return http.Header{"X-Forwarded-For": {ip}} }

// knock asks for a WebSocket as ip does. It stays open until the test ends, or hang up is called.
func (p *pod) knock(ip string) *phoenixtest.Raw {
	p.tb.Helper()
	return phoenixtest.Open(p.tb, p.addr, phoenixtest.Request{Target: "/socket/websocket?vsn=2.0.0", Header: from(ip)})
}

// wantRefused checks that a limit has refused a handshake, and that the client is told when to come again.
func wantRefused(t *testing.T, p *pod, r *phoenixtest.Raw, status int, kind string) {
	t.Helper()
	wait, err := strconv.Atoi(r.Header.Get("Retry-After"))
	if r.Status != status || err != nil || wait < 1 {
		t.Fatalf("got status %d, Retry-After %q, want %d and when to come again", r.Status, r.Header.Get("Retry-After"), status)
	}
	if got := p.counter("roost_limited_total", "kind="+kind); got < 1 {
		t.Errorf("got roost_limited_total{kind=%q} = %v, want it counted", kind, got)
	}
	if got := p.counter("roost_connections_rejected_total", "reason="+kind); got < 1 {
		t.Errorf("got roost_connections_rejected_total{reason=%q} = %v, want it counted", kind, got)
	}
}

func wantUpgraded(t *testing.T, r *phoenixtest.Raw) {
	t.Helper()
	if r.Status != http.StatusSwitchingProtocols {
		t.Fatalf("got status %d %q, want a WebSocket", r.Status, r.Body)
	}
}

func TestConnectionsOfAPod(t *testing.T) {
	p := startPod(t, &backend{}, behindProxy, func(c *gateway.Config) { c.Limits.Connections = 2 })
	first := p.knock("192.0.2.1")
	wantUpgraded(t, first)
	wantUpgraded(t, p.knock("192.0.2.2"))
	wantRefused(t, p, p.knock("192.0.2.3"), 503, "connections")
	if a := p.longPoll().poll(); a.code != 503 || a.header.Get("Retry-After") == "" || strings.Contains(a.body, "{") {
		t.Errorf("long-poll: got %+v, want a plain 503", a)
	}
	first.Conn.Close()
	eventually(t, "place", func() bool { return p.knock("192.0.2.3").Status == 101 })
	p.backend.wantGone(t, "closed") // nobody who was refused was accepted before
}

// A handshake that fails gives its place back, and one under way has it.
func TestPlacesOfHandshakes(t *testing.T) {
	asked, let := make(chan struct{}), make(chan error)
	p := startPod(t, &backend{connect: func(context.Context, *auth.Client) (*auth.ConnectAnswer, error) {
		asked <- struct{}{}
		return &auth.ConnectAnswer{}, <-let
	}}, func(c *gateway.Config) { c.Limits.Connections = 1 })
	for range 3 {
		answer := make(chan int)
		go func() { answer <- p.status("/socket/websocket?vsn=2.0.0", nil) }()
		await(t, "connect", asked)
		wantRefused(t, p, p.knock(""), 503, "connections")
		let <- &auth.Refusal{Code: 403}
		if got := await(t, "answer", answer); got != 403 {
			t.Fatalf("got status %d, want 403", got)
		}
	}
	if got := p.status("/socket/websocket?vsn=9", nil); got != 403 {
		t.Fatalf("got status %d, want 403", got)
	}
	go func() { <-asked; let <- nil }()
	wantUpgraded(t, p.knock(""))
}

func TestConnectionsOfAnAddress(t *testing.T) {
	p := startPod(t, &backend{}, behindProxy, func(c *gateway.Config) { c.Limits.ConnectionsPerIP = 1 })
	first := p.knock("192.0.2.1")
	wantUpgraded(t, first)
	wantUpgraded(t, p.knock("192.0.2.2"))
	wantRefused(t, p, p.knock("192.0.2.1"), 429, "connections_per_ip")
	wantRefused(t, p, p.knock("10.9.9.9, ::ffff:192.0.2.1"), 429, "connections_per_ip") // what a client forges does not help
	wantUpgraded(t, p.knock("2001:db8:0:1::1"))
	wantRefused(t, p, p.knock("2001:db8:0:1:ffff::2"), 429, "connections_per_ip") // one client has a whole /64
	wantUpgraded(t, p.knock("2001:db8:0:2::1"))
	first.Conn.Close()
	eventually(t, "place", func() bool { return p.knock("192.0.2.1").Status == 101 })
}

func TestConnectionsOfASocketID(t *testing.T) {
	b := &backend{connect: func(_ context.Context, c *auth.Client) (*auth.ConnectAnswer, error) {
		_, id, _ := strings.Cut(string(c.Params), `"id":"`)
		id, _, _ = strings.Cut(id, `"`)
		return &auth.ConnectAnswer{ID: id}, nil
	}}
	p := startPod(t, b, func(c *gateway.Config) {
		c.Limits.ConnectionsPerID = 2
		c.Limits.FailuresPerIP = gateway.Rate{N: 1, Per: time.Hour} // what a limit refuses is no failure
	})
	as := func(id string) *phoenixtest.Raw {
		return phoenixtest.Open(t, p.addr, phoenixtest.Request{Target: "/socket/websocket?vsn=2.0.0&id=" + id})
	}
	first := as("a")
	for _, raw := range []*phoenixtest.Raw{first, as("a"), as("b"), as(""), as(""), as("")} {
		wantUpgraded(t, raw)
	}
	wantRefused(t, p, as("a"), 429, "connections_per_id")
	b.wantGone(t, "error") // the backend had accepted it
	wantUpgraded(t, as("c"))
	first.Conn.Close()
	eventually(t, "place", func() bool { return as("a").Status == 101 })
	wantRefused(t, p, as("a"), 429, "connections_per_id")
}

func TestConnectRateOfAnAddress(t *testing.T) {
	p := startPod(t, &backend{}, behindProxy, func(c *gateway.Config) {
		c.Limits.Connects = gateway.Rate{N: 4, Per: time.Hour}
		c.Limits.ConnectsPerIP = gateway.Rate{N: 2, Per: time.Minute}
	})
	wantUpgraded(t, p.knock("192.0.2.1"))
	wantUpgraded(t, p.knock("192.0.2.1"))
	r := p.knock("192.0.2.1")
	wantRefused(t, p, r, 429, "connect_rate_per_ip")
	if got := r.Header.Get("Retry-After"); got != "30" && got != "29" {
		t.Errorf("got Retry-After %s, want the half minute until there is a token", got)
	}
	for range 9 {
		p.knock("192.0.2.1") // does not use up what is there for all
	}
	wantUpgraded(t, p.knock("192.0.2.2"))
	wantUpgraded(t, p.knock("192.0.2.3"))
	r = p.knock("192.0.2.4")
	wantRefused(t, p, r, 503, "connect_rate")
	if a := p.longPoll().poll(); a.code != 503 {
		t.Errorf("long-poll: got %+v, want 503", a)
	}
}

// What does not need a new connection is not held up by the connect rate.
func TestConnectRateLeavesSessionsAlone(t *testing.T) {
	p := startPod(t, &backend{}, func(c *gateway.Config) { c.Limits.Connects = gateway.Rate{N: 1, Per: time.Hour} })
	c := p.polling().join("a:b")
	for range 3 {
		c.post(frame("1", "2", "a:b", "e", "{}"))
		c.want(okay("1", "2", "a:b", "{}"))
	}
}

func TestConnectRate(t *testing.T) {
	const rate = 100
	p := startPod(t, &backend{}, func(c *gateway.Config) { c.Limits.Connects = gateway.Rate{N: rate, Per: time.Second} })
	knock := func() int {
		raw := p.knock("")
		raw.Conn.Close()
		return raw.Status
	}
	upgraded, tries, begin := 0, 0, time.Now()
	last, longest := begin, time.Duration(0)
	for time.Since(begin) < 3*time.Second {
		tries++
		if knock() == 101 {
			upgraded++
		}
		longest, last = max(longest, time.Since(last)), time.Now()
	}
	elapsed := time.Since(begin)
	want := rate * (1 + elapsed.Seconds())
	t.Logf("%d of %d handshakes in %v, want %.0f", upgraded, tries, elapsed, want)
	if got := float64(upgraded); got > want*1.05 {
		t.Errorf("got %v handshakes in %v, want at most %.0f", got, elapsed, want)
	}
	if got := float64(upgraded); got < want*0.95 && float64(tries) > 2*want && longest < time.Second/2 {
		t.Errorf("got %v handshakes in %v, want %.0f", got, elapsed, want)
	}
}

func TestFailedConnects(t *testing.T) {
	b := &backend{connect: func(_ context.Context, c *auth.Client) (*auth.ConnectAnswer, error) {
		if strings.Contains(string(c.Params), "bad") {
			return nil, &auth.Refusal{Code: 401}
		}
		return &auth.ConnectAnswer{}, nil
	}}
	p := startPod(t, b, behindProxy, func(c *gateway.Config) { c.Limits.FailuresPerIP = gateway.Rate{N: 3, Per: time.Hour} })
	ask := func(ip, query string) *phoenixtest.Raw {
		return phoenixtest.Open(t, p.addr, phoenixtest.Request{Target: "/socket/websocket?" + query, Header: from(ip)})
	}
	for range 5 {
		wantUpgraded(t, ask("192.0.2.1", "vsn=2.0.0"))
	}
	for i, want := range []int{401, 403, 400} {
		query := []string{"bad", "vsn=9", "a=%ff"}[i]
		if got := ask("192.0.2.1", query).Status; got != want {
			t.Fatalf("%s: got status %d, want %d", query, got, want)
		}
	}
	wantRefused(t, p, ask("192.0.2.1", "vsn=2.0.0"), 429, "failed_connects_per_ip")
	wantUpgraded(t, ask("192.0.2.2", "vsn=2.0.0"))
}

// A client that comes back with the same bad credentials costs the backend nothing.
func TestRefusalsAreRemembered(t *testing.T) {
	asked := make(chan string, 100)
	b := &backend{connect: func(_ context.Context, c *auth.Client) (*auth.ConnectAnswer, error) {
		asked <- string(c.Params)
		switch {
		case strings.Contains(string(c.Params), "busy"):
			return nil, &auth.Refusal{Code: 429}
		case c.AuthToken != nil:
			return &auth.ConnectAnswer{}, nil
		}
		return nil, &auth.Refusal{Code: 403, Response: []byte(`"no"`)}
	}}
	p := startPod(t, b, behindProxy, func(c *gateway.Config) { c.Limits.RefusalMemory = 300 * time.Millisecond })
	ask := func(ip, query, token string) string {
		header := from(ip)
		if token != "" {
			header.Set("Sec-WebSocket-Protocol", "phoenix, base64url.bearer.phx."+token)
		}
		r := phoenixtest.Open(t, p.addr, phoenixtest.Request{Target: "/socket/websocket?" + query, Header: header})
		return fmt.Sprintf("%d %s", r.Status, r.Body)
	}
	for range 3 {
		for _, who := range []string{"a", "b"} {
			if got := ask("192.0.2.1", "token="+who, ""); got != "403 no" {
				t.Fatalf("got %s, want 403 no", got)
			}
		}
	}
	if got := len(asked); got > 2 && p.counter("roost_limited_total", "kind=refused_again") == 0 {
		t.Errorf("got %d calls, want one for each token", got)
	}
	before := len(asked)
	ask("192.0.2.2", "token=a", "") // somebody else
	if got := ask("192.0.2.1", "token=a", "YQ"); got != "101 " {
		t.Errorf("with another token: got %s, want 101", got)
	}
	ask("192.0.2.1", "busy", "")
	ask("192.0.2.1", "busy", "") // come again, it said
	if got := len(asked) - before; got != 4 {
		t.Errorf("got %d calls, want 4", got)
	}
	eventually(t, "new question", func() bool {
		before := len(asked)
		ask("192.0.2.1", "token=a", "")
		return len(asked) > before
	})
}
