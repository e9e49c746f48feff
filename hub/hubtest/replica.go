package hubtest

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"roost/hub"
)

// replica is a copy made of nothing but the messages about a topic.
type replica struct {
	version uint64
	count   int
	shown   map[string]shown
}

// replay waits until the messages that p got about topic lead to version, and applies them. They may come in any order, but
// each must begin where another ends.
func (p *runningPod) replay(t *testing.T, topic string, version uint64) replica {
	t.Helper()
	r := replica{shown: map[string]shown{}}
	for end := time.Now().Add(timeout); ; time.Sleep(time.Millisecond) {
		p.sink.mu.Lock()
		bodies := slices.Clone(p.sink.messages[hub.TopicAddress(topic)])
		p.sink.mu.Unlock()
		list := make([]change, len(bodies))
		for i, body := range bodies {
			if err := json.Unmarshal([]byte(body), &list[i]); err != nil || list[i].Event != "presence_diff" {
				t.Fatalf("got %.300s (%v)", body, err)
			}
		}
		slices.SortFunc(list, func(a, b change) int { return int(int64(a.Presence.V - b.Presence.V)) })
		if len(list) == 0 || list[len(list)-1].Presence.V < version {
			if time.Now().After(end) {
				t.Fatalf("got %d changes, none of which leads to version %d", len(list), version)
			}
			continue
		}
		if err := r.apply(list); err == nil {
			return r
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
		r = replica{shown: map[string]shown{}}
	}
}

func (r *replica) apply(list []change) error {
	for _, c := range list {
		switch fits := c.Presence.From == r.version; {
		case !fits && (!c.Presence.Fresh || len(r.shown) > 0):
			return fmt.Errorf("a change from version %d follows one to %d", c.Presence.From, r.version)
		case c.Presence.Fresh != (len(r.shown) == 0):
			return fmt.Errorf("a change says fresh: %v where %d are shown", c.Presence.Fresh, len(r.shown))
		}
		for _, s := range c.Presence.Set {
			r.shown[s.C] = s
		}
		for _, connection := range c.Presence.Del {
			delete(r.shown, connection)
		}
		if r.version = c.Presence.V; c.Presence.N != len(r.shown) {
			return fmt.Errorf("a change says that %d are shown, want %d", c.Presence.N, len(r.shown))
		}
	}
	return nil
}

// wantReplica fails unless what both pods learned from messages is what they read.
func wantReplica(t *testing.T, topic string, pods ...*runningPod) {
	t.Helper()
	read, version := pods[0].presenceOf(t, topic)
	for _, p := range pods {
		r := p.replay(t, topic, version)
		if len(r.shown) != len(read) {
			t.Errorf("pod %s was told of %d, %d are shown", p.id, len(r.shown), len(read))
		}
		for connection, s := range read {
			got := r.shown[connection]
			same := got.Order == s.Order && got.Ref == s.Ref && got.Prev == s.Prev && got.Key == s.Key && got.Leaving == s.Leaving
			if !same || string(got.Meta) != string(s.Meta) {
				t.Errorf("pod %s was told %+v of %s, want %+v", p.id, got, connection, s)
			}
		}
	}
}
