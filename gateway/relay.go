package gateway

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// headerHop marks a request that another pod has passed on: "<unix time, base 36> <signature>". The signature is made with
// the key that only pods have, over the pod it was sent to as well.
const headerHop = "Roost-Hop"

// hopAge is how old a mark may be; clocks of pods may differ by so much.
const hopAge = time.Minute

// errNoPod means that something else answers at a pod's address, such as what got that address after it.
var errNoPod = errors.New("gateway: no pod answers there")

// relay passes a request on to the pod that has its session, and tells whether it has answered it. A request that was
// passed on already goes no further, so there are no loops. The address comes from the directory, never from the request, and is
// looked up only for a token that has been verified.
func (g *Gateway) relay(w http.ResponseWriter, r *http.Request, pod, token string, key []byte) bool {
	if g.hopped(r, pod, key) {
		return false
	}
	base, err := g.cfg.Directory.URL(r.Context(), pod)
	if err != nil {
		g.cfg.Logger.Warn("long-poll owner unknown", "pod", pod, "err", err)
	}
	target, err := url.Parse(base)
	if base == "" || err != nil {
		return false // the owner is gone, or cannot be reached: so is the session
	}
	g.metrics.relayed.Inc()
	client := r.Context() // held polls end at once when this pod drains
	ctx, cancel := context.WithCancel(client)
	defer cancel()
	stop := func() bool { return true }
	if r.Method == http.MethodGet {
		if g.leaving.Err() != nil {
			g.answerJSON(w, envelope(http.StatusNoContent, token, nil)) // with Connection: close, see serveLongPoll
			return true
		}
		stop = context.AfterFunc(g.leaving, cancel)
	}
	defer stop()
	r = r.WithContext(ctx)
	proxy := httputil.ReverseProxy{
		Transport: g.transport,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Host = p.In.Host               // the origin rule "conn" looks at it
			p.Out.Header.Del("Origin")           // it has been checked
			p.Out.Header.Set(headerToken, token) // this one has been checked, whatever else the request says
			p.Out.Header.Set(headerHop, sealHop(key, pod, time.Now()))
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if client.Err() != nil {
				return // the client is gone
			}
			if ctx.Err() != nil {
				w.Header().Set("Connection", "close")
				g.answerJSON(w, envelope(http.StatusNoContent, token, nil))
				return
			}
			g.cfg.Logger.Warn("long-poll owner unreachable", "pod", pod, "err", err)
			status := http.StatusInternalServerError
			if r.Method == http.MethodPost {
				status = http.StatusGone
			}
			g.answerJSON(w, envelope(status, "", nil))
		},
		ModifyResponse: func(answer *http.Response) error {
			if answer.Header.Get("Cache-Control") != "no-store" || answer.Header.Get("Access-Control-Allow-Origin") != "*" {
				return errNoPod
			}
			stop() // what the owner has given must not be cut off
			g.limitWrite(w)
			for _, name := range []string{"Access-Control-Allow-Origin", "Cache-Control"} {
				answer.Header.Del(name) // ours are there already
			}
			return nil
		},
	}
	proxy.ServeHTTP(w, r)
	return true
}

// hopped tells whether another pod has passed r on. No client can make it look so.
func (g *Gateway) hopped(r *http.Request, pod string, key []byte) bool {
	mark := r.Header.Get(headerHop)
	stamp, _, found := strings.Cut(mark, " ")
	seconds, err := strconv.ParseInt(stamp, 36, 64)
	if !found || err != nil || time.Since(time.Unix(seconds, 0)).Abs() > hopAge {
		return false
	}
	return hmac.Equal([]byte(sealHop(key, pod, time.Unix(seconds, 0))), []byte(mark))
}

// sealHop returns the mark of a request that goes to a pod.
func sealHop(key []byte, pod string, now time.Time) string {
	stamp := strconv.FormatInt(now.Unix(), 36)
	return stamp + " " + base64.RawURLEncoding.EncodeToString(seal(key, "hop", stamp+" "+pod))
}

// newTransport returns what carries requests between pods.
func newTransport(window time.Duration) *http.Transport {
	dialer := net.Dialer{Timeout: 2 * time.Second}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, addr)
		},
		MaxIdleConnsPerHost:   256,
		IdleConnTimeout:       time.Minute,
		ResponseHeaderTimeout: window + 5*time.Second,
		DisableCompression:    true,
	}
}
