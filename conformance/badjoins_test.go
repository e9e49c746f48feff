package conformance_test

import (
	"fmt"
	"strings"
	"testing"

	"roost/phoenix/phoenixtest"
)

// TestManyJoins sends 10,000 joins in a row, beside a client that must not notice.
func TestManyJoins(t *testing.T) {
	t.Parallel()
	bystander(t, sharedPod(t, "socket"), lab.redis)
	const many = 10_000
	t.Run("BAD8 of many topics", func(t *testing.T) {
		c := v2(t, "socket")
		prefix := newTopic("many")
		sendAll(c, many, func(i int) string {
			return fmt.Sprintf(`["%d","%d","%s:%d","phx_join",{}]`, i, i, prefix, i)
		})
		answered, ok := map[string]bool{}, 0
		for range many {
			m := c.Next()
			ref, _, _ := strings.Cut(string(m.Data), `,"`+prefix)
			if answered[ref] {
				t.Fatalf("got a second answer: %v", m)
			}
			answered[ref] = true
			switch {
			case strings.Contains(string(m.Data), `{"got":{}}`):
				ok++
			case !strings.Contains(string(m.Data), `{"reason":"too many channels joined"}`):
				t.Fatalf("got %v", m)
			}
		}
		if ok != 100 {
			t.Errorf("got %d joins let in, want 100", ok)
		}
		c.Quiet()
	})
	t.Run("BAD9 of one topic", func(t *testing.T) {
		c := v2(t, "socket")
		sendAll(c, many, func(i int) string {
			return c.expand(fmt.Sprintf(`["%d","%d",$T,"phx_join",{}]`, i, i))
		})
		last := fmt.Sprintf(`"%d"`, many-1)
		opened, closed := map[string]bool{}, map[string]bool{}
		for !opened[last] || len(closed) < len(opened)-1 {
			joinRef, reply := c.nextJoin()
			if reply {
				opened[joinRef] = true
			} else {
				closed[joinRef] = true
			}
		}
		c.Quiet()
		for ref := range opened {
			if closed[ref] == (ref == last) {
				t.Errorf("join %s: closed %t", ref, closed[ref])
			}
		}
		c.ask(`[`+last+`,"x",$T,"ok",{}]`, `[`+last+`,"x",$T,"phx_reply",ok{}]`)
		connection := c.connection(strings.Trim(last, `"`))
		wantNow(t, c.topic, connection)
		c.wantOneLeavePerJoin(opened, last)
	})
}

// sendAll sends n frames without waiting for an answer.
func sendAll(c *client, n int, frame func(i int) string) {
	c.t.Helper()
	for i := range n {
		if err := c.Write(frame(i)); err != nil {
			c.t.Fatalf("send: %v", err)
		}
	}
}

// nextJoin reads the ok reply to a join, or the phx_close of one, and returns its join_ref.
func (c *client) nextJoin() (joinRef string, reply bool) {
	c.t.Helper()
	m := c.Next()
	joinRef, _, _ = strings.Cut(strings.TrimPrefix(string(m.Data), "["), ",")
	if phoenixtest.Same(m, c.expand(`[`+joinRef+`,`+joinRef+`,$T,"phx_reply",OK({"got":{}})]`)) {
		return joinRef, true
	}
	if !phoenixtest.Same(m, c.expand(`[`+joinRef+`,`+joinRef+`,$T,"phx_close",{}]`)) {
		c.t.Fatalf("got %v, want an ok reply or a phx_close", m)
	}
	return joinRef, false
}

// wantOneLeavePerJoin checks the leave notices of joins that were let in: one each, but none for the last.
func (c *client) wantOneLeavePerJoin(opened map[string]bool, last string) {
	c.t.Helper()
	notices := map[string]int{}
	eventually(c.t, func() error {
		clear(notices)
		for _, k := range lab.backend.seen(c.topic, leaves) {
			notices[string(k.Data.JoinRef)]++
		}
		for ref := range opened {
			if ref != last && notices[ref] == 0 {
				return fmt.Errorf("no leave notice for join %s", ref)
			}
		}
		return nil
	})
	for ref, n := range notices {
		if n != 1 || ref == last {
			c.t.Errorf("got %d leave notices for join %s", n, ref)
		}
	}
}
