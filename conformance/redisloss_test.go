package conformance_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"roost/phoenix/phoenixtest"
)

// TestRedisLoss is X9: Redis crashes under joined clients and comes back empty.
func TestRedisLoss(t *testing.T) {
	t.Parallel()
	outage := 5 * time.Second
	if testing.Short() {
		outage = 2 * time.Second
	}
	server := ownRedis(t)
	pods := []*pod{ownPod(t, server.url(), settings{"ROOST_WEBHOOK_TIMEOUT": "2s"}), ownPod(t, server.url(), nil)}
	topic := newTopic("x9")
	var clients []*client
	for _, p := range []*pod{pods[0], pods[0], pods[1], pods[1]} {
		clients = append(clients, dial(t, p, "vsn=2.0.0").named(topic).joined())
	}
	var members []string
	for _, c := range lab.backend.seen(topic, joins) {
		members = append(members, c.Data.Connection)
	}
	idle := dial(t, pods[1], "vsn=2.0.0").joined() // alone in its topic
	server.kill()
	down := time.Now()
	for _, p := range pods {
		j := dial(t, p, "vsn=2.0.0") // a topic that is not subscribed yet
		j.send(`["1","1",$T,"phx_join",{}]`)
		j.Heartbeat()
		j.want(`["1","1",$T,"phx_reply",ERR({"reason":"join crashed"})]`)
	}
	again := dial(t, pods[0], "vsn=2.0.0").named(topic) // one that was
	again.ask(`["1","1",$T,"phx_join",{}]`, `["1","1",$T,"phx_reply",ERR({"reason":"join crashed"})]`)
	time.Sleep(time.Until(down.Add(outage)))
	if err := server.start(); err != nil {
		t.Fatal(err)
	}
	clients = append(clients, idle)
	var faithful []*survivor
	for _, c := range clients {
		faithful = append(faithful, survive(t, c))
	}
	round := 0
	eventually(t, func() error {
		round++
		for _, topic := range []string{topic, idle.topic} {
			server.publish(t, "topic:"+topic, fmt.Sprintf(`{"event":"round","payload":{"n":%d}}`, round))
		}
		time.Sleep(200 * time.Millisecond)
		for i, s := range faithful {
			if got := s.round.Load(); got < int64(round) {
				return fmt.Errorf("client %d got round %d of %d", i, got, round)
			}
		}
		return nil
	})
	wantMembers(t, server, topic, members...) // they go on joining again until all were told to
	wantMembers(t, server, idle.topic, idle.connection("1"))
	for i, s := range faithful {
		if err := s.stop(); err != nil {
			t.Errorf("client %d: %v", i, err)
		}
	}
	for _, p := range pods {
		eventually(t, func() error { return p.awaitReady(time.Second) })
	}
}

// wantMembers waits until the membership set of topic holds exactly these connections.
func wantMembers(t *testing.T, server *redisServer, topic string, want ...string) {
	t.Helper()
	slices.Sort(want)
	eventually(t, func() error {
		got := server.members(t, topic)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			return fmt.Errorf("got members %v of %s, want %v", got, topic, want)
		}
		return nil
	})
}

// behave answers what a pod sends as phoenix.js would: a channel that crashed, or could not be joined, is joined again.
func (s *survivor) behave(m phoenixtest.Message) error {
	text := string(m.Data)
	switch {
	case strings.Contains(text, `"phx_error"`), strings.Contains(text, `"join crashed"`):
		s.rejoin()
		return nil
	case strings.Contains(text, `"round"`):
		var n int64
		if _, err := fmt.Sscanf(text[strings.Index(text, `{"n":`):], `{"n":%d}`, &n); err != nil {
			return err
		}
		s.round.Store(n)
		return nil
	case strings.Contains(text, `"phx_reply"`):
		return nil
	}
	return fmt.Errorf("got %v", m)
}
