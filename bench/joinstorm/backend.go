package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// backend lets everyone in. It counts what it is asked once the storm has begun.
type backend struct {
	url    string
	places int64
	takes  time.Duration
	storm  atomic.Bool

	now, peak atomic.Int64
	calls     atomic.Int64
	over      atomic.Int64 // calls beyond its places
	cut       atomic.Int64 // calls that the gateway gave up
}

func serve(places int, takes time.Duration) (*backend, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &backend{url: "http://" + l.Addr().String(), places: int64(places), takes: takes}
	go func() { _ = http.Serve(l, b) }() // as long as the program runs
	return b, nil
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var call struct {
		Data struct{ Params struct{ User string } }
	}
	if body, err := io.ReadAll(r.Body); err != nil || json.Unmarshal(body, &call) != nil {
		return
	}
	if !b.storm.Load() {
		fmt.Fprintf(w, `{"status":"ok","id":%q}`, call.Data.Params.User)
		return
	}
	b.calls.Add(1)
	n := b.now.Add(1)
	defer b.now.Add(-1)
	for m := b.peak.Load(); n > m && !b.peak.CompareAndSwap(m, n); m = b.peak.Load() {
	}
	if n > b.places {
		b.over.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	select {
	case <-time.After(b.takes):
		_, _ = io.WriteString(w, `{"status":"ok"}`)
	case <-r.Context().Done():
		b.cut.Add(1)
	}
}

// awaitReady waits until the gateway may be used.
func awaitReady(url string) error {
	for range 500 {
		if r, err := http.Get(url); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return nil
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.New("the gateway is not ready")
}
