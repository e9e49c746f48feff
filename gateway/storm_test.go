package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/auth"
	"roost/gateway"
	"roost/hub"
	"roost/phoenix/phoenixtest"
)

// ledgers is what a backend said yes to.
type ledgers struct {
	mu       sync.Mutex
	joins    []string // "connection topic joinRef"
	connects []string // connection
}

func (l *ledgers) connect(_ context.Context, c *auth.Client) (*auth.ConnectAnswer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.connects = append(l.connects, c.Connection)
	return &auth.ConnectAnswer{ID: "everyone"}, nil
}

// pause takes a while, and sometimes longer than the client's patience; often it does not heed ctx.
func pause(ctx context.Context) error {
	wait := time.Duration(rand.IntN(3)*rand.IntN(3)) * time.Millisecond
	if rand.IntN(10) == 0 {
		wait = 150 * time.Millisecond
	}
	if rand.IntN(2) == 0 {
		ctx = context.Background()
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *ledgers) join(ctx context.Context, r *auth.JoinRequest) (*auth.Answer, error) {
	if err := pause(ctx); err != nil {
		return nil, err
	}
	if rand.IntN(5) == 0 {
		return nil, &auth.Refusal{Code: 403}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.joins = append(l.joins, fmt.Sprintf("%s %s %s", r.Client.Connection, r.Topic, r.JoinRef.JSON()))
	return &auth.Answer{Status: "ok", Broadcasts: []auth.Broadcast{{Event: "came"}}}, nil
}

func (l *ledgers) push(ctx context.Context, _ *auth.PushRequest) (*auth.Answer, error) {
	if err := pause(ctx); err != nil {
		return nil, err
	}
	return &auth.Answer{Status: "ok", Broadcasts: []auth.Broadcast{{Event: "told"}}, Stop: auth.Stop(max(0, rand.IntN(10)-7))}, nil
}

// alive returns the joins that were not followed by a notice, and fails the test for notices nobody waits for.
func (l *ledgers) alive(t *testing.T, b *backend) (joins []string) {
	t.Helper()
	l.mu.Lock()
	count := map[string]int{}
	for _, j := range l.joins {
		count[j]++
	}
	l.mu.Unlock()
	left, _ := b.notices()
	for _, n := range left {
		count[n[:strings.LastIndex(n, " ")]]--
	}
	for j, n := range count {
		if n < 0 {
			t.Fatalf("got one leave notice too many for %s", j)
		}
		if n > 0 {
			joins = append(joins, j)
		}
	}
	slices.Sort(joins)
	return joins
}

// stormer is a client that does not wait for answers.
type stormer struct {
	*phoenixtest.Client
	ref    int
	joined map[string]string // topic → join_ref, as the answers tell
}

// rage sends a number of random messages.
func (s *stormer) rage(topics []string, n int) {
	current := map[string]string{}
	for range n {
		s.ref++
		ref, topic := fmt.Sprint(s.ref), topics[rand.IntN(len(topics))]
		switch rand.IntN(6) {
		case 0, 1:
			current[topic] = ref
			s.Send(join(ref, topic))
		case 2:
			s.Send(frame(current[topic], ref, topic, "phx_leave", "{}"))
		case 3:
			s.Send(frame(current[topic], ref, topic, "phx_leave", "{}"), join(ref+"0000", topic))
			current[topic] = ref + "0000"
		default:
			s.Send(frame(current[topic], ref, topic, "say", "{}"))
		}
	}
}

// read takes in all that came so far, up to the answer of a heartbeat.
func (s *stormer) read(t *testing.T) {
	t.Helper()
	ask, answer := s.NextHeartbeat()
	s.Send(ask)
	for {
		m := s.Next()
		if phoenixtest.Same(m, answer) {
			return
		}
		var joinRef, ref *string
		var topic, event string
		var payload struct{ Status string }
		if err := json.Unmarshal(m.Data, &[]any{&joinRef, &ref, &topic, &event, &payload}); err != nil {
			t.Fatalf("got %v, want a message: %v", m, err)
		}
		switch {
		case event == "phx_reply" && payload.Status == "ok" && joinRef != nil && ref != nil && *joinRef == *ref:
			s.joined[topic] = *ref
		case (event == "phx_close" || event == "phx_error") && s.joined[topic] == *joinRef:
			delete(s.joined, topic)
		}
	}
}

// Whatever happens at once: every yes of the backend is followed by one notice, and at rest the backend, the membership
// sets and the clients agree on who is where.
func TestStorm(t *testing.T) {
	t.Parallel()
	const clients, messages = 12, 60
	l := &ledgers{}
	b := &backend{connect: l.connect, join: l.join, push: l.push}
	p := startPod(t, b, func(c *gateway.Config) { c.InboxLimit = 4000 })
	topics := []string{"a", "b", "c", "d"}
	var storm, others sync.WaitGroup
	stop := make(chan struct{})
	others.Go(func() { // what comes from the backend
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			addr := hub.TopicAddress(topics[n%len(topics)])
			if n%10 == 0 {
				p.publish(addr, `{"event":"phx_error"}`)
			} else {
				p.publish(addr, `{"event":"news"}`)
			}
		}
	})
	for range clients { // connections that come and go
		storm.Go(func() {
			for round := range 3 {
				c, err := phoenixtest.Connect(t, p.url("?vsn=2.0.0"), nil)
				if err != nil {
					t.Errorf("Connect = %v, want a client", err)
					return
				}
				s := &stormer{Client: c}
				s.rage(topics, messages/2)
				if round == 1 {
					s.CloseWith(1000)
				}
				s.Drop()
			}
		})
	}
	lasting := make([]*stormer, clients)
	for i := range lasting {
		lasting[i] = &stormer{Client: p.dial(), joined: map[string]string{}}
		storm.Go(func() { lasting[i].rage(topics, messages) })
	}
	storm.Wait()
	close(stop)
	others.Wait()
	var who map[string]string // connection id → what it has joined
	agree := func() bool {
		who = map[string]string{}
		for _, topic := range topics {
			for _, c := range p.members(topic) {
				who[c] += topic + " "
			}
		}
		told := map[string]string{}
		for _, j := range l.alive(t, b) {
			f := strings.Fields(j)
			told[f[0]] += f[1] + " "
		}
		var seen []string
		for _, s := range lasting {
			s.read(t)
			if len(s.joined) > 0 {
				seen = append(seen, strings.Join(slices.Sorted(maps.Keys(s.joined)), " ")+" ")
			}
		}
		slices.Sort(seen)
		return maps.Equal(who, told) && slices.Equal(slices.Sorted(maps.Values(who)), seen)
	}
	if !holds(agree) {
		t.Errorf("got members %v, joins alive %q, want agreement with the clients", who, l.alive(t, b))
	}
	p.publish("id:everyone", `{"event":"disconnect"}`)
	eventually(t, "end of all channels", func() bool { return len(l.alive(t, b)) == 0 })
	eventually(t, "end of all connections", func() bool { return p.counter("roost_connections") == 0 })
	for _, topic := range topics {
		if got := p.members(topic); got != nil {
			t.Errorf("got members %q of %s, want none", got, topic)
		}
	}
	same(t, "connections with a notice", func() (gone []string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, n := range b.disconnects {
			gone = append(gone, n.Client.Connection)
		}
		return gone
	}, l.connects)
}
