package conformance_test

import (
	"errors"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"sync/atomic"
	"testing"
)

// roundRobin is a proxy in front of pods: it sends each request to the next one, and to the one after it if nobody
// listens there.
type roundRobin struct {
	pods []*pod
	next atomic.Uint64
	base *http.Transport
}

// RoundTrip implements [http.RoundTripper].
func (rr *roundRobin) RoundTrip(r *http.Request) (*http.Response, error) {
	n := rr.next.Add(1)
	for i := range rr.pods {
		r.URL.Host = rr.pods[(n+uint64(i))%uint64(len(rr.pods))].addr
		response, err := rr.base.RoundTrip(r)
		var failed *net.OpError
		if err == nil || i == len(rr.pods)-1 || !errors.As(err, &failed) || failed.Op != "dial" {
			return response, err
		}
	}
	panic("no pods")
}

// behindProxy starts a round-robin proxy in front of pods and returns its host and port.
func behindProxy(t testing.TB, pods ...*pod) string {
	rr := &roundRobin{pods: pods, base: &http.Transport{MaxIdleConnsPerHost: 1000}}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Transport: rr,
		ErrorLog:  log.New(t.Output(), "", 0),
		Rewrite:   func(p *httputil.ProxyRequest) { p.Out.URL.Scheme, p.Out.Host = "http", p.In.Host },
	})
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		rr.base.CloseIdleConnections()
	})
	return server.Listener.Addr().String()
}

// threePods returns the pods of long-polling that tests share.
func threePods(t testing.TB) []*pod { return threeOf(t, "lp") }

func threeOf(t testing.TB, kind string) []*pod {
	t.Helper()
	return []*pod{sharedTwin(t, kind, 1), sharedTwin(t, kind, 2), sharedTwin(t, kind, 3)}
}

// overOneAndThree runs a test over one pod, and over a proxy in front of three.
func overOneAndThree(t *testing.T, test func(t *testing.T, addr string)) {
	t.Run("one pod", func(t *testing.T) {
		t.Parallel()
		test(t, sharedPod(t, "lp").addr)
	})
	t.Run("three pods", func(t *testing.T) {
		t.Parallel()
		test(t, behindProxy(t, threePods(t)...))
	})
}
