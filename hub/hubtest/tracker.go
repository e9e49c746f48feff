package hubtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"roost/hub"
)

// shown is one entry as it travels, and change is a message about some: see [hub.AppendPresenceChange].
type shown struct {
	C       string
	Order   uint64
	Ref     string `json:"phx_ref"`
	Prev    string `json:"phx_ref_prev"`
	Leaving bool
	Key     string
	Meta    json.RawMessage
}

type change struct {
	Event    string
	Presence struct {
		From, V uint64
		N       int
		Fresh   bool
		Set     []shown
		Del     []string
	}
}

// tracked is a member that shows something, or did.
type tracked struct {
	pod    *runningPod
	member hub.Member
}

// tracks enters a member of topic that shows nothing yet.
func (p *runningPod) tracks(t *testing.T, topic, name string) *tracked {
	t.Helper()
	m := &tracked{p, hub.Member{Topic: topic, Connection: p.id + "." + name, JoinRef: `"1"`, Tracked: true}}
	p.add(t, m.member)
	return m
}

// show shows p, waits until it is written, and returns the ref and the version.
func (m *tracked) show(t *testing.T, p *hub.Presence) (ref string, version uint64) {
	t.Helper()
	done := make(chan error, 1)
	m.showThen(p, func(r string, v uint64, err error) { ref, version = r, v; done <- err })
	wait(t, "Track", done)
	return ref, version
}

func (m *tracked) showThen(p *hub.Presence, done func(ref string, version uint64, err error)) {
	m.pod.sink.member(m.member, false)
	m.member.Presence = p
	m.pod.sink.member(m.member, true)
	m.pod.Broker.(hub.Tracker).Track(m.member, done)
}

// flicker takes back what the member shows and shows it again, n times in a hurry.
func (m *tracked) flicker(t *testing.T, n int) {
	t.Helper()
	shows, done := m.member.Presence, make(chan error, 2*n)
	for range n {
		for _, p := range []*hub.Presence{nil, shows} {
			m.showThen(p, func(_ string, _ uint64, err error) { done <- err })
		}
	}
	for range 2 * n {
		wait(t, "Track", done)
	}
}

// leave takes the member back. If it lingers it is shown still.
func (m *tracked) leave(t *testing.T, lingers bool) {
	t.Helper()
	m.pod.sink.member(m.member, false)
	last := m.member
	last.Lingers = lingers
	done := make(chan error, 1)
	m.pod.Roster.Remove(last, func(err error) { done <- err })
	wait(t, "Remove", done)
}

// presenceOf reads who is shown in topic, by connection.
func (p *runningPod) presenceOf(t *testing.T, topic string) (map[string]hub.Shown, uint64) {
	t.Helper()
	list, version, err := p.Broker.(hub.Tracker).ReadPresence(t.Context(), topic)
	if err != nil {
		t.Fatalf("ReadPresence: %v", err)
	}
	byConnection := map[string]hub.Shown{}
	for _, s := range list {
		if _, twice := byConnection[s.Connection]; twice {
			t.Errorf("%s is shown twice", s.Connection)
		}
		byConnection[s.Connection] = s
	}
	return byConnection, version
}

// wantShown fails unless connection is shown in topic as want says. It does not look at the order.
func (p *runningPod) wantShown(t *testing.T, topic, connection string, want hub.Presence) hub.Shown {
	t.Helper()
	all, _ := p.presenceOf(t, topic)
	got, found := all[connection]
	if !found || got.Key != want.Key || string(got.Meta) != string(want.Meta) || got.Ref != want.Ref || got.Prev != want.Prev {
		t.Errorf("%s shows %+v (meta %.80s), want %+v (meta %.80s)", connection, got, got.Meta, want, want.Meta)
	}
	return got
}

// presented is a presence with a new ref.
func presented(key, meta string) *hub.Presence {
	return &hub.Presence{Key: key, Meta: []byte(meta), Ref: hub.NewRef()}
}

// testTrack: what a member shows is what everybody reads, and everybody is told of every change.
func testTrack(t *testing.T, a, b *runningPod) {
	room := topic(t, "room {x}")
	a.subscribe(t, hub.TopicAddress(room))
	b.subscribe(t, hub.TopicAddress(room))
	one, two := a.tracks(t, room, "1"), b.tracks(t, room, "1")
	first := presented("u1", `{"n": 1.50, "s":"ä\u00e4<&>"}`)
	ref, v1 := one.show(t, first)
	if ref != first.Ref {
		t.Errorf("got ref %s, want %s", ref, first.Ref)
	}
	was := b.wantShown(t, room, one.member.Connection, *first)
	second := presented("u1", `{}`)
	_, v2 := two.show(t, second)
	if now := a.wantShown(t, room, two.member.Connection, *second); now.Order <= was.Order || v2 <= v1 {
		t.Errorf("got order %d and version %d after %d and %d", now.Order, v2, was.Order, v1)
	}
	if _, again := two.show(t, second); again != v2 {
		t.Errorf("showing the same again led from version %d to %d", v2, again)
	}
	update := presented("u1", `{"n":2}`)
	update.Prev = first.Ref
	one.show(t, update)
	if now := b.wantShown(t, room, one.member.Connection, *update); now.Order != was.Order {
		t.Errorf("an update changed the order from %d to %d", was.Order, now.Order)
	}
	two.leave(t, false)
	one.flicker(t, 20)
	wantReplica(t, room, a, b)
	one.show(t, nil)
	if all, _ := a.presenceOf(t, room); len(all) > 0 {
		t.Errorf("got %v, want nobody", all)
	}
	_, last := one.show(t, presented("u1", `{}`))
	if last <= v2 {
		t.Errorf("after all had gone the version was %d, before it %d", last, v2)
	}
	wantReplica(t, room, a, b)
}

// testTrackBytes: keys and metas are carried as they are, whatever they look like.
func testTrackBytes(t *testing.T, a, b *runningPod) {
	room := topic(t, "room")
	b.subscribe(t, hub.TopicAddress(room))
	for i, key := range []string{"__proto__", "", `"`, `a\b`, "ä\x00\n\u2028", `"leaving":true,`, `","phx_ref":"x","`, "%d%s%%", strings.Repeat("k", 500)} {
		for j, meta := range []string{`{}`, `{"leaving":true}`, `{"phx_ref_prev":"x","order":1}`, ` { "n" : 1e3 } `, `{"x":"` + strings.Repeat("m", 9000) + `"}`} {
			m := a.tracks(t, room, fmt.Sprint(i, "-", j))
			p := presented(key, strings.TrimSpace(meta))
			m.show(t, p)
			b.wantShown(t, room, m.member.Connection, *p)
			if (i+j)%3 == 0 {
				m.leave(t, true)
				if got := b.wantShown(t, room, m.member.Connection, *p); !got.Leaving {
					t.Errorf("%q %s has left and is not marked so", key, meta)
				}
			}
		}
	}
	wantReplica(t, room, b)
}

// testAdopt: who comes back while it lingers takes its place.
func testAdopt(t *testing.T, a, b *runningPod) {
	room := topic(t, "room")
	b.subscribe(t, hub.TopicAddress(room))
	for i, test := range []struct {
		name, key, meta string
		lingers         bool
		same, adopted   bool
	}{
		{"the same", "u", `{"n":1}`, true, true, true},
		{"another meta", "u", `{"n":2}`, true, false, true},
		{"another key", "v", `{"n":1}`, true, false, false},
		{"one that is still there", "u", `{"n":1}`, false, false, false},
	} {
		old, next := a.tracks(t, room, fmt.Sprint("old", i)), b.tracks(t, room, fmt.Sprint("new", i))
		before := presented("u", `{"n":1}`)
		old.show(t, before)
		if test.lingers {
			old.leave(t, true)
		}
		was := a.wantShown(t, room, old.member.Connection, *before)
		after := presented(test.key, test.meta)
		after.Adopt = old.member.Connection
		ref, _ := next.show(t, after)
		all, _ := a.presenceOf(t, room)
		_, stays := all[old.member.Connection]
		got := all[next.member.Connection]
		if stays == test.adopted || (got.Order == was.Order) != test.adopted || got.Leaving || ref != got.Ref {
			t.Errorf("%s: got %+v and ref %s after %+v, which stays: %v", test.name, got, ref, was, stays)
		}
		if (got.Ref == was.Ref) != test.same || test.adopted && !test.same && got.Prev != was.Ref {
			t.Errorf("%s: got refs %s and %s after %s", test.name, got.Ref, got.Prev, was.Ref)
		}
		next.leave(t, false)
		if !test.adopted {
			old.leave(t, false)
		}
	}
	a.tracks(t, room, "last").show(t, presented("u", `{}`))
	wantReplica(t, room, b)
}

// testTrackMany: many changes from two pods at once end in the same for all.
func testTrackMany(t *testing.T, a, b *runningPod) {
	room := topic(t, "room")
	pods := []*runningPod{a, b}
	for _, p := range pods {
		p.subscribe(t, hub.TopicAddress(room))
	}
	const members, updates = 100, 5
	var busy sync.WaitGroup
	done := make(chan error, len(pods)*members*(updates+1))
	for _, p := range pods {
		all := make([]*tracked, members)
		for i := range all {
			all[i] = p.tracks(t, room, fmt.Sprint(i))
		}
		busy.Go(func() {
			for n := range updates {
				for i, m := range all {
					m.showThen(presented(fmt.Sprint("u", i), fmt.Sprintf(`{"n":%d}`, n)), func(ref string, version uint64, err error) {
						if err == nil && (ref == "" || version == 0) {
							err = errors.New("no ref, or no version")
						}
						done <- err
					})
				}
			}
			for _, m := range all[:members/2] {
				m.pod.sink.member(m.member, false)
				m.pod.Roster.Remove(m.member, func(err error) { done <- err })
			}
		})
	}
	busy.Wait()
	for range len(pods) * (members*updates + members/2) {
		wait(t, "Track or Remove", done)
	}
	read, _ := a.presenceOf(t, room)
	if len(read) != len(pods)*members/2 {
		t.Errorf("got %d shown, want %d", len(read), len(pods)*members/2)
	}
	for _, s := range read {
		if want := fmt.Sprintf(`{"n":%d}`, updates-1); string(s.Meta) != want {
			t.Errorf("%s shows %s, want its last one, %s", s.Connection, s.Meta, want)
		}
	}
	wantReplica(t, room, pods...)
}
