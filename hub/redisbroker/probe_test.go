package redisbroker_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

// TestHalfOpen: a link whose bytes vanish is noticed within 5 s and replaced. Nobody else's wait is longer.
func TestHalfOpen(t *testing.T) {
	for name, hurt := range map[string]func(*redistest.Proxy, testing.TB){
		"both directions": (*redistest.Proxy).Swallow,
		"answers":         (*redistest.Proxy).SwallowAnswers,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			proxy := redistest.Between(t, s)
			p := start(t, redisbroker.Config{URL: proxy.URL})
			p.subscribe(t, "topic:x")
			redistest.Eventually(t, "probe", func() bool { return p.Proved() == nil })
			hurt(proxy, t)
			began := time.Now()
			p.awaitDown(t)
			// 4 s, where the machine has time for the test.
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("noticed after %v, want 5 s at most", took)
			}
			redistest.Eventually(t, "missing probe", func() bool { return p.Proved() != nil })
			proxy.Heal(t)
			p.awaitUps(t, 2)
			publish(t, s, "topic:x", "back")
			p.awaitMessages(t, "topic:x", 1)
			redistest.Eventually(t, "probe", func() bool { return p.Proved() == nil })
			if got := p.got("topic:x"); len(got) != 1 {
				t.Errorf("got %q, want one message", got)
			}
		})
	}
}

// TestSlowNetwork: a link that is slow is no dead link.
func TestSlowNetwork(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	proxy := redistest.Between(t, s)
	p := start(t, redisbroker.Config{URL: proxy.URL})
	p.subscribe(t, "topic:x")
	proxy.Delay(t, time.Second)
	for range 5 {
		done := make(chan error, 1)
		p.Publish("topic:x", []byte("x"), func(err error) { done <- err })
		if err := await(t, done); err != nil {
			t.Fatal(err)
		}
	}
	p.awaitMessages(t, "topic:x", 5)
	if err := p.Proved(); err != nil {
		t.Error(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.downs > 0 {
		t.Error("the link was given up")
	}
}

// TestShortPause: a server that says nothing for a moment keeps its link.
func TestShortPause(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := start(t, redisbroker.Config{URL: s.URL})
	p.subscribe(t, "topic:x")
	s.Pause(t)
	time.Sleep(1500 * time.Millisecond)
	s.Resume(t)
	publish(t, s, "topic:x", "hello")
	p.awaitMessages(t, "topic:x", 1)
	redistest.Eventually(t, "probe", func() bool { return p.Proved() == nil })
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.downs > 0 {
		t.Error("the link was given up")
	}
}

// exchange connects with one of several servers. What is connected stays so when another is chosen.
type exchange struct {
	url string

	mu sync.Mutex
	to string
}

func newExchange(t *testing.T, to string) *exchange {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &exchange{url: "redis://" + l.Addr().String(), to: to}
	var all sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	all.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			e.mu.Lock()
			to := e.to
			e.mu.Unlock()
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			mu.Lock()
			open = append(open, near, far)
			mu.Unlock()
			for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
				all.Go(func() {
					io.Copy(way[0], way[1])
					way[0].Close()
					way[1].Close()
				})
			}
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return e
}

func (e *exchange) connect(to string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.to = to
}

// TestDeafLink: a link to a server that answers, but which nobody publishes to any more, is replaced. So it is after a
// failover whose old master lives on alone.
func TestDeafLink(t *testing.T) {
	t.Parallel()
	left, right := redistest.Start(t), redistest.Start(t)
	e := newExchange(t, left.Addr())
	p := start(t, redisbroker.Config{URL: e.url})
	p.subscribe(t, "topic:x")
	redistest.Eventually(t, "probe", func() bool { return p.Proved() == nil })
	e.connect(right.Addr())
	if err := left.Client.ClientKillByFilter(t.Context(), "TYPE", "normal").Err(); err != nil {
		t.Fatal(err)
	}
	p.awaitUps(t, 2)
	publish(t, right, "topic:x", "hello")
	p.awaitMessages(t, "topic:x", 1)
	if !p.ups[1] {
		t.Error("got LinkUp(false) after a deaf time, want true")
	}
}

// TestProbeStaysInside: nobody sees the probes, and they are measured.
func TestProbeStaysInside(t *testing.T) {
	t.Parallel()
	for name, sharded := range map[string]bool{"plain": false, "sharded": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Cluster(t)
			reg := prometheus.NewPedanticRegistry()
			p := start(t, redisbroker.Config{URL: s.URL, Registerer: reg, MaxMessageSize: 10, ShardedPubSub: sharded})
			links := 1
			if sharded {
				links = 4
			}
			redistest.Eventually(t, "probes", func() bool { return measured(t, reg, "roost_redis_probe_seconds") >= float64(3*links) })
			if age := measured(t, reg, "roost_redis_last_message_age_seconds"); age <= 0 || age > 5 {
				t.Errorf("got a last message of %v s ago, want less than 5", age)
			}
			if up := measured(t, reg, "roost_redis_link_up") + measured(t, reg, "roost_redis_shard_links_up"); up != float64(links) {
				t.Errorf("got %v links, want %d", up, links)
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			if len(p.messages)+len(p.oversize) > 0 || p.downs > 0 {
				t.Errorf("got messages %q, oversize %v, and %d times LinkDown; want none", p.messages, p.oversize, p.downs)
			}
		})
	}
}

// measured returns a metric without labels: of a histogram, how much was observed.
func measured(t testing.TB, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		m := f.GetMetric()[0]
		return m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// TestOneWay: in a cluster a topic's messages are published through the node of its keys, whose scripts may publish, too.
func TestOneWay(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 0)
	p := start(t, redisbroker.Config{URL: c.URL})
	var topic string
	var owner *redistest.Node // of the keys; the channel's own slot is elsewhere
	for i := 0; owner == nil || owner == c.Owner(t, c.Slot(t, "roost:topic:"+topic), c.Nodes[0]); i++ {
		topic = fmt.Sprint("room:", i)
		owner = c.Owner(t, c.Slot(t, "roost:{"+topic+"}:members"), c.Nodes[0])
	}
	p.subscribe(t, hub.TopicAddress(topic))
	for range 100 {
		done := make(chan error, 1)
		p.Publish(hub.TopicAddress(topic), []byte("x"), func(err error) { done <- err })
		if err := await(t, done); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range c.Nodes {
		stats := n.Client.Info(t.Context(), "commandstats").Val()
		if hundreds := strings.Contains(stats, "cmdstat_publish:calls=1") && !strings.Contains(stats, "cmdstat_publish:calls=1,"); hundreds != (n == owner) {
			t.Errorf("node %s, which has the keys: %v, says %s", n.Addr(), n == owner, stats)
		}
	}
}
