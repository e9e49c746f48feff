package conformance_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// ownThree starts three pods for one test, which may kill them.
func ownThree(t *testing.T, more settings) []*pod {
	t.Helper()
	pods := make([]*pod, 3)
	errs := make([]error, 3)
	var starting sync.WaitGroup
	for i := range pods {
		starting.Go(func() { pods[i], errs[i] = startPod("lp", more, lab.redis.url()) })
	}
	starting.Wait()
	for i, p := range pods {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		t.Cleanup(func() {
			if p.cmd.ProcessState == nil {
				if err := p.stop(); err != nil {
					t.Errorf("stop the pod: %v", err)
				}
			}
		})
	}
	return pods
}

// kill ends a pod as a crash would.
func (p *pod) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

func TestLongPollFromAnyPod(t *testing.T) {
	t.Parallel()
	pods := threePods(t)
	t.Run("X4 a request at each pod", func(t *testing.T) {
		t.Parallel()
		c := openPoll(t, pods[0].addr)
		c.at(pods[1].addr).joined()
		for n := range 6 {
			at := c.at(pods[n%3].addr)
			at.send(fmt.Sprintf(`["1","%d",$T,"ok",{}]`, n))
			c.at(pods[(n+1)%3].addr).want(fmt.Sprintf(`["1","%d",$T,"phx_reply",ok{}]`, n))
		}
		a := c.at(pods[2].addr).poll()
		wantPolled(t, a, http.StatusNoContent)
		for name, want := range map[string]string{"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"} {
			if got := a.header.Values(name); len(got) != 1 || got[0] != want {
				t.Errorf("got %s %q of a request that was passed on, want %q once", name, got, want)
			}
		}
	})
	t.Run("X5 a newer poll at another pod", func(t *testing.T) {
		t.Parallel()
		c := openPoll(t, pods[0].addr).joined()
		first := c.hold()
		for n := range 4 {
			second := c.at(pods[(n+1)%3].addr).hold()
			wantPolled(t, first.wait(), http.StatusNoContent)
			first = second
		}
		lab.redis.publish(t, "topic:"+c.topic, `{"event":"e"}`)
		a := first.wait()
		wantPolled(t, a, http.StatusOK)
		c.got = a.Messages
		c.want(`[null,null,$T,"e",{}]`)
		c.at(pods[2].addr).quiet()
	})
	t.Run("X5 messages while polls come everywhere", func(t *testing.T) {
		t.Parallel()
		c := openPoll(t, behindProxy(t, pods...)).joined()
		const messages = 200
		var publishing sync.WaitGroup
		publishing.Go(func() {
			for n := range messages {
				lab.redis.publish(t, "topic:"+c.topic, fmt.Sprintf(`{"event":"e","payload":{"n":%d}}`, n))
				time.Sleep(2 * time.Millisecond)
			}
		})
		for n := range messages {
			c.want(fmt.Sprintf(`[null,null,$T,"e",{"n":%d}]`, n))
		}
		publishing.Wait()
		c.quiet()
	})
	t.Run("without an address the session is lost at other pods", func(t *testing.T) {
		t.Parallel()
		p := ownPod(t, lab.redis.url(), settings{"ROOST_ADVERTISE_URL": "", "ROOST_SOCKET_PATH": "/lp"})
		c := openPoll(t, p.addr).joined()
		c.at(pods[0].addr).gone()
		c.quiet()
	})
	t.Run("an address that all pods share", func(t *testing.T) {
		t.Parallel()
		// As when somebody takes the Service for the pod: requests may find nobody, but not go round.
		two := ownThree(t, nil)[:2]
		shared := behindProxy(t, two[0])
		p := ownPod(t, lab.redis.url(), settings{"ROOST_ADVERTISE_URL": "http://" + shared, "ROOST_SOCKET_PATH": "/lp"})
		c := openPoll(t, p.addr)
		before := metricValue(t, two[0], "roost_longpoll_relayed_total")
		wantPolled(t, c.at(two[1].addr).post(""), http.StatusGone)
		if got := metricValue(t, two[0], "roost_longpoll_relayed_total") - before; got > 1 {
			t.Errorf("got one request passed on %v times by a pod, want once at most", got)
		}
	})
}

func metricValue(t *testing.T, p *pod, name string) (value float64) {
	t.Helper()
	if _, err := fmt.Sscan(metric(t, p, name), &value); err != nil {
		t.Fatalf("metric %s: %v", name, err)
	}
	return value
}

func TestLongPollOwnerDies(t *testing.T) {
	t.Parallel()
	pods := ownThree(t, settings{"ROOST_LONGPOLL_WINDOW": "30s"})
	owner, other := pods[0], pods[1]
	t.Run("X6 killed", func(t *testing.T) {
		direct, passed := openPoll(t, owner.addr).joined(), openPoll(t, owner.addr).joined().at(other.addr)
		kept := openPoll(t, other.addr).joined()
		polls := []*held{passed.hold(), kept.hold()}
		owner.kill()
		a := polls[0].wait()
		wantPolled(t, a, http.StatusInternalServerError)
		if a.took > 5*time.Second {
			t.Errorf("got the end of a poll after %v, want it at once", a.took)
		}
		for _, p := range pods[1:] { // what is known of the dead pod may be fifteen seconds old
			passed.at(p.addr).gone()
			direct.at(p.addr).gone()
		}
		again := passed.at(behindProxy(t, pods...)).open().joined()
		lab.redis.publish(t, "topic:"+again.topic, `{"event":"e"}`)
		again.want(`[null,null,$T,"e",{}]`)

		lab.redis.publish(t, "topic:"+kept.topic, `{"event":"kept"}`)
		a = polls[1].wait()
		wantPolled(t, a, http.StatusOK)
		kept.got = a.Messages
		kept.want(`[null,null,$T,"kept",{}]`)
	})
}

func TestLongPollOwnerStops(t *testing.T) {
	t.Parallel()
	pods := ownThree(t, settings{"ROOST_LONGPOLL_WINDOW": "30s", "ROOST_DRAIN_TIMEOUT": "8s"})
	owner, other := pods[0], pods[1]
	t.Run("D7 SIGTERM", func(t *testing.T) {
		direct, passed := openPoll(t, owner.addr).joined(), openPoll(t, owner.addr).joined().at(other.addr)
		foreign := openPoll(t, other.addr).joined() // and a session of another pod, polled at this one
		held := map[string]*held{"at the owner": direct.hold(), "passed on": passed.hold(), "for another pod": foreign.at(owner.addr).hold()}
		connection := direct.connection()
		idle := openPoll(t, owner.addr).joined() // its connection has had a poll and waits for nothing
		lab.redis.publish(t, "topic:"+idle.topic, `{"event":"e"}`)
		idle.want(`[null,null,$T,"e",{}]`)

		begin := time.Now()
		if err := owner.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		for name, h := range held {
			a := h.wait()
			if a.code != http.StatusOK || a.Status != http.StatusNoContent && a.Status != http.StatusInternalServerError {
				t.Errorf("%s: got %v, want status 204 or 500", name, a)
			}
			if name != "passed on" && !a.closes {
				t.Errorf("%s: got no Connection: close", name)
			}
		}
		if err := owner.cmd.Wait(); err != nil {
			t.Errorf("got %v of the pod that stopped, want exit code 0", err)
		}
		if took := time.Since(begin); took > 6*time.Second {
			t.Errorf("the pod stopped after %v, want well before the drain timeout of 8s: nobody had to be waited for", took)
		}
		direct.at(other.addr).gone()
		passed.gone()
		(&client{t: t, topic: direct.topic}).wantLeft(connection, "1", "drained")
		foreign.quiet()
		direct.at(behindProxy(t, pods...)).open().joined()
	})
}

// TestLongPollThousand has many sessions poll while many messages are published: each gets each, in order, once.
func TestLongPollThousand(t *testing.T) {
	t.Parallel()
	t.Run("one pod", func(t *testing.T) { manySessions(t, sharedPod(t, "patient").addr, 1000) })
	t.Run("three pods", func(t *testing.T) { manySessions(t, behindProxy(t, threeOf(t, "patient")...), 200) })
}

func manySessions(t *testing.T, addr string, sessions int) {
	const messages = 100
	topic := newTopic("thousand")
	var joined atomic.Int64
	var all sync.WaitGroup
	room := make(chan struct{}, 50) // sessions that join at once
	for range sessions {
		all.Go(func() {
			c := pollOf(t, addr)
			c.topic = topic
			room <- struct{}{}
			problem := c.hear(messages, func() {
				joined.Add(1)
				<-room
			})
			if problem != "" {
				t.Error(problem)
			}
		})
	}
	for end := time.Now().Add(3 * patience); joined.Load() < int64(sessions) && !t.Failed(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("got %d of %d sessions joined in time", joined.Load(), sessions)
		}
	}
	for n := range messages {
		lab.redis.publish(t, "topic:"+topic, fmt.Sprintf(`{"event":"e","payload":{"n":%d}}`, n))
		time.Sleep(10 * time.Millisecond)
	}
	lab.redis.publish(t, "topic:"+topic, `{"event":"last"}`)
	all.Wait()
}

// hear opens a session, joins, and polls until the last message. It returns what is wrong with what came.
func (c *poller) hear(messages int, joined func()) (problem string) {
	joined = sync.OnceFunc(joined)
	defer joined()
	ask := func(method, body string) (pollAnswer, bool) {
		a, err := c.request(c.t.Context(), method, "application/x-ndjson", body)
		if err != nil {
			problem = err.Error()
		} else if a.code != http.StatusOK {
			problem = a.String()
		}
		return a, problem == ""
	}
	a, ok := ask(http.MethodGet, "")
	if c.token = a.Token; !ok {
		return problem
	}
	if a, ok = ask(http.MethodPost, c.expand(`["1","1",$T,"phx_join",{}]`)); !ok || a.Status != http.StatusOK {
		return fmt.Sprint("join: ", problem, a)
	}
	next := -1 // the join's reply
	for {
		if a, ok = ask(http.MethodGet, ""); !ok {
			return problem
		}
		if a.Status != http.StatusOK && a.Status != http.StatusNoContent {
			return fmt.Sprintf("got %v before message %d", a, next)
		}
		for _, m := range a.Messages {
			want := fmt.Sprintf(`[null,null,%q,"e",{"n":%d}]`, c.topic, next)
			switch {
			case next == -1 && strings.Contains(m, `"phx_reply"`):
				joined()
			case next == messages && strings.Contains(m, `"last"`):
				return ""
			case m != want:
				return fmt.Sprintf("got %s, want %s", m, want)
			}
			next++
		}
	}
}
