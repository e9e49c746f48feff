package redisbroker_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

// refused is what a fake says to all else.
const refused = "-ERR no\r\n"

// TestSendInPart: when the connection breaks, what Redis has taken is known to be sent, and what it has not answered is not.
func TestSendInPart(t *testing.T) {
	n := 0
	url := "redis://" + fake(t, func(command []string) string {
		if command[0] != "publish" {
			return refused
		}
		if n++; n > 3 {
			return ""
		}
		return []string{":1\r\n", "-ERR not this one\r\n", ":7\r\n"}[n-1]
	})
	b := run(t, open(t, redisbroker.Config{URL: url, PodID: "pod-a"}))
	sent := b.Send(t.Context(), make([]hub.Message, 5))
	for i, want := range []struct {
		ok        bool
		receivers int64
	}{{true, 1}, {false, 0}, {true, 7}, {false, 0}, {false, 0}} {
		if got := sent[i]; (got.Err == nil) != want.ok || want.ok && got.Receivers != want.receivers {
			t.Errorf("message %d: got %d receivers, error %v, want %+v", i, got.Receivers, got.Err, want)
		}
	}
}

// TestSendFollowsSlots: a message whose slot has moved is sent where it is now.
func TestSendFollowsSlots(t *testing.T) {
	c := redistest.StartCluster(t, 0)
	b := run(t, open(t, redisbroker.Config{URL: c.URL, PodID: "pod-a", ShardedPubSub: true}))
	slot := c.Slot(t, "roost:topic:x")
	for _, to := range c.Nodes {
		for _, got := range b.Send(t.Context(), []hub.Message{{Addr: "topic:x"}, {Addr: "topic:y"}, {Addr: "conn:pod-a.1"}}) {
			if got.Err != nil || got.Receivers != -1 {
				t.Errorf("got %+v, want it sent, and nobody who knows to how many", got)
			}
		}
		c.MoveSlot(t, slot, to)
	}
}

// TestAppendOnce: what was appended before the connection broke is not appended again, in a cluster either.
func TestAppendOnce(t *testing.T) {
	var appended atomic.Int32
	url := fakeCluster(t, func(command []string) string {
		if command[0] != "xadd" {
			return refused
		}
		appended.Add(1)
		return ""
	})
	b := run(t, open(t, redisbroker.Config{URL: url, PodID: "pod-a"}))
	if err := b.Append(t.Context(), hub.StreamEntry{Topic: "t", Event: "e"}); err == nil {
		t.Error("got nil for what nobody answered, want an error")
	}
	b.stop()
	if n := appended.Load(); n != 1 {
		t.Errorf("got %d appends, want one", n)
	}
}

// TestMovedWithoutCluster: a node of a cluster that is said to be the only server sends things elsewhere, and nobody follows.
func TestMovedWithoutCluster(t *testing.T) {
	url := "redis://" + fake(t, func(command []string) string {
		if command[0] == "xadd" || command[0] == "spublish" {
			return "-MOVED 1 127.0.0.1:1\r\n"
		}
		return refused
	})
	b := run(t, open(t, redisbroker.Config{URL: url, PodID: "pod-a", ShardedPubSub: true}))
	if err := b.Append(t.Context(), hub.StreamEntry{Topic: "t", Event: "e"}); err == nil {
		t.Error("Append: got nil, want an error")
	}
	if got := b.Send(t.Context(), []hub.Message{{Addr: "topic:x"}}); got[0].Err == nil {
		t.Error("Send: got nil, want an error")
	}
}

// TestNothingIsMissing: an answer of which a part did not come is an error, and no answer with zeros in it.
func TestNothingIsMissing(t *testing.T) {
	answers := map[string]string{
		"time": "*2\r\n$1\r\n1\r\n$1\r\n0\r\n", "zrange": "*4\r\n$1\r\na\r\n$1\r\n9\r\n$1\r\nb\r\n$1\r\n9\r\n",
		"get roost:pod:a:report": "$-1\r\n", "get roost:pod:b:report": "",
		"scard roost:{t}:members": "-WRONGTYPE no set\r\n", "hlen roost:{t}:presence": "",
	}
	url := fakeCluster(t, func(command []string) string {
		for n := range 2 {
			if answer, known := answers[strings.Join(command[:min(n+1, len(command))], " ")]; known {
				return answer
			}
		}
		return refused
	})
	b := run(t, open(t, redisbroker.Config{URL: url, PodID: "pod-a"}))
	if pods, err := b.ListPods(t.Context()); err == nil {
		t.Errorf("got %+v, want an error", pods)
	}
	if count, err := b.CountTopic(t.Context(), "t"); err == nil {
		t.Errorf("got %+v, want an error", count)
	}
	redistest.Each(t, func(t *testing.T, s *redistest.Server) { // another type is nobody's, and no error
		b := run(t, open(t, redisbroker.Config{URL: s.URL, PodID: "pod-a"}))
		s.Client.Set(t.Context(), "roost:{odd}:members", "x", 0)
		if count, err := b.CountTopic(t.Context(), "odd"); err != nil || count.Members != 0 {
			t.Errorf("got %+v, error %v, want none", count, err)
		}
		if pods, err := b.ListPods(t.Context()); err != nil || len(pods) > 1 {
			t.Errorf("got %+v, error %v, want one pod at most", pods, err)
		}
	})
}
