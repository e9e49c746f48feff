package gateway

import (
	"bytes"
	"strings"
	"testing"

	"roost/auth"
	"roost/hub"
	"roost/phoenix"
)

// TestEarly: diffs wait for the state, all else does not. More of them than maxEarly are dropped: the state has what they say.
func TestEarly(t *testing.T) {
	e := &encoding{version: phoenix.V2, framing: framed, metrics: newMetrics(nil, nil)}
	message := func(event, fill string) *hub.Broadcast {
		return &hub.Broadcast{Topic: "t", Event: event, Payload: []byte(`{"x":"` + fill + `"}`)}
	}
	first, other, second := message(eventPresenceDiff, "1"), message("new", "2"), message(eventPresenceDiff, "3")
	h := new(early)
	n, now := h.hold(&hub.Batch{Broadcasts: []*hub.Broadcast{first, other, second}}, e)
	if want := e.AppendBroadcast(nil, other); n != 1 || !bytes.Equal(now, want) {
		t.Errorf("got %d at once, %q, want 1, %q", n, now, want)
	}
	if want := e.AppendBroadcast(e.AppendBroadcast(nil, first), second); h.n != 2 || !bytes.Equal(h.frames, want) {
		t.Errorf("got %d held, %q, want 2, %q", h.n, h.frames, want)
	}
	h.hold(&hub.Batch{Broadcasts: []*hub.Broadcast{message(eventPresenceDiff, strings.Repeat("x", maxEarly))}}, e)
	if h.n != 0 || h.frames != nil {
		t.Errorf("got %d held, of %d bytes, want none", h.n, len(h.frames))
	}
}

// TestDepartures: what a connection remembers of topics that it left is bounded, in number and in size.
func TestDepartures(t *testing.T) {
	rules, err := auth.ParseRules("rules", []byte("topics:\n  - {topic: \"room:*\", join: allow, presence: true}\n  - {topic: \"*\", join: allow}\n"))
	if err != nil {
		t.Fatal(err)
	}
	g := &Gateway{cfg: Config{Rules: rules, Limits: Limits{MaxTopic: 100}}}
	c := &conn{gw: g}
	c.depart("other:1")
	c.depart("room:" + strings.Repeat("x", 100))
	if c.departures != nil {
		t.Errorf("got %v, want nothing of topics without presence, or that are too long", *c.departures)
	}
	for i := range 2 * maxDepartures {
		c.depart("room:" + strings.Repeat("x", i))
	}
	if got := len(*c.departures); got != maxDepartures {
		t.Errorf("got %d, want the last %d", got, maxDepartures)
	}
	if c.returned("room:") || !c.returned("room:"+strings.Repeat("x", 2*maxDepartures-1)) {
		t.Error("got not the last ones")
	}
}
