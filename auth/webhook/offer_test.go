package webhook_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"roost/auth"
	"roost/auth/webhook"
)

// recordOf is the record of a leave.
func recordOf(c *webhook.Client, connection string, number uint32) string {
	n := leaveOf(connection, "t")
	n.Number = number
	return c.RecordLeave(n)
}

// TestNoticeID: one end has one id, whoever tells it and with whatever assigns; and no other end has it.
func TestNoticeID(t *testing.T) {
	one, err := webhook.New(webhook.Config{URL: "http://a", Events: allEvents})
	if err != nil {
		t.Fatal(err)
	}
	other, err := webhook.New(webhook.Config{URL: "http://b", Events: []string{"leave"}})
	if err != nil {
		t.Fatal(err)
	}
	id := func(record string) string { return strings.Fields(record)[0] }
	changed := leaveOf("pod-a.1", "t")
	changed.Number, changed.Assigns = 1, []byte(`{"new":true}`)
	if got, want := id(other.RecordLeave(changed)), id(recordOf(one, "pod-a.1", 1)); got != want {
		t.Errorf("got ids %s and %s of one end, want one", got, want)
	}
	seen := map[string]string{}
	for what, record := range map[string]string{
		"the first join":           recordOf(one, "pod-a.1", 1),
		"the eleventh join":        recordOf(one, "pod-a.1", 11),
		"another connection":       recordOf(one, "pod-a.11", 1),
		"the connection":           one.RecordDisconnect(&auth.DisconnectNotice{Client: leaveOf("pod-a.1", "").Client}),
		"the connection of others": one.RecordDisconnect(&auth.DisconnectNotice{Client: leaveOf("pod-a.11", "").Client}),
	} {
		if same := seen[id(record)]; same != "" {
			t.Errorf("%s and %s have one id", what, same)
		}
		seen[id(record)] = what
	}
	if got := other.RecordDisconnect(&auth.DisconnectNotice{Client: someone()}); got != "" {
		t.Errorf("got record %q of a disconnect, which is not among the events, want none", got)
	}
	if got := recordOf(one, "a", 1); strings.Contains(got, "t0k") {
		t.Errorf("got the auth token in record %s", got)
	}
}

// TestNoticeHoldsNoToken: a token that is a param is not written down, either, and the other params are.
func TestNoticeHoldsNoToken(t *testing.T) {
	c, err := webhook.New(webhook.Config{URL: "http://a", Events: allEvents, TokenParam: "token"})
	if err != nil {
		t.Fatal(err)
	}
	for params, want := range map[string]string{
		`{"vsn":"2.0.0","token":"secret","a":[1]}`: `"params":{"vsn":"2.0.0","a":[1]},`,
		`{"token":"secret"}`:                       `"params":{},`,
		`{}`:                                       `"params":{},`,
		``:                                         `"params":{},`,
	} {
		n := leaveOf("pod-a.1", "t")
		n.Client.Params = []byte(params)
		for _, record := range []string{c.RecordLeave(n), c.RecordDisconnect(&auth.DisconnectNotice{Client: n.Client})} {
			if !strings.Contains(record, want) || strings.Contains(record, "secret") {
				t.Errorf("params %s: got record %s, want %s", params, record, want)
			}
		}
		if string(n.Client.Params) != params {
			t.Errorf("got params %s of the client, want %s", n.Client.Params, params)
		}
	}
}

// TestOffer: what there is no room for is not accepted, what has been taken is told, and what waits already is sent once.
func TestOffer(t *testing.T) {
	requests, proceed := make(chan seen, 100), make(chan struct{})
	registry := prometheus.NewRegistry()
	c := newClient(t, webhook.Config{NoticeLimit: 4096, Registerer: registry, URL: serve(t, func(_ http.ResponseWriter, r *http.Request) {
		requests <- read(t, r)
		<-proceed
	})})
	var taken atomic.Int64
	offer := func(n uint32) bool {
		return c.Offer(recordOf(c, "a", n), "left", time.Now().Add(-time.Minute), func() { taken.Add(1) })
	}
	accepted := uint32(0)
	for offer(accepted + 1) {
		accepted++
	}
	if accepted < 2 || accepted > 8 {
		t.Errorf("got %d notices accepted in 4 KiB, want a few", accepted)
	}
	if !offer(1) || !offer(2) {
		t.Error("a notice that waits already was not accepted")
	}
	if got := gauge(t, registry, "roost_webhook_notice_lag_seconds"); got < 60 || got > 120 {
		t.Errorf("lag: got %v, want a minute", got)
	}
	if got := taken.Load(); got != 0 {
		t.Errorf("got %d taken before the backend took any, want 0", got)
	}
	close(proceed)
	ids := map[string]bool{}
	for range accepted {
		s := receive(t, requests)
		if ids[s.id] || s.Data.Reason != "left" {
			t.Errorf("got notice %+v, want each once, with its reason", s)
		}
		ids[s.id] = true
	}
	eventually(t, "all are taken", func() bool { return taken.Load() == int64(accepted)+2 })
	if !offer(accepted + 1) {
		t.Error("got no room after all were taken")
	}
	eventually(t, "it is taken", func() bool { return taken.Load() == int64(accepted)+3 })
}

// TestOfferOfJunk: what is no record, or not wanted any more, need not be kept.
func TestOfferOfJunk(t *testing.T) {
	c := newClient(t, webhook.Config{Events: []string{"disconnect"}, URL: serve(t, func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("got a request, want none: %s", body(t, r))
	})})
	all, err := webhook.New(webhook.Config{URL: "http://a", Events: allEvents})
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range []string{"", "msg_1", "msg_1 channel.leave c", "msg_1 channel.join c {", "x socket.disconnect c {", recordOf(all, "c", 1)} {
		taken := false
		if !c.Offer(record, "", time.Now(), func() { taken = true }) || !taken {
			t.Errorf("Offer of %q: it is kept, want it let go", record)
		}
	}
}

// TestUnknownReason: who makes a notice of what a dead pod left does not know more.
func TestUnknownReason(t *testing.T) {
	requests := make(chan seen, 1)
	c := newClient(t, webhook.Config{URL: serve(t, func(_ http.ResponseWriter, r *http.Request) { requests <- read(t, r) })})
	at := time.Date(2026, 11, 21, 10, 0, 0, 5e6, time.UTC)
	c.Offer(recordOf(c, "a", 1), "", at, func() {})
	got := receive(t, requests)
	if got.Data.Reason != "pod_lost" || !strings.Contains(got.body, `"timestamp":"2026-11-21T10:00:00.005Z"`) {
		t.Errorf("got %s, want reason pod_lost and the time of the end", got.body)
	}
}

// TestNoticeRate: a mass of notices leaves at the rate that is set.
func TestNoticeRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int64
		c := newClient(t, webhook.Config{NoticeRate: 100, URL: "http://backend.test",
			Transport: transport(func(*http.Request) (*http.Response, error) {
				sent.Add(1)
				return &http.Response{StatusCode: http.StatusNoContent, Body: io.NopCloser(http.NoBody)}, nil
			})})
		for i := range 1000 {
			c.Leave(leaveOf(fmt.Sprint(i), "t"))
		}
		for _, want := range []int64{10, 110, 210, 310} { // a tenth of a second's worth may leave at once
			synctest.Wait()
			if got := sent.Load(); got < want || got > want+1 {
				t.Errorf("got %d notices sent, want %d", got, want)
			}
			time.Sleep(time.Second)
		}
		time.Sleep(7 * time.Second)
		synctest.Wait()
		if got := sent.Load(); got != 1000 {
			t.Errorf("got %d notices sent in the end, want 1000", got)
		}
	})
}
