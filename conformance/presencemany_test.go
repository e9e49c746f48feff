package conformance_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

var presentCrowd = flag.Int("presence.crowd", 0, "how many are present in the storm; 0 is 600")

// enter connects n clients, to each pod in turn and all at once, which are present in topic as k0, k1 and so on. It returns when
// all have joined; leave closes them, all at once.
func enter(t *testing.T, pods []*pod, topic string, n int) (leave func()) {
	t.Helper()
	dialer := websocket.Dialer{ReadBufferSize: 512, WriteBufferSize: 512, HandshakeTimeout: patience}
	conns := make([]*websocket.Conn, n)
	var joined atomic.Int64
	var next atomic.Int64
	var dialers, readers sync.WaitGroup
	for range 32 {
		dialers.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				conn, _, err := dialer.Dial(pods[i%int64(len(pods))].url("vsn=2.0.0"), nil)
				if err != nil {
					t.Errorf("connection %d: %v", i, err)
					return
				}
				conns[i] = conn
				readers.Go(func() {
					for {
						_, data, err := conn.ReadMessage()
						if err != nil {
							return
						}
						if bytes.Contains(data, []byte(`"phx_reply",{"status":"ok"`)) {
							joined.Add(1)
						}
					}
				})
			}
		})
	}
	dialers.Wait()
	for i, conn := range conns {
		if conn == nil {
			t.FailNow()
		}
		text := fmt.Appendf(nil, `["1","1",%s,"phx_join",{"key":"k%d","meta":{"d":"d"}}]`, quote(topic), i)
		if err := conn.WriteMessage(websocket.TextMessage, text); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	leave = sync.OnceFunc(func() {
		for _, conn := range conns {
			conn.Close()
		}
		readers.Wait()
	})
	t.Cleanup(leave)
	eventually(t, func() error {
		if got := joined.Load(); got < int64(n) {
			return fmt.Errorf("got %d of %d joined", got, n)
		}
		return nil
	})
	return leave
}

// cpu is what the pod has used so far, to 10 ms.
func (p *pod) cpu(t *testing.T) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Skip(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var ticks time.Duration
	for _, field := range fields[11:13] { // utime, stime
		n, _ := strconv.Atoi(field)
		ticks += time.Duration(n)
	}
	return ticks * 10 * time.Millisecond
}

// TestPresenceStorm: when many come at once, and when many go at once, an observer is told of each of them, in far fewer messages.
func TestPresenceStorm(t *testing.T) {
	many := 600
	if *presentCrowd > 0 {
		many = *presentCrowd
	}
	var pods []*pod
	for range 3 {
		pods = append(pods, ownPod(t, lab.redis.url(), settings{"ROOST_PRESENCE_LIMIT": "20000", "ROOST_WEBHOOK_MAX_IN_FLIGHT": "50"}))
	}
	o := present(t, pods[0], newTopic("pres"), "me", "d")
	everyone := map[string]string{"me": "d"}
	for i := range many {
		everyone[fmt.Sprint("k", i)] = "d"
	}
	before := len(o.diffs)
	leave := enter(t, pods, o.topic, many)
	o.until(everyone)
	if got := len(o.diffs) - before; got > many/3 {
		t.Errorf("%d joins were told in %d diffs, want them gathered", many, got)
	}
	used := pods[1].cpu(t)
	late := present(t, pods[1], o.topic, "one more", "d")
	if len(late.list) != many+2 {
		t.Errorf("got a state of %d, want %d", len(late.list), many+2)
	}
	t.Logf("one more join took the pod %v of CPU", pods[1].cpu(t)-used)
	everyone["one more"] = "d"
	o.until(everyone)
	late.send(`["1","9",$T,"phx_leave",{}]`)
	delete(everyone, "one more")
	o.until(everyone)
	came := len(o.diffs)
	leave()
	o.until(map[string]string{"me": "d"})
	if got := len(o.diffs) - came; got > many/3 {
		t.Errorf("%d leaves were told in %d diffs, want them gathered", many, got)
	}
	t.Logf("%d joins in %d diffs, as many leaves in %d", many, came-before, len(o.diffs)-came)
}

// TestPresenceLimit: where too many are present, members are told how many, and when they are few enough again, who.
func TestPresenceLimit(t *testing.T) {
	t.Parallel()
	pods := []*pod{
		ownPod(t, lab.redis.url(), settings{"ROOST_PRESENCE_LIMIT": "20"}), ownPod(t, lab.redis.url(), settings{"ROOST_PRESENCE_LIMIT": "20"}),
	}
	o := present(t, pods[0], newTopic("pres"), "me", "d")
	leave := enter(t, pods, o.topic, 30)
	counted := func(c *client, want int) {
		t.Helper()
		for end := time.Now().Add(patience); time.Now().Before(end); {
			m, err := c.Receive(time.Until(end))
			if err != nil {
				break
			}
			if event, payload := cut(t, m); event == "presence_count" {
				var n struct{ Count int }
				if json.Unmarshal(payload, &n) == nil && n.Count == want {
					return
				}
			}
		}
		t.Fatalf("was not told that %d are present", want)
	}
	counted(o.client, 31)
	late := dial(t, pods[1], "vsn=2.0.0").named(o.topic)
	late.send(`["1","1",$T,"phx_join",{}]`)
	counted(late, 31)
	eventually(t, func() error {
		if got := pods[1].metric(t, "roost_presence_counted_topics"); got != 1 {
			return fmt.Errorf("got %v topics that are only counted, want 1", got)
		}
		return nil
	})
	leave()
	o.list = nil
	for end := time.Now().Add(patience); len(o.list) != 1; {
		m, err := o.Receive(time.Until(end))
		if err != nil {
			t.Fatalf("got a state of %v and %v, want me alone", o.list, err)
		}
		if event, _ := cut(t, m); event != "presence_count" {
			o.take(m)
		}
	}
}

// TestPresenceAgain: a client that leaves a topic and joins it again over the same connection gets the state twice, behind which
// nothing remains of what it was told because of its membership before. See welcome in gateway/presence.go.
func TestPresenceAgain(t *testing.T) {
	t.Parallel()
	p := sharedPod(t, "socket")
	topic := newTopic("pres")
	present(t, p, topic, "u1", "a")
	states := func(c *client, ref string) (n int) {
		t.Helper()
		c.send(`["`+ref+`","`+ref+`",$T,"phx_join",{}]`, `["`+ref+`","h`+ref+`",$T,"ok",{}]`)
		for {
			m := c.Next()
			if event, _ := cut(t, m); event == "presence_state" {
				n++
			}
			if strings.Contains(string(m.Data), `"h`+ref+`"`) {
				return n
			}
		}
	}
	c := dial(t, p, "vsn=2.0.0").named(topic)
	for i, want := range []int{1, 2, 2, 1, 2} {
		if got := states(c, fmt.Sprint(i+1)); got != want {
			t.Errorf("join %d: got %d states, want %d", i+1, got, want)
		}
		if i == 0 {
			c.send(`["1","x",$T,"phx_leave",{}]`)
			c.want(`["1","x",$T,"phx_reply",ok{}]`, `["1","1",$T,"phx_close",{}]`)
		}
		if i >= 2 { // the server ends the channel: an old object of phoenix.js joins again, unless the client has just left
			ref := fmt.Sprint(i + 1)
			lab.redis.publish(t, "conn:"+c.connection(ref), `{"topic":`+quote(topic)+`,"event":"phx_error"}`)
			c.want(`["` + ref + `","` + ref + `",$T,"phx_error",{"reason":"channel_crash"}]`)
			if i == 3 {
				c.send(`["` + ref + `","x",$T,"phx_leave",{}]`)
				c.want(`["` + ref + `","x",$T,"phx_reply",ok{}]`)
			}
		}
	}
	other := dial(t, p, "vsn=2.0.0").named(topic)
	if got := states(other, "1"); got != 1 {
		t.Errorf("another connection: got %d states, want 1", got)
	}
}
