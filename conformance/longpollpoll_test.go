package conformance_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestLongPollPolls(t *testing.T) {
	t.Parallel()
	overOneAndThree(t, func(t *testing.T, addr string) {
		t.Run("L10 nothing comes", func(t *testing.T) {
			t.Parallel()
			c := openPoll(t, addr)
			a := c.poll()
			wantPolled(t, a, http.StatusNoContent)
			if a.Token != c.token || a.Messages == nil || len(a.Messages) > 0 || a.took < longPollWindow-100*time.Millisecond {
				t.Errorf("got %v after %v, want the token and no messages after %v", a, a.took, longPollWindow)
			}
			c.quiet()
		})
		t.Run("L32 two polls", func(t *testing.T) {
			t.Parallel()
			c := openPoll(t, addr).joined()
			first := c.hold()
			second := c.hold()
			wantPolled(t, first.wait(), http.StatusNoContent)
			lab.redis.publish(t, "topic:"+c.topic, `{"event":"e"}`)
			a := second.wait()
			wantPolled(t, a, http.StatusOK)
			c.got = a.Messages
			c.want(`[null,null,$T,"e",{}]`)
			c.quiet()
		})
		t.Run("L33 L34 no polls", func(t *testing.T) {
			t.Parallel()
			c := openPoll(t, addr).joined()
			connection := c.connection()
			for end := time.Now().Add(3 * longPollWindow); time.Now().Before(end); time.Sleep(longPollWindow / 8) {
				c.post("") // does not keep it alive
			}
			c.gone()
			(&client{t: t, topic: c.topic}).wantLeft(connection, "1", "inactive")
			c.open().joined()
		})
		t.Run("L39 disconnect", func(t *testing.T) {
			t.Parallel()
			id := newUser()
			c := openPoll(t, addr, "user_id="+id).joined()
			connection := c.connection()
			poll := c.hold()
			lab.redis.publish(t, "id:user:"+id, disconnect)
			a := poll.wait()
			wantPolled(t, a, http.StatusInternalServerError)
			if a.took > longPollWindow*3/4 {
				t.Errorf("got the answer after %v, want it at once", a.took)
			}
			c.gone()
			(&client{t: t, topic: c.topic}).wantLeft(connection, "1", "disconnected")
			c.open().joined()
		})
		t.Run("L40 a slow join", func(t *testing.T) {
			t.Parallel()
			c := openPoll(t, addr)
			c.topic = newTopic("slow")
			a := c.post(c.expand(`["1","1",$T,"phx_join",{"ms":3000}]`) + "\n" + `[null,"2","phoenix","heartbeat",{}]`)
			wantPolled(t, a, http.StatusOK)
			if a.took > longPollWindow/2 {
				t.Errorf("got the answer after %v, want it at once", a.took)
			}
			c.want(`[null,"2","phoenix","phx_reply",ok{}]`, `["1","1",$T,"phx_reply",OK({"got":{"ms":3000}})]`)
		})
		t.Run("L41 L42 broadcasts", func(t *testing.T) {
			t.Parallel()
			a := openPoll(t, addr).joined()
			b := openPoll(t, addr)
			b.topic = a.topic
			b.joined()
			ws := a.socketBeside(sharedPod(t, "lp")).joined()
			ws.send(`["1","2",$T,"bcast",{"f":1.0,"s":"<&>\u2028"}]`)
			ws.want(`[null,null,$T,"bcast",{"f":1.0,"s":"<&>\u2028"}]`, `["1","2",$T,"phx_reply",ok{}]`)
			for _, c := range []*poller{a, b} {
				c.want(`[null,null,$T,"bcast",{"f":1.0,"s":"<&>\u2028"}]`)
			}
			a.send(`["1","3",$T,"bcast",{"from":"a poll"}]`)
			a.want(`[null,null,$T,"bcast",{"from":"a poll"}]`, `["1","3",$T,"phx_reply",ok{}]`)
			b.want(`[null,null,$T,"bcast",{"from":"a poll"}]`)
			ws.want(`[null,null,$T,"bcast",{"from":"a poll"}]`)
			b.ask(`["1","4",$T,"bcast_from",{}]`, `["1","4",$T,"phx_reply",ok{}]`)
			a.want(`[null,null,$T,"bcast_from",{}]`)
			ws.want(`[null,null,$T,"bcast_from",{}]`)

			lab.redis.publish(t, "topic:"+a.topic, `{"event":"e","payload_base64":"/wA="}`)
			lab.redis.publish(t, "topic:"+a.topic, `{"event":"e","payload":{"n":2}}`)
			ws.WantBinary(binaryFrame(2, "\xff\x00", a.topic, "e"))
			ws.want(`[null,null,$T,"e",{"n":2}]`)
			for _, c := range []*poller{a, b} {
				c.want(`[null,null,$T,"e",{"n":2}]`)
				c.quiet()
			}
		})
		t.Run("L46 a lost answer is not repeated", func(t *testing.T) {
			t.Parallel()
			c := openPoll(t, addr).joined()
			c.send(`["1","2",$T,"ok",{}]`)
			lab.backend.await(t, 1, c.topic, pushes("ok"))
			time.Sleep(100 * time.Millisecond) // the reply waits for a poll
			wantPolled(t, c.poll(), http.StatusOK)
			c.quiet()
		})
		t.Run("polls that are broken off", func(t *testing.T) {
			t.Parallel()
			c := openPoll(t, addr).joined()
			for n := range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				if a, err := c.request(ctx, http.MethodGet, "", ""); err == nil {
					t.Errorf("got %v, want no answer", a)
				}
				cancel()
				time.Sleep(200 * time.Millisecond) // the pod learns of it
				lab.redis.publish(t, "topic:"+c.topic, fmt.Sprintf(`{"event":"e","payload":{"n":%d}}`, n))
				time.Sleep(100 * time.Millisecond)
				c.want(fmt.Sprintf(`[null,null,$T,"e",{"n":%d}]`, n))
			}
			c.quiet()
		})
		t.Run("many polls at once", func(t *testing.T) {
			t.Parallel()
			c := openPoll(t, addr).joined()
			const polls, messages = 10, 50
			var waiting []*held
			for range polls {
				waiting = append(waiting, c.hold())
			}
			for n := range messages {
				lab.redis.publish(t, "topic:"+c.topic, fmt.Sprintf(`{"event":"e","payload":{"n":%d}}`, n))
			}
			seen := map[string]bool{}
			note := func(a pollAnswer) {
				if a.code != http.StatusOK || a.Status != http.StatusOK && a.Status != http.StatusNoContent {
					t.Fatalf("got %v, want status 200 or 204", a)
				}
				for _, m := range a.Messages {
					if seen[m] {
						t.Errorf("got %s twice", m)
					}
					seen[m] = true
				}
			}
			for _, poll := range waiting {
				note(poll.wait())
			}
			for len(seen) < messages {
				note(c.poll())
			}
			c.quiet()
		})
	})
}

// TestLongPollSlow is a session whose client does not poll while much is sent to it.
func TestLongPollSlow(t *testing.T) {
	t.Parallel()
	p := sharedPod(t, "narrow")
	slow, brisk := pollOf(t, p.addr), pollOf(t, p.addr)
	for _, c := range []*poller{slow, brisk} {
		c.path, c.topic = "/narrow/longpoll", slow.topic
		c.open()
	}
	slow.joined()
	connection := slow.connection()
	brisk.joined()
	ws := slow.socketBeside(p).joined()
	filler := strings.Repeat("x", 1000)
	for n := range 100 { // 100 kB for an outbox of 64 KiB
		lab.redis.publish(t, "topic:"+slow.topic, fmt.Sprintf(`{"event":"e","payload":{"n":%d,"x":%q}}`, n, filler))
		want := fmt.Sprintf(`[null,null,$T,"e",{"n":%d,"x":%q}]`, n, filler)
		ws.want(want)
		brisk.want(want)
	}
	ws.wantLeft(connection, "1", "slow")
	wantPolled(t, slow.poll(), http.StatusInternalServerError)
	brisk.quiet()
	ws.Quiet()
	if got := metric(t, p, "roost_slow_clients_total"); got != "1" {
		t.Errorf("got %q slow clients counted, want 1", got)
	}
}

// metric returns the value of a metric without labels.
func metric(t *testing.T, p *pod, name string) string {
	t.Helper()
	response, err := http.Get("http://" + p.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
