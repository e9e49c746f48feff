package hub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"roost/hub"
)

// watcher is a member that keeps a Presence as phoenix.js does.
type watcher struct {
	sub   hub.Subscription
	entry hub.Member
	pod   *pod

	mu    sync.Mutex
	state map[string]map[string]string // key → phx_ref → meta
	diffs int
	count int    // as presence_count says
	last  string // the last diff
}

var _ hub.Listener = (*watcher)(nil)

func (w *watcher) Connection() string { return w.entry.Connection }
func (w *watcher) End(bool)           {}

func (w *watcher) Deliver(b *hub.Batch) {
	for _, m := range b.Broadcasts {
		w.take(m.Event, m.Payload)
	}
}

type metas map[string]struct{ Metas []map[string]any }

func (w *watcher) take(event string, payload []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch event {
	case "presence_state":
		var state metas
		if err := json.Unmarshal(payload, &state); err != nil {
			panic(err)
		}
		w.state = map[string]map[string]string{}
		w.join(state)
		for key, e := range state {
			if len(e.Metas) != len(w.state[key]) {
				panic(fmt.Sprintf("a state has a ref twice, of which phoenix.js keeps one for ever: %s", payload))
			}
		}
	case "presence_diff":
		var diff struct{ Joins, Leaves metas }
		if err := json.Unmarshal(payload, &diff); err != nil || diff.Joins == nil || diff.Leaves == nil {
			panic(fmt.Sprintf("%s: %v", payload, err))
		}
		w.diffs++
		w.last = string(payload)
		w.join(diff.Joins)
		for key, list := range diff.Leaves {
			for _, m := range list.Metas {
				delete(w.state[key], m["phx_ref"].(string))
			}
			if len(w.state[key]) == 0 {
				delete(w.state, key)
			}
		}
	case "presence_count":
		var n struct{ Count int }
		json.Unmarshal(payload, &n)
		w.count = n.Count
	}
}

func (w *watcher) join(list metas) {
	for key, metas := range list {
		if w.state == nil {
			w.state = map[string]map[string]string{}
		}
		if w.state[key] == nil {
			w.state[key] = map[string]string{}
		}
		for _, m := range metas.Metas {
			w.state[key][m["phx_ref"].(string)] = fmt.Sprint(m["n"])
		}
	}
}

// has returns what the member believes.
func (w *watcher) has() map[string]map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[string]map[string]string{}
	for key, refs := range w.state {
		all[key] = maps.Clone(refs)
	}
	return all
}

// watch joins a topic with presence as connection, and takes the state.
func watch(t rapid.TB, p *pod, topic, connection string) *watcher {
	w := &watcher{pod: p, entry: hub.Member{Topic: topic, Connection: connection, JoinRef: `"1"`, Tracked: true}}
	if err := p.Join(context.Background(), &w.sub, w, w.entry, true); err != nil {
		t.Fatalf("Join = %v", err)
	}
	return w
}

// shows shows key and meta, and waits.
func (w *watcher) shows(t rapid.TB, key string, n int) {
	next := &hub.Presence{Key: key, Meta: fmt.Appendf(nil, `{"n":%d}`, n), Ref: hub.NewRef()}
	if was := w.entry.Presence; was != nil && was.Key == key {
		next.Prev = was.Ref
	}
	w.entry.Presence = next
	ref, err := w.pod.Track(&w.sub, w.entry).Wait(context.Background())
	if err != nil {
		t.Fatalf("Track = %v", err)
	}
	adopted := *next
	adopted.Ref = ref
	w.entry.Presence = &adopted
}

// hides takes back what w shows.
func (w *watcher) hides(t rapid.TB) {
	w.entry.Presence = nil
	if _, err := w.pod.Track(&w.sub, w.entry).Wait(context.Background()); err != nil {
		t.Fatalf("Track = %v", err)
	}
}

func (w *watcher) greeted() *watcher {
	event, payload := w.pod.Snapshot(&w.sub, 1<<20)
	w.take(event, payload)
	return w
}

func (w *watcher) leaves(lingers bool) {
	m := w.entry
	m.Lingers = lingers
	w.pod.Leave(&w.sub, m, nil)
}

// truth returns what is kept in topic, as members should believe it.
func truth(m *hub.Memory, topic string) map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, s := range m.ShownIn(topic) {
		if all[s.Key] == nil {
			all[s.Key] = map[string]string{}
		}
		var meta struct{ N int }
		json.Unmarshal(s.Meta, &meta)
		all[s.Key][s.Ref] = fmt.Sprint(meta.N)
	}
	return all
}

func equal(a, b map[string]map[string]string) bool {
	return maps.EqualFunc(a, b, func(x, y map[string]string) bool { return maps.Equal(x, y) })
}

func holdsSoon(check func() bool) bool {
	for end := time.Now().Add(timeout); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if check() {
			return true
		}
	}
	return false
}

// Everybody believes the same as the broker, whatever was done on whichever pod.
func TestPresenceConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		memory := hub.NewMemory()
		var pods []*pod
		for i := range 3 {
			p := newPod(memory, fmt.Sprint("pod", i), hub.Config{PresenceGrace: 20 * time.Millisecond, Linger: 10 * time.Millisecond})
			stop := p.start()
			defer stop()
			pods = append(pods, p)
		}
		var here []*watcher
		next := 0
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch what := rapid.SampledFrom([]string{"join", "join", "show", "show", "hide", "leave", "vanish"}).Draw(t, "step"); {
			case what == "join" || len(here) == 0:
				p := pods[rapid.IntRange(0, 2).Draw(t, "pod")]
				next++
				here = append(here, watch(t, p, "t", fmt.Sprintf("%s.%d", p.PodID(), next)))
				here[len(here)-1].greeted()
			default:
				i := rapid.IntRange(0, len(here)-1).Draw(t, "who")
				switch w := here[i]; what {
				case "show":
					w.shows(t, rapid.SampledFrom([]string{"a", "b", "__proto__"}).Draw(t, "key"), rapid.IntRange(0, 1).Draw(t, "meta"))
				case "hide":
					w.hides(t)
				default:
					w.leaves(what == "vanish")
					here = slices.Delete(here, i, i+1)
				}
			}
		}
		for _, w := range here {
			if !holdsSoon(func() bool { return equal(w.has(), truth(memory, "t")) }) {
				t.Fatalf("%s believes %v, want %v", w.Connection(), w.has(), truth(memory, "t"))
			}
		}
		if want := len(here); want > 0 {
			shown := 0
			for _, w := range here {
				if w.entry.Presence != nil {
					shown++
				}
			}
			if !holdsSoon(func() bool { return len(memory.ShownIn("t")) == shown }) {
				t.Fatalf("got %v, want %d shown", memory.ShownIn("t"), shown)
			}
		}
	})
}

// A member that comes back within the grace, on another pod, is not noticed by anybody.
func TestPresenceGrace(t *testing.T) {
	memory := hub.NewMemory()
	cfg := hub.Config{PresenceGrace: time.Hour}
	a, b := startPod(t, memory, "a", cfg), startPod(t, memory, "b", cfg)
	observer := watch(t, a, "t", "a.1")
	gone := watch(t, a, "t", "a.2")
	gone.shows(t, "u1", 1)
	observer.greeted()
	before := truth(memory, "t")
	gone.leaves(true)
	back := watch(t, b, "t", "b.1")
	if !holdsSoon(func() bool { return memory.ShownIn("t")["a.2"].Leaving }) {
		t.Fatal("the member that left is not marked")
	}
	back.greeted()
	if !holdsSoon(func() bool { back.greeted(); return len(back.has()) == 1 }) {
		t.Fatal("who has left is not there within the grace")
	}
	diffs := func() int { observer.mu.Lock(); defer observer.mu.Unlock(); return observer.diffs }
	count := diffs()
	back.shows(t, "u1", 1)
	other := watch(t, b, "t", "b.2")
	other.shows(t, "u2", 1) // is told behind what comes before
	if !holdsSoon(func() bool { return len(observer.has()) == 2 }) {
		t.Fatalf("got %v, want u1 and u2", observer.has())
	}
	if got := diffs() - count; got != 1 {
		t.Errorf("got %d diffs, want that of u2 only", got)
	}
	if after := truth(memory, "t"); !maps.Equal(after["u1"], before["u1"]) {
		t.Errorf("got %v, want %v as before", after, before)
	}
	back.shows(t, "u1", 2) // an update of what was taken over
	if !holdsSoon(func() bool { return equal(observer.has(), truth(memory, "t")) }) {
		t.Errorf("got %v, want %v", observer.has(), truth(memory, "t"))
	}
}

// Above the limit members are told how many there are, and below it who.
func TestPresenceLimit(t *testing.T) {
	memory := hub.NewMemory()
	p := startPod(t, memory, "a", hub.Config{PresenceLimit: 10})
	observer := watch(t, p, "t", "a.0").greeted()
	var crowd []*watcher
	for i := range 11 {
		w := watch(t, p, "t", fmt.Sprint("a.", i+1))
		w.shows(t, fmt.Sprint("u", i), 1)
		crowd = append(crowd, w)
	}
	count := func() int { observer.mu.Lock(); defer observer.mu.Unlock(); return observer.count }
	if !holdsSoon(func() bool { return count() == 11 }) {
		t.Fatalf("got count %d, want 11", count())
	}
	if event, payload := p.Snapshot(&crowd[0].sub, 1<<20); event != "presence_count" || string(payload) != `{"count":11}` {
		t.Errorf("got %s %s, want the count", event, payload)
	}
	for _, w := range crowd[:4] {
		w.leaves(false)
	}
	if !holdsSoon(func() bool { return equal(observer.has(), truth(memory, "t")) }) {
		t.Errorf("got %v, want %v", observer.has(), truth(memory, "t"))
	}
	if event, _ := p.Snapshot(&crowd[10].sub, 10); event != "presence_count" {
		t.Errorf("got %s for a state that is too large, want the count", event)
	}
}

// Changes that are lost, doubled or out of order are made good.
func TestPresenceGaps(t *testing.T) {
	p := startByHand(t, "a", hub.Config{})
	observer := watch(t, p.pod, "t", "a.0")
	ghost := func(connection, key string) {
		p.memory.Pod("x").Track(hub.Member{Topic: "t", Connection: connection, Tracked: true, Presence: &hub.Presence{Key: key, Meta: []byte(`{"n":1}`), Ref: hub.NewRef()}}, func(string, uint64, error) {})
	}
	if !holdsSoon(func() bool { event, _ := p.Snapshot(&observer.sub, 1<<20); return event != "" }) {
		t.Fatal("the presence is not read")
	}
	observer.greeted()
	ghost("x.1", "u1") // missed: nothing arrives
	ghost("x.2", "u2")
	c := hub.PresenceChange{From: 1, Version: 2, Count: 2, Set: []hub.Shown{p.memory.ShownIn("t")["x.2"]}}
	p.receive("t", string(hub.AppendPresenceChange(nil, &c)))
	p.receive("t", string(hub.AppendPresenceChange(nil, &c)))
	if !holdsSoon(func() bool { return equal(observer.has(), truth(p.memory, "t")) }) {
		t.Errorf("got %v, want %v", observer.has(), truth(p.memory, "t"))
	}
	for _, bad := range []string{`{"event":"presence_diff","presence":1}`, `{"event":"presence_diff","presence":{"set":[{}]}}`, `{"event":"presence_diff","presence":{"v":-1}}`} {
		p.receive("t", bad)
	}
	if !holdsSoon(func() bool { return equal(observer.has(), truth(p.memory, "t")) }) {
		t.Errorf("got %v, want %v", observer.has(), truth(p.memory, "t"))
	}
}
