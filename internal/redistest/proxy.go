package redistest

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Proxy stands between a pod and a server, and can be told to be a bad network.
type Proxy struct {
	// URL is that of the server, by way of the proxy.
	URL string

	proxy *toxiproxy.Proxy
}

// Between starts a proxy in front of s.
func Between(t testing.TB, s *Server) *Proxy {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := toxiproxy.NewProxy(server, "redis", "127.0.0.1:0", s.Addr())
	must(t, p.Start())
	t.Cleanup(p.Stop)
	u, err := url.Parse(s.URL)
	must(t, err)
	u.Host = p.Listen
	return &Proxy{URL: u.String(), proxy: p}
}

// Swallow lets everything vanish that is sent from now on, in both directions. Connections stay open, and new ones are
// accepted.
func (p *Proxy) Swallow(t testing.TB) {
	t.Helper()
	p.add(t, "upstream", `"type":"timeout","attributes":{"timeout":0}`)
	p.add(t, "downstream", `"type":"timeout","attributes":{"timeout":0}`)
}

// SwallowAnswers lets vanish what the server sends.
func (p *Proxy) SwallowAnswers(t testing.TB) {
	t.Helper()
	p.add(t, "downstream", `"type":"timeout","attributes":{"timeout":0}`)
}

// Delay holds what the server sends for d.
func (p *Proxy) Delay(t testing.TB, d time.Duration) {
	t.Helper()
	p.add(t, "downstream", fmt.Sprintf(`"type":"latency","attributes":{"latency":%d}`, d.Milliseconds()))
}

func (p *Proxy) add(t testing.TB, stream, toxic string) {
	t.Helper()
	_, err := p.proxy.Toxics.AddToxicJson(strings.NewReader(`{"stream":"` + stream + `","toxicity":1,` + toxic + `}`))
	must(t, err)
}

// Heal makes the network good again. Connections from which something vanished are closed.
func (p *Proxy) Heal(t testing.TB) {
	t.Helper()
	p.proxy.Toxics.ResetToxics(t.Context())
}
