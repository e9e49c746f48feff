package conformance_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"roost/phoenix/phoenixtest"
)

// TestBadWebhook is a backend that answers as it should not. The pod's deadline is 500 ms.
func TestBadWebhook(t *testing.T) {
	t.Parallel()
	p := sharedPod(t, "hasty")
	bystander(t, p, lab.redis)
	for _, how := range []string{"html", "empty", "nothing", "half", "array", "huge", "late"} {
		t.Run("BAD14 connect "+how, func(t *testing.T) {
			r := phoenixtest.Open(t, p.addr, phoenixtest.Request{Target: p.path("vsn=2.0.0&bad=" + how)})
			if r.Status != 503 || r.Header.Get("Retry-After") == "" {
				t.Errorf("got status %d, Retry-After %q, want 503 with Retry-After", r.Status, r.Header.Get("Retry-After"))
			}
		})
		t.Run("BAD15 join "+how, func(t *testing.T) {
			c := dial(t, p, "vsn=2.0.0")
			c.ask(`["1","1",$T,"phx_join",{"bad":"`+how+`"}]`, `["1","1",$T,"phx_reply",ERR({"reason":"join crashed"})]`)
			c.ask(`["1","2",$T,"ok",{}]`, `[null,"2",$T,"phx_reply",UNM]`)
			wantNow(t, c.topic)
			c.joinedAs("3")
		})
		t.Run("BAD16 push "+how, func(t *testing.T) {
			c := dial(t, p, "vsn=2.0.0").joined()
			if how == "empty" { // an answer without a body is one without a reply
				c.send(`["1","2",$T,"bad_empty",{}]`)
				lab.backend.await(t, 1, c.topic, pushes("bad_empty"))
				c.Quiet()
				return
			}
			c.ask(`["1","2",$T,"bad_`+how+`",{}]`, `["1","2",$T,"phx_reply",ERR({"reason":"backend unavailable"})]`)
			c.ask(`["1","3",$T,"ok",{}]`, `["1","3",$T,"phx_reply",ok{}]`)
		})
	}
	t.Run("BAD17 100 MB answers are not kept", func(t *testing.T) {
		c := dial(t, p, "vsn=2.0.0").joined()
		for range 5 {
			c.ask(`["1","2",$T,"bad_huge",{}]`, `["1","2",$T,"phx_reply",ERR({"reason":"backend unavailable"})]`)
		}
		if got, limit := p.peakMemory(t), 300<<20; got > limit {
			t.Errorf("the pod took %d MB at most, want less than %d MB", got>>20, limit>>20)
		}
	})
}

// peakMemory returns the most memory the process ever had, in bytes.
func (p *pod) peakMemory(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Skip(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}
