package hubtest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"roost/hub"
)

// testRoster: a member is in the set when done is told nil, and members of all pods are.
func testRoster(t *testing.T, a, b *runningPod) {
	lobby := topic(t, "lobby {x}")
	one := hub.Member{Topic: lobby, Connection: a.id + ".1", JoinRef: `"3"`}
	two := hub.Member{Topic: lobby, Connection: b.id + ".1", JoinRef: `null`}
	a.add(t, one)
	checkMembers(t, a, lobby, one.Connection)
	b.add(t, two)
	checkMembers(t, a, lobby, one.Connection, two.Connection)
	a.remove(one)
	awaitMembers(t, a, lobby, two.Connection)
	b.remove(two)
	awaitMembers(t, a, lobby)

	a.remove(hub.Member{Topic: lobby, Connection: a.id + ".never added"})
	const many = 2500
	done := make(chan error, many)
	for i := range many {
		a.addThen(hub.Member{Topic: topic(t, fmt.Sprint(i%100)), Connection: fmt.Sprint(a.id, ".", i), JoinRef: "1"}, func(err error) { done <- err })
	}
	for range many {
		wait(t, "Add", done)
	}
	if got, want := len(b.Members(topic(t, "7"))), many/100; got != want {
		t.Errorf("got %d members, want %d", got, want)
	}
}

// testRosterOrder: the last call for an entry decides.
func testRosterOrder(t *testing.T, a, _ *runningPod) {
	lobby := topic(t, "lobby")
	stays := hub.Member{Topic: lobby, Connection: a.id + ".stays", JoinRef: "1"}
	goes := hub.Member{Topic: lobby, Connection: a.id + ".goes", JoinRef: "1"}
	for range 100 {
		a.addThen(stays, func(error) {})
		a.remove(stays)
		a.addThen(goes, func(error) {})
		a.addThen(stays, func(error) {})
		a.remove(goes)
	}
	a.add(t, hub.Member{Topic: lobby, Connection: a.id + ".last", JoinRef: "1"})
	awaitMembers(t, a, lobby, a.id+".last", stays.Connection)
}

func checkMembers(t *testing.T, p *runningPod, topic string, want ...string) {
	t.Helper()
	got := p.Members(topic)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got members %q, want %q", got, want)
	}
}

// awaitMembers waits until the set is as wanted: Remove does not tell when it is done.
func awaitMembers(t *testing.T, p *runningPod, topic string, want ...string) {
	t.Helper()
	slices.Sort(want)
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		got := p.Members(topic)
		slices.Sort(got)
		if slices.Equal(got, want) {
			return
		}
	}
	checkMembers(t, p, topic, want...)
}
