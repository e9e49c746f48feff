package k8s_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fault is what makes an alert's expression true: real pods, a real Redis server and real clients, to whom something happens.
type fault struct {
	settings []string
	before   func(l *lab) // what there has to be anyway
	happens  func(l *lab) // and what happens then; it is called before each scrape
}

// once calls f the first time only.
func once(f func(l *lab)) func(l *lab) {
	done := false
	return func(l *lab) {
		if !done {
			done = true
			f(l)
		}
	}
}

// joining joins another topic with each call, of which the backend is asked.
func joining(l *lab) {
	c := l.client(0)
	for n := range 5 {
		c.join(fmt.Sprintf("asked:%p-%d", c, n))
	}
}

// publishing publishes n messages of size bytes.
func (l *lab) publishing(topic string, n, size int) {
	body := fmt.Sprintf(`{"event":"e","payload":{"x":%q}}`, strings.Repeat("x", size))
	for range n {
		l.redis("publish", "roost:topic:"+topic, body)
	}
}

// overload has a topic's worker carry more than it can.
func overload(l *lab) {
	for range 30 {
		c := l.client(0)
		c.join("open:crowd")
		go c.readAll()
	}
	time.Sleep(time.Second)
	cmd := exec.Command("redis-cli", "-p", fmt.Sprint(l.redisPort), "--pipe")
	body := fmt.Sprintf(`{"event":"e","payload":{"x":%q}}`, strings.Repeat("x", 900_000))
	one := fmt.Sprintf("*3\r\n$7\r\nPUBLISH\r\n$22\r\nroost:topic:open:crowd\r\n$%d\r\n%s\r\n", len(body), body)
	cmd.Stdin = strings.NewReader(strings.Repeat(one, 400))
	if out, err := cmd.CombinedOutput(); err != nil {
		l.t.Errorf("publish: %v\n%s", err, out)
	}
}

// starve gives a pod no CPU, again and again, while it has much to carry.
func starve(l *lab) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		overload(l)
	}()
	pod := l.pods[0].cmd.Process
	for busy := true; busy; {
		select {
		case <-done:
			busy = false
		case <-time.After(100 * time.Millisecond):
		}
		pod.Signal(syscall.SIGSTOP)
		time.Sleep(1200 * time.Millisecond)
		pod.Signal(syscall.SIGCONT)
	}
}

// faults are those of all alerts, by name.
func faults() map[string]fault {
	broken := []string{"ROOST_WEBHOOK_BREAKER=off"}
	failing := func(l *lab) { l.backend.Store(http.StatusInternalServerError) }
	return map[string]fault{
		"RoostRedisLinkDown": {happens: once(func(l *lab) { l.stopRedis() })},
		"RoostPodsGone":      {happens: once(func(l *lab) { l.forgetPods() })},
		"RoostJoinsCrash":    {settings: broken, before: joining, happens: func(l *lab) { failing(l); joining(l) }},
		"RoostBackendFails":  {settings: broken, before: joining, happens: func(l *lab) { failing(l); joining(l) }},
		"RoostBreakerOpen":   {settings: []string{"ROOST_WEBHOOK_BREAKER_MIN_CALLS=3", "ROOST_WEBHOOK_BREAKER_PAUSE=1m"}, before: joining, happens: func(l *lab) { failing(l); joining(l) }},
		"RoostBackendSlow": {
			settings: []string{"ROOST_WEBHOOK_MAX_IN_FLIGHT=1", "ROOST_WEBHOOK_TIMEOUT=9s"},
			happens:  func(l *lab) { l.backend.Store(slow); joining(l) },
		},
		"RoostNoticesDropped": {
			settings: []string{"ROOST_WEBHOOK_NOTICE_MAX_AGE=1s"},
			happens: func(l *lab) {
				c := l.client(0)
				c.join("asked:x")
				time.Sleep(300 * time.Millisecond)
				failing(l)
				c.close()
				l.backendUp()
			},
		},
		"RoostNoticesLate": {
			settings: broken,
			happens: once(func(l *lab) {
				c := l.client(0)
				c.join("asked:x")
				time.Sleep(300 * time.Millisecond)
				failing(l)
				c.close()
			}),
		},
		"RoostPublishesMalformed": {before: listening, happens: func(l *lab) { l.redis("publish", "roost:topic:open:a", `{"event":"e","payload":[]}`) }},
		"RoostBroadcastsDropped":  {settings: []string{"ROOST_OUTBOX_LIMIT=256MiB"}, happens: once(overload)},
		"RoostBroadcastsLate":     {settings: []string{"ROOST_OUTBOX_LIMIT=256MiB"}, happens: once(starve)},
		"RoostRedisSlow":          {happens: func(l *lab) { l.redis("client", "pause", "900", "all"); time.Sleep(time.Second) }},
		"RoostPublishesFail": {before: listening, happens: func(l *lab) {
			l.stopRedis()
			l.clients[0].send(`["1","2","open:a","e",{}]`)
		}},
		"RoostLeaseNotRenewed": {settings: []string{"ROOST_POD_LEASE=3s"}, happens: once(func(l *lab) { l.stopRedis() })},
		"RoostEverythingReconnects": {before: crowd(150), happens: func(l *lab) {
			for range 40 {
				l.client(0).close()
			}
		}},
		"RoostSlowClients":       {settings: []string{"ROOST_OUTBOX_LIMIT=64KiB", "ROOST_WRITE_TIMEOUT=1s"}, before: listening, happens: once(func(l *lab) { l.publishing("open:a", 400, 50_000) })},
		"RoostConnectionsUneven": {settings: []string{"pods=3"}, before: func(l *lab) { l.client(1); l.client(2) }, happens: once(crowd(1100))},
		"RoostFileDescriptors":   {settings: []string{"files=300"}, happens: once(crowd(250))},
	}
}

// crowd connects n clients to the first pod.
func crowd(n int) func(l *lab) {
	return func(l *lab) {
		for range n {
			l.client(0)
		}
	}
}

// listening is a client that has joined a topic of which nobody is asked, and does not read.
func listening(l *lab) { l.client(0).join("open:a") }

// lost is the alert that takes minutes to provoke: once a minute Redis is looked through for notices that are too old.
const lost = "RoostNoticesLost"

// lostNotices is what provokes it: one notice is on its way for 9 s, and the others wait.
var lostNotices = fault{
	settings: []string{"ROOST_WEBHOOK_NOTICE_MAX_AGE=1s", "ROOST_WEBHOOK_NOTICE_LIMIT=1", "ROOST_WEBHOOK_BREAKER=off", "ROOST_WEBHOOK_TIMEOUT=9s"},
	happens: func(l *lab) {
		l.backend.Store(slow)
		c := l.client(0)
		c.join("open:a")
		time.Sleep(200 * time.Millisecond)
		c.close()
	},
}

// expressions are those of all alerts, by name.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	for _, program := range []string{"redis-server", "redis-cli", "bash"} {
		need(t, program)
	}
	exprs := map[string]string{}
	rendered := parse(t, render(t, "--values", "testdata/values/everything.yaml"))
	for _, group := range list(at(find(t, rendered, "PrometheusRule", "live"), "spec.groups")) {
		for _, rule := range list(group["rules"]) {
			exprs[rule["alert"].(string)] = rule["expr"].(string)
		}
	}
	return exprs
}

// TestAlertsAreProvoked: the expression of each alert is not true while all is well, and is when what it is about has happened. A scrape
// each few tenths of a second stands for one each 30 s; ages that pods tell grow as much faster.
func TestAlertsAreProvoked(t *testing.T) {
	t.Parallel()
	exprs, all := expressions(t), faults()
	all[lost] = lostNotices
	for name := range exprs {
		if _, found := all[name]; !found {
			t.Errorf("nothing provokes %s", name)
		}
	}
	place := 1
	for name, f := range all {
		switch expr, found := exprs[name]; {
		case !found:
			t.Errorf("there is no alert %s", name)
		case name != lost: // which has a test of its own
			place++
			t.Run(name, func(t *testing.T) { provoke(t, gateway(t), place, name, expr, f) })
		}
	}
}

// TestLostNoticesAreProvoked is the part of [TestAlertsAreProvoked] that takes long.
func TestLostNoticesAreProvoked(t *testing.T) {
	t.Parallel()
	provoke(t, gateway(t), 0, lost, expressions(t)[lost], lostNotices)
}

// provoke lets a fault happen, and looks at an expression before and after.
func provoke(t *testing.T, binary string, place int, name, expr string, f fault) {
	l := newLab(t, binary, place, f.settings)
	if f.before != nil {
		f.before(l)
	}
	for range 12 {
		l.scrape()
	}
	if result := l.evaluate(expr); result != "" {
		t.Fatalf("all is well, and %s is %s", expr, result)
	}
	for end := time.Now().Add(5 * time.Minute); ; {
		f.happens(l)
		l.scrape()
		if result := l.evaluate(expr); result != "" {
			t.Logf("%s: %.200s", name, result)
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not become true", expr)
		}
	}
}
