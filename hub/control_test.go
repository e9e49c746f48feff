package hub_test

import (
	"fmt"
	"testing"

	"roost/hub"
)

// phx_close and phx_error end the channels of all members of the topic on all pods, in order with the broadcasts.
func TestControl(t *testing.T) {
	memory := hub.NewMemory()
	a, b := startPod(t, memory, "a", hub.Config{}), startPod(t, memory, "b", hub.Config{})
	members := []*member{a.join(t, "t", "a.1"), a.join(t, "t", "a.2"), b.join(t, "t", "b.1")}
	bystander := a.join(t, "tt", "a.1")
	a.send("t", `{"event":"before"}`)
	a.send("t", `{"event":"phx_close"}`)
	a.send("t", `{"event":"between"}`)
	a.send("t", `{"event":"phx_error","payload":{"reason":"ignored"}}`)
	a.send("t", `{"event":"phx_reply"}`)
	a.send("t", `{"event":"disconnect"}`)
	a.send("tt", `{"event":"after"}`)
	for _, m := range members {
		m.expect(t, "t before ", closed, "t between ", crashed, "t phx_reply ", "t disconnect ")
	}
	bystander.expect(t, "tt after ")
}

// A member may leave from within End, as a connection does that is told so.
func TestLeaveFromEnd(t *testing.T) {
	p := startPod(t, hub.NewMemory(), "a", hub.Config{Workers: 1})
	var members []*leaver
	for i := range 10 {
		m := &leaver{member: newMember("t", fmt.Sprint("a.", i)), pod: p}
		if err := p.Join(t.Context(), &m.sub, m, m.entry, true); err != nil {
			t.Fatal(err)
		}
		members = append(members, m)
	}
	stays := p.join(t, "t", "a.stays")
	p.send("t", `{"event":"phx_close"}`)
	for _, m := range members {
		m.expect(t, closed)
	}
	p.send("t", `{"event":"after"}`)
	stays.expect(t, closed, "t after ")
	for _, m := range members {
		m.expect(t, closed)
	}
	if got := fmt.Sprint(p.memory.MembersOf("t")); got != "[a.stays]" {
		t.Errorf("got members %s, want [a.stays]", got)
	}
}

// leaver leaves when its channel is ended.
type leaver struct {
	*member
	pod *pod
}

func (l *leaver) End(crash bool) {
	l.pod.leave(l.member)
	l.member.End(crash)
}
