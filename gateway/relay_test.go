package gateway_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestRelay(t *testing.T) {
	t.Parallel()
	d := newRelays()
	a, b := d.start(t, "pod-a", nil), d.start(t, "pod-b", nil)
	there := a.open(t).join("a").at(b.url)
	for n := range 3 {
		answer := there.hold()
		settle()
		d.say("a", n)
		got := await(t, "answer", answer)
		wantMessages(t, got, said("a", n))
		for _, name := range []string{"Access-Control-Allow-Origin", "Cache-Control", "Content-Type"} {
			if len(got.header.Values(name)) != 1 {
				t.Errorf("got %s %q, want one", name, got.header.Values(name))
			}
		}
	}
	there.post(frame("1", "2", "a", "say", `{"x":1}`))
	there.want(okay("1", "2", "a", `{"x":1}`))
	if a.requests.Load() == 0 {
		t.Error("got no requests at the owner, want those that were passed on")
	}

	t.Run("the client leaves", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := there.request(ctx, http.MethodGet, nil, nil)
			ended <- err
		}()
		settle()
		cancel()
		await(t, "end of the request", ended)
		settle()
		d.say("a", 7)
		there.want(said("a", 7))
	})
	t.Run("a newer poll at the owner", func(t *testing.T) {
		older := there.hold()
		settle()
		newer := there.at(a.url).hold()
		if got := await(t, "answer to the older", older); got.Status != http.StatusNoContent {
			t.Errorf("got %q, want status 204", got.body)
		}
		d.say("a", 8)
		wantMessages(t, await(t, "answer to the newer", newer), said("a", 8))
	})
	t.Run("origin conn, under the host that the client sees", func(t *testing.T) {
		host := strings.TrimPrefix(b.url, "http://")
		got, err := there.request(until(t), http.MethodPost, nil, http.Header{"Origin": {"http://" + host}, "Content-Type": {"application/x-ndjson"}})
		if err != nil || got.Status != http.StatusOK {
			t.Errorf("got %q, %v; want status 200", got.body, err)
		}
		got, err = there.request(until(t), http.MethodPost, nil, http.Header{"Origin": {"http://evil.com"}})
		if err != nil || got.Status != http.StatusForbidden {
			t.Errorf("got %q, %v; want status 403", got.body, err)
		}
	})
	t.Run("a base URL with a path", func(t *testing.T) {
		mux := http.NewServeMux()
		mux.Handle("/base/", http.StripPrefix("/base", a))
		server := httptest.NewServer(mux)
		d.set("pod-a", server.URL+"/base", nil)
		defer func() {
			d.set("pod-a", a.url, nil)
			server.Close()
		}()
		there.post(frame("1", "3", "a", "say", `{"x":2}`))
		there.want(okay("1", "3", "a", `{"x":2}`))
	})
}

// A browser at a program with TLS has an origin of https, which the owner behind plain HTTP must not judge anew.
func TestRelayFromTLS(t *testing.T) {
	t.Parallel()
	d := newRelays()
	a, b := d.start(t, "pod-a", nil), d.start(t, "pod-b", nil)
	front := httptest.NewTLSServer(b)
	defer front.Close()
	c := newLongPoller(t, front.URL, front.Client().Transport)
	c.token = a.open(t).token
	header := http.Header{"Origin": {front.URL}, "Content-Type": {"application/x-ndjson"}}
	if got, err := c.request(until(t), http.MethodPost, nil, header); err != nil || got.Status != http.StatusOK {
		t.Errorf("got %q, %v for a POST from the pod's own origin; want status 200", got.body, err)
	}
}

// mark makes the header of a hop, as pods do.
func mark(key []byte, pod string, at time.Time) string {
	stamp := strconv.FormatInt(at.Unix(), 36)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("hop\x00" + stamp + " " + pod))
	return stamp + " " + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// A mark that no pod has made is nothing: the request is passed on as if it were not there. One that a pod has made, on the
// way to the owner, ends the journey wherever it is.
func TestRelayMarks(t *testing.T) {
	t.Parallel()
	d := newRelays()
	a, b := d.start(t, "pod-a", nil), d.start(t, "pod-b", nil)
	there := a.open(t).at(b.url)
	now := time.Now()
	for name, c := range map[string]struct {
		mark string
		hops int64 // to the owner
	}{
		"none":                   {"", 1},
		"rubbish":                {"x", 1},
		"rubbish in two":         {"rrd0hs AAAA", 1},
		"no signature":           {strconv.FormatInt(now.Unix(), 36) + " ", 1},
		"another key":            {mark([]byte("x"), "pod-b", now), 1},
		"for a third pod":        {mark(d.key, "pod-c", now), 1},
		"old":                    {mark(d.key, "pod-a", now.Add(-2*time.Minute)), 1},
		"of the future":          {mark(d.key, "pod-a", now.Add(2*time.Minute)), 1},
		"a pod's":                {mark(d.key, "pod-a", now), 0},
		"a clock that is behind": {mark(d.key, "pod-a", now.Add(-30*time.Second)), 0},
	} {
		before := a.requests.Load()
		got, err := there.request(until(t), http.MethodPost, nil, http.Header{"Roost-Hop": {c.mark}, "Content-Type": {"application/x-ndjson"}})
		want := http.StatusOK
		if c.hops == 0 {
			want = http.StatusGone // the session is not here
		}
		if err != nil || got.Status != want || a.requests.Load()-before != c.hops {
			t.Errorf("%s: got %q, %v and %d requests at the owner; want status %d and %d", name, got.body, err, a.requests.Load()-before, want, c.hops)
		}
	}
}

// A directory that names the wrong pod, such as one that has the address of another that died, costs one hop.
func TestRelayDoesNotLoop(t *testing.T) {
	t.Parallel()
	d := newRelays()
	a, b, c := d.start(t, "pod-a", nil), d.start(t, "pod-b", nil), d.start(t, "pod-c", nil)
	session := a.open(t)
	for name, wrong := range map[string]string{"to the pod itself": b.url, "round in circles": c.url} {
		d.set("pod-a", wrong, nil)
		before := b.requests.Load() + c.requests.Load()
		if got := await(t, "answer", session.at(b.url).hold()); got.Status != http.StatusInternalServerError {
			t.Errorf("%s: got %d %q, want status 500", name, got.code, got.body)
		}
		if got := b.requests.Load() + c.requests.Load() - before; got != 2 {
			t.Errorf("%s: got %d requests for one, want 2", name, got)
		}
	}
}

// The owner gets the token that was checked, however the request is put together.
func TestRelayCarriesTheCheckedToken(t *testing.T) {
	t.Parallel()
	d := newRelays()
	a, b := d.start(t, "pod-a", nil), d.start(t, "pod-b", nil)
	session := a.open(t)
	for name, c := range map[string]struct {
		query  string
		header http.Header
	}{
		"a query that a proxy sorts anew": {"&token%5Ba%5D=1&token=" + session.token + "&x=;", nil},
		"a header that is said to be for one hop": {"", http.Header{
			"X-Phoenix-Longpoll-Token": {session.token}, "Connection": {"X-Phoenix-Longpoll-Token"},
		}},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+"/socket/longpoll?vsn=2.0.0"+c.query, nil)
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range c.header {
			r.Header[k] = v
		}
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if got, want := string(body), `{"status":200}`; got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// What got a pod's address after it may answer anything: a client of long-polling is told that the session is gone.
func TestRelayToSomethingElse(t *testing.T) {
	t.Parallel()
	d := newRelays()
	a, b := d.start(t, "pod-a", nil), d.start(t, "pod-b", nil)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"ok":true}`))
	}))
	defer other.Close()
	session := a.open(t)
	d.set("pod-a", other.URL, nil)
	if got := await(t, "answer", session.at(b.url).hold()); got.Status != http.StatusInternalServerError {
		t.Errorf("got %d %q, want status 500", got.code, got.body)
	}
}

// Nobody is contacted, and nobody is looked up, for a token that is not one of ours, whatever else the request says.
func TestRelayIsNoOpenProxy(t *testing.T) {
	t.Parallel()
	d := newRelays()
	a, b := d.start(t, "pod-a", nil), d.start(t, "pod-b", nil)
	var contacts atomic.Int64
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { contacts.Add(1) }))
	defer trap.Close()
	trapHost := strings.TrimPrefix(trap.URL, "http://")
	good := a.open(t)
	d.mu.Lock()
	d.urls["pod-x"] = trap.URL
	d.mu.Unlock()
	body := base64.RawURLEncoding.EncodeToString([]byte("pod-x.1 rrd0hs"))
	parts := strings.Split(good.token, ".")
	for name, token := range map[string]string{
		"no signature":         "roost1." + body + ".",
		"another's signature":  "roost1." + body + "." + parts[2],
		"a wrong signature":    "roost1." + body + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 32)),
		"an address":           trap.URL,
		"an address in a body": "roost1." + base64.RawURLEncoding.EncodeToString([]byte(trap.URL+".1 rrd0hs")) + "." + parts[2],
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			c := good.at(b.url)
			c.token = token
			got, err := c.request(until(t), method, nil, http.Header{"Roost-Hop": {"x"}, "X-Forwarded-Host": {trapHost}})
			want := http.StatusGone
			if method == http.MethodGet {
				want = http.StatusInternalServerError // it says that a pod passed it on: no session is opened
			}
			if err != nil || got.Status != want {
				t.Errorf("%s, %s: got %q, %v; want status %d", name, method, got.body, err, want)
			}
		}
	}
	d.mu.Lock()
	if d.asked["pod-x"] || len(d.asked) > 0 {
		t.Errorf("the directory was asked for %v, want for nobody", d.asked)
	}
	d.mu.Unlock()

	// Even with a good token the address is the directory's, not the request's.
	before := a.requests.Load()
	r, err := http.NewRequestWithContext(until(t), http.MethodPost, b.url+"/socket/longpoll?vsn=2.0.0&url="+trap.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = trapHost
	r.Header = http.Header{"X-Phoenix-Longpoll-Token": {good.token}, "X-Forwarded-Host": {trapHost}, "Forwarded": {"host=" + trapHost},
		"Roost-Pod": {"pod-x"}, "Content-Type": {"application/x-ndjson"}}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if got := a.requests.Load() - before; got != 1 {
		t.Errorf("got %d requests at the owner, want 1", got)
	}
	if contacts.Load() != 0 {
		t.Errorf("got %d contacts at an address from a request, want none", contacts.Load())
	}
}

// A session whose owner cannot be found or reached is lost, and that is said at once.
func TestRelayOwnerAway(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*testing.T, *relays, *relayPod){
		"the directory does not answer":   func(_ *testing.T, d *relays, _ *relayPod) { d.set("pod-a", "", errors.New("redis is away")) },
		"the directory has no address":    func(_ *testing.T, d *relays, _ *relayPod) { d.set("pod-a", "", nil) },
		"the address is none":             func(_ *testing.T, d *relays, _ *relayPod) { d.set("pod-a", "http://%", nil) },
		"nobody listens at the address":   func(t *testing.T, d *relays, _ *relayPod) { d.set("pod-a", "http://"+nobody(t), nil) },
		"the address is of something odd": func(t *testing.T, d *relays, _ *relayPod) { d.set("pod-a", "http://"+odd(t), nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newRelays()
			a, b := d.start(t, "pod-a", nil), d.start(t, "pod-b", nil)
			there := a.open(t).at(b.url)
			spoil(t, d, a)
			if got := await(t, "answer", there.hold()); got.code != http.StatusOK || got.Status != http.StatusInternalServerError {
				t.Errorf("GET: got %d %q, want status 500", got.code, got.body)
			}
			if got := there.postBody("application/x-ndjson", "[]"); got.code != http.StatusOK || got.Status != http.StatusGone {
				t.Errorf("POST: got %d %q, want status 410", got.code, got.body)
			}
		})
	}
	t.Run("the owner goes away while a poll is held", func(t *testing.T) {
		t.Parallel()
		d := newRelays()
		a, b := d.start(t, "pod-a", nil), d.start(t, "pod-b", nil)
		way := startCut(t, strings.TrimPrefix(a.url, "http://"))
		d.set("pod-a", "http://"+way.addr, nil)
		answer := a.open(t).at(b.url).hold()
		settle()
		way.cut()
		if got := await(t, "answer", answer); got.code != http.StatusOK || got.Status != http.StatusInternalServerError {
			t.Errorf("got %d %q, want status 500", got.code, got.body)
		}
	})
}

// A pod that drains lets go of polls that it holds for another pod's session, too, and the session lives on.
func TestRelayDrain(t *testing.T) {
	t.Parallel()
	d := newRelays()
	a, b := d.start(t, "pod-a", nil), d.start(t, "pod-b", nil)
	session := a.open(t).join("a")
	answer := session.at(b.url).hold()
	settle()
	if err := b.Drain(untilLater()); err != nil {
		t.Fatalf("Drain = %v, want nil", err)
	}
	got := await(t, "answer to a poll that the draining pod has passed on", answer)
	if got.Status != http.StatusNoContent || !got.closes {
		t.Errorf("got %q, Connection: close %t; want status 204 and the end", got.body, got.closes)
	}
	settle()
	d.say("a", 1)
	session.want(said("a", 1))
}
