package redisbroker_test

import (
	"fmt"
	"strings"
	"testing"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

// onReal runs test on what is no imitation of Redis.
func onReal(t *testing.T, test func(t *testing.T, s *redistest.Server)) {
	t.Run("redis-server", func(t *testing.T) { test(t, redistest.Start(t)) })
	t.Run("cluster", func(t *testing.T) { test(t, redistest.Cluster(t)) })
}

// TestUntoldLeave: a pod that died between the script and the publish of a leave has it told by its sweeper, be somebody else
// present or not.
func TestUntoldLeave(t *testing.T) {
	onReal(t, func(t *testing.T, s *redistest.Server) {
		p := start(t, redisbroker.Config{URL: s.URL, PodID: "pod-x", ShardedPubSub: true})
		watchers := map[string]*watcher{}
		for i, topic := range []string{"t", "u"} {
			b := open(t, redisbroker.Config{URL: s.URL, PodID: fmt.Sprint("pod-", i), ShardedPubSub: true, Lease: shortLease})
			watchers[topic] = watch(t, b, fmt.Sprint("pod-", i), topic)
			p.track(t, shown(hub.Member{Topic: topic, Connection: "pod-x.1", JoinRef: "null"}))
			watchers[topic].awaitRefs(t, "pod-x.1")
		}
		p.track(t, shown(hub.Member{Topic: "u", Connection: "pod-x.2", JoinRef: "null"}))
		watchers["u"].awaitRefs(t, "pod-x.1", "pod-x.2")
		for _, topic := range []string{"t", "u"} { // what the script does
			if err := s.Client.HDel(t.Context(), "roost:{"+topic+"}:presence", "pod-x.1").Err(); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Client.Del(t.Context(), "roost:{t}:presence_version").Err(); err != nil {
			t.Fatal(err)
		}
		if err := s.Client.Incr(t.Context(), "roost:{u}:presence_version").Err(); err != nil {
			t.Fatal(err)
		}
		announce(t, s, "pod-y", 1, hub.Member{Topic: "t", Connection: "pod-x.1", JoinRef: "null"}, hub.Member{Topic: "u", Connection: "pod-x.1", JoinRef: "null"})
		watchers["t"].awaitRefs(t)
		watchers["u"].awaitRefs(t, "pod-x.2")
	})
}

// TestToldBeforeForgotten: where the script cannot publish a leave, it is published before the index forgets the member, so that there
// is always somebody who has to tell it.
func TestToldBeforeForgotten(t *testing.T) {
	s := redistest.Start(t, "--slowlog-log-slower-than", "0", "--slowlog-max-len", "100000")
	p := start(t, redisbroker.Config{URL: s.URL, ShardedPubSub: true})
	m := shown(hub.Member{Topic: "t", Connection: "pod-a.1", JoinRef: "null"})
	joinAll(t, p, m)
	p.track(t, m)
	p.leave(m)
	redistest.Eventually(t, "end of the index", func() bool { return !exists(t, s, "roost:pod:pod-a:members") })
	told, forgotten := int64(0), int64(0)
	for _, c := range s.Client.SlowLogGet(t.Context(), -1).Val() {
		switch text := strings.ToLower(strings.Join(c.Args, " ")); {
		case strings.HasPrefix(text, "spublish roost:topic:t") && strings.Contains(text, `"del":["pod-a.1"]`):
			told = c.ID
		case strings.HasPrefix(text, "hdel roost:pod:pod-a:members"):
			forgotten = c.ID
		}
	}
	if told == 0 || forgotten == 0 || told > forgotten {
		t.Errorf("told as command %d and forgotten as command %d, want told first", told, forgotten)
	}
}
