package hub_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"roost/hub"
)

// modelled is a member and the log it should have.
type modelled struct {
	*member
	pod  *pod
	want []string
	here bool
}

// TestModel joins, leaves and publishes at random on two pods, and compares every log and the roster with a model.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		memory := hub.NewMemory()
		pods := []*pod{
			newPod(memory, "a", hub.Config{Workers: 2, Linger: time.Millisecond}),
			newPod(memory, "b", hub.Config{Workers: 1, Linger: time.Hour}),
		}
		for _, p := range pods {
			stop := p.start()
			defer func() {
				if err := stop(); err != nil {
					t.Errorf("Run = %v, want nil", err)
				}
			}()
		}
		m := &model{pods: pods, memory: memory}
		for _, p := range pods {
			barrier := newPeer(p.PodID() + ".barrier")
			p.Attach(context.Background(), barrier, "")
			m.barriers = append(m.barriers, barrier)
		}
		t.Repeat(map[string]func(*rapid.T){
			"join": m.join, "failed join": m.failJoin, "leave": m.leave, "publish": m.publish, "except": m.except,
			"control": m.control, "junk": m.junk, "": m.check,
		})
	})
}

type model struct {
	pods     []*pod
	memory   *hub.Memory
	barriers []*peer     // one for each pod
	members  []*modelled // all there ever were
	events   int
}

// GoString is what rapid prints.
func (m *modelled) GoString() string { return m.Connection() }

func (m *model) topic(t *rapid.T) string {
	return rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "topic")
}

func (m *model) event() string {
	m.events++
	return fmt.Sprint("e", m.events)
}

func (m *model) newMember(t *rapid.T) *modelled {
	p := m.pods[rapid.IntRange(0, len(m.pods)-1).Draw(t, "pod")]
	return &modelled{member: newMember(m.topic(t), fmt.Sprintf("%s.%d", p.PodID(), len(m.members))), pod: p}
}

// present returns one of the members that are there.
func (m *model) present(t *rapid.T) *modelled {
	here := slices.DeleteFunc(slices.Clone(m.members), func(x *modelled) bool { return !x.here })
	if len(here) == 0 {
		t.Skip("nobody is there")
	}
	return rapid.SampledFrom(here).Draw(t, "member")
}

func (m *model) join(t *rapid.T) {
	x := m.newMember(t)
	if err := x.pod.Join(context.Background(), &x.sub, x, x.entry, true); err != nil {
		t.Fatalf("Join = %v, want nil", err)
	}
	x.here = true
	m.members = append(m.members, x)
}

func (m *model) failJoin(t *rapid.T) {
	x := m.newMember(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var late func(error)
	x.pod.edge.subscribe = func(_ hub.Address, done func(error)) { late = done }
	err := x.pod.Join(ctx, &x.sub, x, x.entry, true)
	x.pod.edge.subscribe = nil
	late(context.Canceled)
	if err == nil {
		t.Fatal("Join = nil although the subscription was never confirmed")
	}
	x.pod.leave(x.member)
	m.members = append(m.members, x)
}

func (m *model) leave(t *rapid.T) {
	x := m.present(t)
	x.pod.leave(x.member)
	x.here = false
}

func (m *model) send(t *rapid.T, topic, body string) {
	m.memory.Publish(hub.TopicAddress(topic), []byte(body))
	m.settle(t)
}

// settle returns when all pods have received what was published: who joins later does not get it.
func (m *model) settle(t *rapid.T) {
	for _, b := range m.barriers {
		m.memory.Publish(hub.ConnAddress(b.Connection()), []byte(`{"event":"disconnect"}`))
	}
	for _, b := range m.barriers {
		if _, ok := b.awaitFor(func(log []string) bool { return len(log) > 0 }); !ok {
			t.Fatal("a pod receives nothing")
		}
		b.forget()
	}
}

// expect enters what the members of topic but one should get, and waits until they have it.
func (m *model) expect(t *rapid.T, topic, want, except string) {
	for _, x := range m.members {
		if x.here && x.entry.Topic == topic && x.Connection() != except {
			x.want = append(x.want, want)
			if log, ok := x.awaitFor(func(log []string) bool { return len(log) >= len(x.want) }); !ok {
				t.Fatalf("%s got %q, want %q", x.Connection(), log, x.want)
			}
		}
	}
}

func (m *model) publish(t *rapid.T) {
	x := m.present(t)
	event := m.event()
	b := hub.Broadcast{Topic: x.entry.Topic, Event: event, Payload: []byte(`{"n":1}`)}
	if err := x.pod.Publish(context.Background(), b, &x.sub); err != nil {
		t.Fatalf("Publish = %v, want nil", err)
	}
	x.want = append(x.want, line(b.Topic, b.Event, b.Payload, false))
	if log, _ := x.read(); len(log) != len(x.want) {
		t.Fatalf("Publish returned when its member had %q, want %q", log, x.want)
	}
	x.want = x.want[:len(x.want)-1]
	m.settle(t)
	m.expect(t, b.Topic, line(b.Topic, b.Event, b.Payload, false), "")
}

func (m *model) except(t *rapid.T) {
	topic, event, out := m.topic(t), m.event(), m.present(t).Connection()
	m.send(t, topic, fmt.Sprintf(`{"event":%q,"except":%q}`, event, out))
	m.expect(t, topic, line(topic, event, nil, false), out)
}

func (m *model) control(t *rapid.T) {
	topic := m.topic(t)
	m.send(t, topic, `{"event":"phx_error"}`)
	m.expect(t, topic, crashed, "")
}

func (m *model) junk(t *rapid.T) {
	m.send(t, m.topic(t), rapid.SampledFrom([]string{"", "{", `{"event":5}`, `{"event":"x","payload":1}`}).Draw(t, "junk"))
}

func (m *model) check(t *rapid.T) {
	here := map[string][]string{}
	for _, x := range m.members {
		if log, _ := x.read(); !slices.Equal(log, x.want) {
			t.Errorf("%s got %q, want %q", x.Connection(), log, x.want)
		}
		if x.here {
			here[x.entry.Topic] = append(here[x.entry.Topic], x.Connection())
		}
	}
	for _, topic := range []string{"x", "y", "z"} {
		want := here[topic]
		slices.Sort(want)
		if got := m.memory.MembersOf(topic); !slices.Equal(got, want) {
			t.Errorf("got members %q of %s, want %q", got, topic, want)
		}
	}
}
