package main

import (
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"roost/phoenix/phoenixtest"
)

const (
	traceID     = "4bf92f3577b34da6a3ce929d0e0e4736"
	traceparent = "00-" + traceID + "-00f067aa0ba902b7-01"
)

// traced is a backend that remembers the trace of each call.
type traced struct {
	mu    sync.Mutex
	calls map[string]string // traceparent by type
}

func (b *traced) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	kind, _, _ := strings.Cut(strings.TrimPrefix(string(body), `{"type":"`), `"`)
	b.mu.Lock()
	b.calls[kind] = r.Header.Get("Traceparent")
	b.mu.Unlock()
	_, _ = io.WriteString(w, `{"status":"ok","broadcast":[{"event":"e"}]}`)
}

// visit connects with a traceparent, joins and pushes, and returns the traceparents that the backend saw.
func visit(t *testing.T) map[string]string {
	t.Helper()
	redis := miniredis.RunT(t)
	b := &traced{calls: map[string]string{}}
	p := start(t, nil, "REDIS_URL=redis://"+redis.Addr(), "ROOST_WEBHOOK_URL="+server(t, b.ServeHTTP), "ROOST_WEBHOOK_EVENTS=connect,join,push")
	clients, _ := p.ports()
	client := phoenixtest.Dial(t, "ws://"+clients+"/socket/websocket?vsn=2.0.0", http.Header{"Traceparent": {traceparent}})
	client.Send(`["1","1","t:1","phx_join",{}]`)
	client.Want(`["1","1","t:1","phx_reply",{"status":"ok","response":{}}]`, `[null,null,"t:1","e",{}]`)
	client.Send(`["1","2","t:1","shout",{}]`)
	client.Want(`[null,null,"t:1","e",{}]`, `["1","2","t:1","phx_reply",{"status":"ok","response":{}}]`)
	if code := p.exit(); code != exitOK {
		t.Errorf("got exit code %d, want 0", code)
	}
	return b.calls
}

// Without tracing the backend is told the client's trace as it is.
func TestTraceIsPassedOn(t *testing.T) {
	for kind, got := range visit(t) {
		if got != traceparent {
			t.Errorf("%s: got traceparent %q, want %q", kind, got, traceparent)
		}
	}
}

func TestTracing(t *testing.T) {
	var mu sync.Mutex
	names := map[string]string{} // trace id by span
	otlp := server(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var export collector.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &export); err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("got %s with %v, want spans", r.URL.Path, err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, resource := range export.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				for _, span := range scope.Spans {
					names[span.Name] = hex.EncodeToString(span.TraceId)
				}
			}
		}
	})
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", otlp)
	calls := visit(t)
	for _, kind := range []string{"socket.connect", "channel.join", "channel.push"} {
		if got := calls[kind]; !strings.HasPrefix(got, "00-"+traceID+"-") || got == traceparent {
			t.Errorf("%s: got traceparent %q, want a span of ours in trace %s", kind, got, traceID)
		}
	}
	want := []string{"roost.connect", "roost.join", "roost.push", "roost.broadcast", "webhook socket.connect", "webhook channel.join", "webhook channel.push"}
	for _, name := range want {
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			mu.Lock()
			_, found := names[name]
			mu.Unlock()
			if found {
				break
			}
		}
		mu.Lock()
		if names[name] != traceID {
			t.Errorf("got span %q in trace %q, want it in %s; there are %v", name, names[name], traceID, names)
		}
		mu.Unlock()
	}
}
