package hub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"roost/hub"
)

// TestNothingIsMissedAfterJoin publishes on another pod as soon as Join returns, while topics come and go.
func TestNothingIsMissedAfterJoin(t *testing.T) {
	memory := hub.NewMemory()
	a := startPod(t, memory, "a", hub.Config{Linger: time.Millisecond, Workers: 3})
	b := startPod(t, memory, "b", hub.Config{})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 400 {
				topic := fmt.Sprint("rooms:", i%3)
				m := newMember(topic, fmt.Sprintf("a.%d-%d", g, i))
				if err := a.Join(t.Context(), &m.sub, m, m.entry, true); err != nil {
					t.Errorf("Join = %v, want nil", err)
					return
				}
				if err := b.Broadcast(t.Context(), topic, m.Connection(), nil); err != nil {
					t.Errorf("Broadcast = %v, want nil", err)
					return
				}
				want := topic + " " + m.Connection() + " "
				if log, ok := m.awaitFor(func(log []string) bool { return slices.Contains(log, want) }); !ok {
					t.Errorf("%s got %q, want %q among it", m.Connection(), log, want)
				}
				a.leave(m)
			}
		})
	}
	wg.Wait()
}

// Join returns when both the broker and the roster have answered, not before, and in whichever order they do.
func TestJoinWaitsForBoth(t *testing.T) {
	for name, order := range map[string][2]int{"subscription first": {0, 1}, "roster first": {1, 0}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := startPod(t, hub.NewMemory(), "a", hub.Config{})
				var answers [2]func(error)
				p.edge.subscribe = func(_ hub.Address, done func(error)) { answers[0] = done }
				p.edge.add = func(_ hub.Member, done func(error)) { answers[1] = done }
				m := newMember("t", "a.1")
				joined := make(chan error, 1)
				go func() { joined <- p.Join(t.Context(), &m.sub, m, m.entry, true) }()
				synctest.Wait()
				for _, which := range order {
					if len(joined) > 0 {
						t.Fatal("Join returned before both answers were there")
					}
					answers[which](nil)
					synctest.Wait()
				}
				if err := <-joined; err != nil {
					t.Errorf("Join = %v, want nil", err)
				}
				p.leave(m)
			})
		})
	}
}

// A join without the roster leaves no entry and does not wait for one.
func TestJoinWithoutRoster(t *testing.T) {
	p := startPod(t, hub.NewMemory(), "a", hub.Config{})
	m := newMember("t", "a.1")
	if err := p.Join(t.Context(), &m.sub, m, m.entry, false); err != nil {
		t.Fatal(err)
	}
	other := p.join(t, "t", "a.2")
	if got := p.memory.MembersOf("t"); len(got) != 1 || got[0] != "a.2" {
		t.Errorf("got members %q, want a.2 only", got)
	}
	p.leave(m)
	p.leave(other)
	if got := p.memory.MembersOf("t"); len(got) != 0 {
		t.Errorf("got members %q after they left", got)
	}
}

// A Join that failed is ended by Leave: the topic is let go, the roster is clean, nothing is delivered.
func TestFailedJoin(t *testing.T) {
	boom := errors.New("boom")
	gaveUp := errors.New("gave up")
	fail := func(_ hub.Address, done func(error)) { done(boom) }
	for name, c := range map[string]struct {
		breakIt func(e *edge)
		want    error
	}{
		"the subscription fails": {func(e *edge) { e.subscribe = fail }, boom},
		"the roster fails": {func(e *edge) {
			e.add = func(m hub.Member, done func(error)) { e.MemoryPod.Add(m, func(error) { done(boom) }) }
		}, boom},
		"the subscription hangs": {func(e *edge) { e.subscribe = func(hub.Address, func(error)) {} }, gaveUp},
		"the roster hangs": {func(e *edge) {
			e.add = func(m hub.Member, _ func(error)) { e.MemoryPod.Add(m, func(error) {}) }
		}, gaveUp},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := startPod(t, hub.NewMemory(), "a", hub.Config{Linger: time.Second})
				c.breakIt(p.edge)
				ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, gaveUp)
				defer cancel()
				m := newMember("t", "a.1")
				if err := p.Join(ctx, &m.sub, m, m.entry, true); !errors.Is(err, c.want) {
					t.Errorf("Join = %v, want %v", err, c.want)
				}
				p.send("t", `{"event":"x"}`)
				p.leave(m)
				time.Sleep(2 * time.Second)
				if p.listening(hub.TopicAddress("t")) {
					t.Error("the topic is still subscribed")
				}
				if got := p.memory.MembersOf("t"); len(got) != 0 {
					t.Errorf("got members %q, want none", got)
				}
				if log, _ := m.read(); len(log) != 0 {
					t.Errorf("got %q, want nothing", log)
				}
				p.edge.subscribe, p.edge.add = nil, nil
				again := p.join(t, "t", "a.1")
				p.send("t", `{"event":"y"}`)
				again.expect(t, "t y ")
			})
		})
	}
}

// What is published after Leave does not reach the member, and the others keep what they have.
func TestLeave(t *testing.T) {
	p := startPod(t, hub.NewMemory(), "a", hub.Config{Workers: 2})
	var members []*member
	for i := range 5 {
		members = append(members, p.join(t, "t", fmt.Sprint("a.", i)))
	}
	p.send("t", `{"event":"x"}`)
	for _, m := range members {
		m.expect(t, "t x ")
	}
	// The first, the last and one between: the places of others change.
	for _, i := range []int{0, 4, 2} {
		p.leave(members[i])
		p.send("t", fmt.Sprintf(`{"event":"without %d"}`, i))
		members[1].awaitLine(t, fmt.Sprintf("t without %d ", i))
	}
	want := []string{"t x ", "t without 0 ", "t without 4 ", "t without 2 "}
	members[1].expect(t, want...)
	members[3].expect(t, want...)
	members[0].expect(t, want[:1]...)
	members[4].expect(t, want[:2]...)
	members[2].expect(t, want[:3]...)
	if got, want := fmt.Sprint(p.memory.MembersOf("t")), "[a.1 a.3]"; got != want {
		t.Errorf("got members %s, want %s", got, want)
	}
}

// Leave tells when the member is out of the roster.
func TestLeaveDone(t *testing.T) {
	p := startPod(t, hub.NewMemory(), "a", hub.Config{})
	for _, roster := range []bool{true, false} {
		m := newMember("t", "a.1")
		if err := p.Join(t.Context(), &m.sub, m, m.entry, roster); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 2)
		p.Leave(&m.sub, m.entry, func(err error) { done <- err })
		if err := <-done; err != nil {
			t.Errorf("done was told %v, want nil", err)
		}
		if got := p.memory.MembersOf("t"); len(got) != 0 {
			t.Errorf("got members %q when done was called, want none", got)
		}
		if len(done) > 0 {
			t.Error("done was called twice")
		}
	}
}

func TestLinger(t *testing.T) {
	const linger = 4 * time.Second
	synctest.Test(t, func(t *testing.T) {
		p := startPod(t, hub.NewMemory(), "a", hub.Config{Linger: linger})
		addr := hub.TopicAddress("t")
		check := func(when string, want bool) {
			t.Helper()
			if got := p.listening(addr); got != want {
				t.Errorf("%s: the topic is subscribed: got %v, want %v", when, got, want)
			}
		}
		check("before the first join", false)
		one, two := p.join(t, "t", "a.1"), p.join(t, "t", "a.2")
		p.leave(one)
		time.Sleep(10 * linger)
		check("while one of two is there", true)
		p.leave(two)
		time.Sleep(linger - time.Millisecond)
		check("just before the linger is over", true)
		three := p.join(t, "t", "a.3")
		time.Sleep(10 * linger)
		check("after a join within the linger", true)
		p.send("t", `{"event":"x"}`)
		three.awaitLine(t, "t x ")
		p.leave(three)
		time.Sleep(linger / 2)
		four := p.join(t, "t", "a.4")
		p.leave(four)
		time.Sleep(linger - time.Millisecond)
		check("the linger begins anew with each leave", true)
		time.Sleep(linger/4 + 2*time.Millisecond)
		check("a quarter after the linger", false)
		five := p.join(t, "t", "a.5")
		check("joined again", true)
		p.leave(five)
	})
}
