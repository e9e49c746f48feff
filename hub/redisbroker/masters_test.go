package redisbroker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

// oftenLook is how often pods of these tests look at the masters.
const oftenLook = 50 * time.Millisecond

// startWatching starts a pod of a cluster that looks at the masters often, and waits until it has looked once.
func startWatching(t *testing.T, c *redistest.ClusterServer, id string) *pod {
	t.Helper()
	b := open(t, redisbroker.Config{URL: c.URL, PodID: id})
	b.LookAtMasters(oftenLook)
	p := run(t, b)
	p.awaitUps(t, 1)
	awaitMarkers(t, c)
	return p
}

// awaitMarkers waits until each master has a marker.
func awaitMarkers(t *testing.T, c *redistest.ClusterServer) {
	t.Helper()
	redistest.Eventually(t, "marker of each master", func() bool {
		for _, n := range c.Nodes[:3] {
			if len(n.Client.Keys(t.Context(), "roost:marker:*").Val()) == 0 {
				return false
			}
		}
		return true
	})
}

// dropMarkers does what the loss of data of a master does to its marker.
func dropMarkers(t *testing.T, c *redistest.ClusterServer) {
	t.Helper()
	for _, n := range c.Nodes[:3] {
		for _, key := range n.Client.Keys(t.Context(), "roost:marker:*").Val() {
			if err := n.Client.Del(t.Context(), key).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// idle returns a master that neither has the leases nor a pod's link.
func idle(t *testing.T, c *redistest.ClusterServer) *redistest.Node {
	t.Helper()
	home := c.Owner(t, c.Slot(t, "roost:pods"), c.Nodes[0])
	for _, n := range c.Nodes {
		if n != home && n.Client.PubSubNumPat(t.Context()).Val() == 0 {
			return n
		}
	}
	t.Fatal("every master has a link")
	return nil
}

// topicAt is a topic whose keys the node has.
func topicAt(t *testing.T, c *redistest.ClusterServer, n *redistest.Node) string {
	t.Helper()
	for i := 0; ; i++ {
		topic := fmt.Sprint("t", i)
		if c.Owner(t, c.Slot(t, "roost:{"+topic+"}:members"), c.Nodes[0]) == n {
			return topic
		}
	}
}

// TestMasterLosesItsData: what stood on the one master that was emptied, or started again as it was before, is entered again, although
// no link broke and no write failed.
func TestMasterLosesItsData(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, n *redistest.Node){
		"emptied": func(t *testing.T, n *redistest.Node) {
			if err := n.Client.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		},
		"started again": func(t *testing.T, n *redistest.Node) {
			n.Kill()
			n.Restart(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := redistest.StartCluster(t, 0)
			p, q := startWatching(t, c, "pod-a"), startWatching(t, c, "pod-b")
			n := idle(t, c)
			if err := n.Client.Save(t.Context()).Err(); err != nil { // with the marker
				t.Fatal(err)
			}
			topic := topicAt(t, c, n)
			joinAll(t, p, hub.Member{Topic: topic, Connection: "pod-a.1", JoinRef: "null"})
			joinAll(t, q, hub.Member{Topic: topic, Connection: "pod-b.1", JoinRef: "null"})
			lose(t, n)
			redistest.Eventually(t, "members that are back", func() bool {
				list, err := n.Client.SMembers(t.Context(), "roost:{"+topic+"}:members").Result()
				return err == nil && len(list) == 2
			})
		})
	}
}

// watcher is a member that keeps the refs that it was told of.
type watcher struct {
	connection string

	mu   sync.Mutex
	refs map[string]bool
}

func (w *watcher) Connection() string { return w.connection }
func (w *watcher) End(bool)           {}

func (w *watcher) Deliver(b *hub.Batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range b.Broadcasts {
		type metas map[string]struct {
			Metas []struct {
				Ref string `json:"phx_ref"`
			}
		}
		var diff struct{ Joins, Leaves metas }
		if one.Event != "presence_diff" || json.Unmarshal(one.Payload, &diff) != nil {
			continue
		}
		for _, who := range diff.Joins {
			for _, m := range who.Metas {
				w.refs[m.Ref] = true
			}
		}
		for _, who := range diff.Leaves {
			for _, m := range who.Metas {
				delete(w.refs, m.Ref)
			}
		}
	}
}

// awaitRefs waits until w was told of these and no others.
func (w *watcher) awaitRefs(t *testing.T, refs ...string) {
	t.Helper()
	redistest.Eventually(t, fmt.Sprint("presence of ", refs), func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, ref := range refs {
			if !w.refs[ref] {
				return false
			}
		}
		return len(w.refs) == len(refs)
	})
}

// watch joins a topic as a member of a hub of its own on b.
func watch(t *testing.T, b *redisbroker.Broker, pod, topic string) *watcher {
	t.Helper()
	h := hub.New(hub.Config{PodID: pod, Broker: b, Roster: b})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	redistest.Eventually(t, "link", h.Ready)
	w := &watcher{connection: pod + ".1", refs: map[string]bool{}}
	var sub hub.Subscription
	if err := h.Join(t.Context(), &sub, w, hub.Member{Topic: topic, Connection: w.connection, JoinRef: "null", Tracked: true}, true); err != nil {
		t.Fatal(err)
	}
	h.AwaitPresence(t.Context(), &sub)
	return w
}

// track enters m, shows it, and waits for it.
func (p *pod) track(t *testing.T, m hub.Member) {
	t.Helper()
	p.mu.Lock()
	p.members[m] = true
	p.mu.Unlock()
	done := make(chan error, 1)
	p.Track(m, func(_ string, _ uint64, err error) { done <- err })
	if err := await(t, done); err != nil {
		t.Fatal(err)
	}
}

// TestVersionsUsedAgain: a master that lacks the last change of a presence gives its version to another one. Who followed the first
// learns of the second when the masters are looked at.
func TestVersionsUsedAgain(t *testing.T) {
	c := redistest.StartCluster(t, 0)
	b := open(t, redisbroker.Config{URL: c.URL, PodID: "pod-a"})
	b.LookAtMasters(oftenLook)
	w := watch(t, b, "pod-a", "t")
	awaitMarkers(t, c)
	p := start(t, redisbroker.Config{URL: c.URL, PodID: "pod-b"})
	of := func(id string) hub.Member {
		return shown(hub.Member{Topic: "t", Connection: "pod-b." + id, JoinRef: "null"})
	}
	p.track(t, of("0"))
	before := c.Client.Get(t.Context(), "roost:{t}:presence_version").Val()
	p.track(t, of("1"))
	w.awaitRefs(t, "pod-b.0", "pod-b.1")
	if err := c.Client.HDel(t.Context(), "roost:{t}:presence", "pod-b.1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.Client.Set(t.Context(), "roost:{t}:presence_version", before, 0).Err(); err != nil {
		t.Fatal(err)
	}
	p.track(t, of("2"))
	p.track(t, of("1"))
	p.track(t, of("3"))
	w.awaitRefs(t, "pod-b.0", "pod-b.1", "pod-b.3")
	dropMarkers(t, c)
	w.awaitRefs(t, "pod-b.0", "pod-b.1", "pod-b.2", "pod-b.3")
}

// TestLostRemoval: a master that lacks the removal of a member has it done again, also where the pod has no other member. Who is
// back stays.
func TestLostRemoval(t *testing.T) {
	t.Run("cluster", func(t *testing.T) {
		c := redistest.StartCluster(t, 0)
		lostRemoval(t, startWatching(t, c, "pod-a"), &c.Server, func() { dropMarkers(t, c) })
	})
	t.Run("sentinel", func(t *testing.T) {
		s := redistest.Sentinel(t)
		b := open(t, redisbroker.Config{URL: s.URL, PodID: "pod-a"})
		b.LookAtMasters(oftenLook)
		p := run(t, b)
		p.awaitUps(t, 1)
		redistest.Eventually(t, "marker", func() bool { return exists(t, s, "roost:marker:0") })
		lostRemoval(t, p, s, func() {
			if err := s.Client.Del(t.Context(), "roost:marker:0").Err(); err != nil {
				t.Fatal(err)
			}
		})
	})
}

// lostRemoval puts back what p has removed. drop does what makes pods think that data was lost.
func lostRemoval(t *testing.T, p *pod, s *redistest.Server, drop func()) {
	t.Helper()
	gone := shown(hub.Member{Topic: "t", Connection: "pod-a.1", JoinRef: "null"})
	back := shown(hub.Member{Topic: "u", Connection: "pod-a.1", JoinRef: "null"})
	presence := map[string]map[string]string{}
	for _, m := range []hub.Member{gone, back} {
		joinAll(t, p, m)
		p.track(t, m)
		presence[m.Topic] = s.Client.HGetAll(t.Context(), "roost:{"+m.Topic+"}:presence").Val()
		p.leave(m)
	}
	joinAll(t, p, back)
	p.track(t, back)
	if got := members(t, s, "t"); len(got) != 0 || len(presence["t"]) != 1 {
		t.Fatalf("got members %q before, and presence %v then; want none, and one", got, presence["t"])
	}
	if err := s.Client.SAdd(t.Context(), "roost:{t}:members", "pod-a.1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.Client.HSet(t.Context(), "roost:{t}:presence", presence["t"]).Err(); err != nil {
		t.Fatal(err)
	}
	drop()
	redistest.Eventually(t, "end of the ghosts", func() bool {
		return !exists(t, s, "roost:{t}:members") && !exists(t, s, "roost:{t}:presence")
	})
	if got := members(t, s, "u"); len(got) != 1 || !exists(t, s, "roost:{u}:presence") {
		t.Errorf("got members %q of the other topic, want one, and a presence", got)
	}
}
