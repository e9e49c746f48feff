package hub_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"roost/hub"
)

// changes is what other pods change in a topic, one message each.
type changes struct {
	*byHand
	version uint64
	shown   map[string]hub.Shown
}

func startChanges(t *testing.T) *changes {
	return &changes{byHand: startByHand(t, "a", hub.Config{}), shown: map[string]hub.Shown{}}
}

func (c *changes) set(connection, ref, prev string) {
	s := hub.Shown{Connection: connection, Order: 1, Presence: hub.Presence{Key: "u", Meta: []byte(`{"n":1}`), Ref: ref, Prev: prev}}
	c.shown[connection] = s
	c.publish(hub.PresenceChange{Set: []hub.Shown{s}})
}

// take has connection take over what other shows.
func (c *changes) take(other, connection string) {
	s := c.shown[other]
	s.Connection = connection
	delete(c.shown, other)
	c.shown[connection] = s
	c.publish(hub.PresenceChange{Set: []hub.Shown{s}, Del: []string{other}})
}

func (c *changes) del(connection string) {
	delete(c.shown, connection)
	c.publish(hub.PresenceChange{Del: []string{connection}})
}

func (c *changes) publish(change hub.PresenceChange) {
	change.From, change.Version, change.Count = c.version, c.version+1, len(c.shown)
	c.version++
	c.receive("t", string(hub.AppendPresenceChange(nil, &change)))
}

// member joins and takes the state.
func (c *changes) member(t rapid.TB, n int) *watcher {
	w := watch(t, c.pod, "t", fmt.Sprint("a.", n))
	time.Sleep(time.Second)
	return w.greeted()
}

// believed is what members should believe.
func (c *changes) believed() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, s := range c.shown {
		if all[s.Key] == nil {
			all[s.Key] = map[string]string{}
		}
		all[s.Key][s.Ref] = "1"
	}
	return all
}

// However changes fall into windows, and refs come and go and come back, members believe what is shown; also those who join
// between.
func TestPresenceWindows(t *testing.T) {
	step := rapid.SampledFrom([]string{"set x.1 r1", "set x.1 r2", "set x.2 r3", "set x.2 r4", "set x.2 r1", "del x.1", "del x.2", "take x.1 x.2", "take x.2 x.1", "pause", "join"})
	rapid.Check(t, func(r *rapid.T) {
		steps := rapid.SliceOfN(step, 1, 30).Draw(r, "steps")
		synctest.Test(t, func(t *testing.T) {
			if wrong := playWindows(t, steps); wrong != "" {
				r.Errorf("%s", wrong)
			}
		})
	})
}

func playWindows(t *testing.T, steps []string) (wrong string) {
	c := startChanges(t)
	members := []*watcher{c.member(t, 0)}
	for _, step := range steps {
		var what, connection, ref string
		fmt.Sscan(step, &what, &connection, &ref)
		_, found := c.shown[connection]
		switch {
		case what == "set":
			c.set(connection, ref, "")
		case what == "del" && found:
			c.del(connection)
		case what == "take" && found && c.shown[ref].Ref == "":
			c.take(connection, ref)
		case what == "pause":
			time.Sleep(time.Second)
		case what == "join": // no window ends meanwhile
			w := watch(t, c.pod, "t", fmt.Sprint("a.", len(members)))
			synctest.Wait()
			members = append(members, w.greeted())
		}
	}
	time.Sleep(time.Second)
	synctest.Wait()
	for _, w := range members {
		if got, want := w.has(), c.believed(); !equal(got, want) {
			wrong = fmt.Sprintf("%s believes %v, want %v", w.Connection(), got, want)
		}
	}
	return wrong
}

// Of several updates in a window members are told one, from what they know.
func TestPresenceUpdatesTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startChanges(t)
		w := c.member(t, 0)
		for _, test := range []struct{ name, known, want string }{
			{"known", "r1", `{"joins":{"u":{"metas":[{"phx_ref":"r3","phx_ref_prev":"r1","n":1}]}},"leaves":{"u":{"metas":[{"phx_ref":"r1","n":1}]}}}`},
			{"not known", "", `{"joins":{"u":{"metas":[{"phx_ref":"r3","n":1}]}},"leaves":{}}`},
		} {
			if test.known != "" {
				c.set("x.1", test.known, "")
				time.Sleep(time.Second)
			}
			c.set("x.2", "other", "") // is told at once
			if test.known == "" {
				c.set("x.1", "r1", "")
			}
			c.set("x.1", "r2", "r1")
			c.set("x.1", "r3", "r2")
			time.Sleep(time.Second)
			synctest.Wait()
			if w.last != test.want {
				t.Errorf("%s: got %s, want %s", test.name, w.last, test.want)
			}
			c.del("x.1")
			c.del("x.2")
			time.Sleep(time.Second)
		}
	})
}
