package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"roost/gateway"
)

// What a handshake costs that a limit turns away, beside what the HTTP server has done before.
func BenchmarkRefusedConnect(b *testing.B) {
	for name, limits := range map[string]gateway.Limits{
		"by the pod's rate":       {Connects: gateway.Rate{N: 1, Per: time.Hour}},
		"by the address's rate":   {ConnectsPerIP: gateway.Rate{N: 1, Per: time.Hour}},
		"by the pod's number":     {Connections: 1},
		"by the address's number": {ConnectionsPerIP: 1},
	} {
		b.Run(name, func(b *testing.B) {
			p := startPod(b, &backend{}, silent, behindProxy, func(c *gateway.Config) { c.Limits = limits })
			p.knock("192.0.2.1")
			r := httptest.NewRequest(http.MethodGet, "/socket/websocket?vsn=2.0.0", nil)
			r.RemoteAddr, r.Header = "127.0.0.1:1", from("192.0.2.1")
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				if p.ServeHTTP(w, r); w.Code < 400 {
					b.Fatalf("got status %d, want a refusal", w.Code)
				}
			}
		})
	}
}

// The same as BenchmarkHeartbeat with a limit on messages.
func BenchmarkHeartbeatLimited(b *testing.B) {
	c := bare(b, startPod(b, &backend{}, silent, func(c *gateway.Config) {
		c.Limits.Messages = gateway.Rate{N: 1_000_000, Per: time.Second}
	}))
	b.ReportAllocs()
	for b.Loop() {
		ask(b, c, `[null,"1","phoenix","heartbeat",{}]`, 1)
	}
}
