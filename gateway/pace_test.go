package gateway_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"roost/gateway"
	"roost/phoenix/phoenixtest"
)

// push returns the nth push to a:b and what the backend of the tests answers.
func push(n int) (ask, answer string) {
	ref := fmt.Sprint(n)
	return frame("1", ref, "a:b", "e", "{}"), okay("1", ref, "a:b", "{}")
}

func TestMessageRate(t *testing.T) {
	p := startPod(t, &backend{}, func(c *gateway.Config) {
		c.MaxChannels = 1
		c.Limits.Messages = gateway.Rate{N: 3, Per: time.Hour}
	})
	c, other := p.dial(), p.dial()
	joins(c, "a:b")
	for n := 2; n <= 3; n++ {
		ask, answer := push(n)
		c.Send(ask)
		c.Want(answer)
	}
	c.Send(frame("1", "4", "a:b", "e", "{}"))
	c.Want(refused("1", "4", "a:b", "too many messages"))
	c.Heartbeat() // counts, but must be answered
	c.Send(frame("1", "5", "a:b", "phx_leave", "{}"))
	c.WantAll(okay("1", "5", "a:b", "{}"), closed("1", "a:b"))
	c.Send(frame("1", "6", "a:b", "e", "{}"))
	c.WantClose(1008)
	p.backend.wantLeft(t, `a:b "1" left`)
	p.backend.wantGone(t, "error")
	p.wantCounter(4, "roost_limited_total", "kind=messages")
	p.wantCounter(1, "roost_connections_closed_total", "code=1008", "reason=error")
	other.Heartbeat()
}

// A client that heeds the error is not closed, however long it stays.
func TestMessageRateForgives(t *testing.T) {
	p := startPod(t, &backend{}, func(c *gateway.Config) {
		c.MaxChannels = 1
		c.Limits.Messages = gateway.Rate{N: 10, Per: 100 * time.Millisecond}
	})
	c := p.dial()
	joins(c, "a:b")
	refusals := 0
	for n := 2; refusals < 30; {
		for range 12 { // two too many, then a pause
			ask, _ := push(n)
			c.Send(ask)
			n++
			if strings.Contains(string(c.Next().Data), "too many messages") {
				refusals++
			}
		}
		time.Sleep(300 * time.Millisecond)
		if n > 2000 {
			t.Skip("the machine is too slow to send too much")
		}
	}
	c.Heartbeat()
}

// A client that is told all the time and goes on is closed, although it is less than twice too fast.
func TestMessageRateIgnored(t *testing.T) {
	p := startPod(t, &backend{}, func(c *gateway.Config) {
		c.MaxChannels = 1
		c.Limits.Messages = gateway.Rate{N: 20, Per: time.Second}
	})
	c := p.dial()
	joins(c, "a:b")
	tick := time.NewTicker(time.Second / 38)
	defer tick.Stop()
	for n := 2; p.counter("roost_connections_closed_total", "code=1008") == 0; n++ {
		if n > 38*15 {
			t.Fatal("got no 1008 within 15s")
		}
		ask, _ := push(n)
		if c.Write(ask) != nil {
			break // closed
		}
		<-tick.C
	}
	p.wantCounter(1, "roost_connections_closed_total", "code=1008", "reason=error")
}

// What a client that never pauses gets through is what the limit says, within 5 %.
func TestMessageRateHolds(t *testing.T) {
	const rate = 200
	p := startPod(t, &backend{}, func(c *gateway.Config) { c.Limits.Messages = gateway.Rate{N: rate, Per: time.Second} })
	c := p.dial()
	joins(c, "a:b")
	const step = time.Second * 100 / 105 / rate // a little too fast, which is not enough to be closed
	passed, begin := 1, time.Now()
	last, longest, n := begin, time.Duration(0), 2
	for ; time.Since(begin) < 3*time.Second; n++ {
		time.Sleep(time.Until(begin.Add(time.Duration(n-rate) * step)))
		ask, _ := push(n)
		c.Send(ask)
		if !strings.Contains(string(c.Next().Data), "too many messages") {
			passed++
		}
		longest, last = max(longest, time.Since(last)), time.Now()
	}
	elapsed := time.Since(begin)
	want := rate * (1 + elapsed.Seconds())
	t.Logf("%d of %d messages in %v, want %.0f", passed, n, elapsed, want)
	if got := float64(passed); got > want*1.05 {
		t.Errorf("got %v messages in %v, want at most %.0f", got, elapsed, want)
	}
	if got := float64(passed); got < want*0.95 && longest < time.Second/4 {
		t.Errorf("got %v messages in %v, want %.0f", got, elapsed, want)
	}
}

func TestJoinRate(t *testing.T) {
	p := startPod(t, &backend{}, func(c *gateway.Config) {
		c.MaxChannels = 5
		c.Limits.Joins = gateway.Rate{N: 2, Per: time.Hour}
	})
	c := p.dial()
	joins(c, "a:1", "a:2", "a:3", "a:4", "a:5") // all its topics at once, as after a reconnect
	for n := 6; n <= 10; n++ {
		ref := fmt.Sprint(n)
		c.Send(join(ref, "a:1"))
		c.Want(refused(ref, ref, "a:1", "too many joins"))
	}
	for n := 11; n <= 200; n++ { // other messages are not limited
		ref := fmt.Sprint(n)
		c.Send(frame("1", ref, "a:1", "e", "{}"))
		c.Want(okay("1", ref, "a:1", "{}"))
	}
	c.Send(join("201", "a:1"))
	c.WantClose(1008)
	p.wantCounter(6, "roost_limited_total", "kind=joins")
}

// A long-poll session that goes on regardless ends.
func TestMessageRateOfLongPoll(t *testing.T) {
	p := startPod(t, &backend{}, func(c *gateway.Config) {
		c.MaxChannels = 1
		c.Limits.Messages = gateway.Rate{N: 2, Per: time.Hour}
	})
	c := p.polling().join("a:b")
	ask, answer := push(2)
	c.post(ask)
	c.want(answer)
	for n := 3; n <= 4; n++ {
		ref := fmt.Sprint(n)
		c.post(frame("1", ref, "a:b", "e", "{}"))
		c.want(refused("1", ref, "a:b", "too many messages"))
	}
	if a := c.postBody("application/x-ndjson", frame("1", "5", "a:b", "e", "{}")); a.Status != 410 {
		t.Errorf("got %+v, want 410", a)
	}
	p.backend.wantGone(t, "error")
}

func TestSizes(t *testing.T) {
	p := startPod(t, &backend{}, func(c *gateway.Config) {
		c.Limits.MaxTopic, c.Limits.MaxEvent, c.Limits.MaxPayload = 10, 5, 20
	})
	c := p.dial()
	joins(c, "topic:1234")
	c.Send(join("2", "topic:12345"))
	c.Want(refused("2", "2", "topic:12345", "topic too long"))
	c.Send(frame("1", "3", "topic:1234", "event", `{"a":"bcdefghijklm"}`))
	c.Want(okay("1", "3", "topic:1234", `{"a":"bcdefghijklm"}`))
	c.Send(frame("1", "4", "topic:1234", "events", "{}"))
	c.Want(refused("1", "4", "topic:1234", "event too long"))
	c.Send(frame("1", "5", "topic:1234", "event", `{"a":"bcdefghijklmn"}`))
	c.Want(refused("1", "5", "topic:1234", "payload too large"))
	c.Send(frame("6", "6", "a", "phx_join", `{"a":"bcdefghijklmn"}`))
	c.Want(refused("6", "6", "a", "payload too large"))
	c.Send(frame("1", "7", "topic:1234", "phx_leave", `{"a":"bcdefghijklmn"}`))
	c.WantAll(okay("1", "7", "topic:1234", "{}"), closed("1", "topic:1234"))
	for kind, want := range map[string]float64{"topic": 1, "event": 1, "payload": 2} {
		p.wantCounter(want, "roost_limited_total", "kind="+kind)
	}
}

// One client does not use up what another may send.
func TestPaceOfManyClients(t *testing.T) {
	p := startPod(t, &backend{}, func(c *gateway.Config) { c.Limits.Messages = gateway.Rate{N: 1, Per: time.Hour} })
	var clients []*phoenixtest.Client
	for range 20 {
		clients = append(clients, p.dial())
	}
	for _, c := range clients { // nobody uses up another's
		joins(c, "a:b")
	}
}
