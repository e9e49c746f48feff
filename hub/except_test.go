package hub_test

import (
	"fmt"
	"testing"

	"roost/hub"
)

// except leaves out one connection, on whichever pod it is.
func TestExcept(t *testing.T) {
	memory := hub.NewMemory()
	a, ab := startPod(t, memory, "a", hub.Config{}), startPod(t, memory, "ab", hub.Config{})
	members := []*member{a.join(t, "t", "a.1"), a.join(t, "t", "a.2"), ab.join(t, "t", "ab.1"), ab.join(t, "t", "ab.2")}
	want := map[string][]string{}
	for i, except := range []string{"a.1", "ab.2", "ab.1", "a.nobody", "c.1", "a", ""} {
		event := fmt.Sprint(i)
		a.send("t", fmt.Sprintf(`{"event":%q,"except":%q}`, event, except))
		for _, m := range members {
			if m.Connection() != except {
				want[m.Connection()] = append(want[m.Connection()], "t "+event+" ")
			}
		}
	}
	for _, m := range members {
		m.expect(t, want[m.Connection()]...)
	}
}

// In a batch, each member gets all but the broadcasts that leave it out, and nothing if there are no others.
func TestExceptInBatch(t *testing.T) {
	p := startByHand(t, "a", hub.Config{Workers: 1})
	gate := newMember("t", "a.gate")
	entered, release := gate.block(t)
	p.enter(t, gate)
	encoding := &countingEncoding{name: "x"}
	frames := map[string]string{}
	var members []*member
	for i := 1; i <= 4; i++ {
		m := newMember("t", fmt.Sprint("a.", i))
		m.onDeliver = func(b *hub.Batch) { frames[m.Connection()] += string(b.Encode(encoding)) }
		members = append(members, p.enter(t, m))
	}
	p.receive("t", `{"event":"first","except":"a.4"}`)
	<-entered
	for i, except := range []string{"a.1", "", "a.2", "b.3", "a.1"} {
		p.receive("t", fmt.Sprintf(`{"event":"e%d","except":%q}`, i, except))
	}
	release()
	members[0].expect(t, "t first ", "t e1 ", "t e2 ", "t e3 ")
	members[1].expect(t, "t first ", "t e0 ", "t e1 ", "t e3 ", "t e4 ")
	members[2].expect(t, "t first ", "t e0 ", "t e1 ", "t e2 ", "t e3 ", "t e4 ")
	members[3].expect(t, "t e0 ", "t e1 ", "t e2 ", "t e3 ", "t e4 ")
	if members[3].batches != 1 {
		t.Errorf("a member that is left out of all got %d deliveries, want none for that batch", members[3].batches-1)
	}
	if got, want := frames["a.1"], "x first;x e1;x e2;x e3;"; got != want {
		t.Errorf("got frames %q, want %q", got, want)
	}
}
