package conformance_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"roost/phoenix/phoenixtest"
)

// TestBreaker is a backend that fails, is left alone, and comes back.
func TestBreaker(t *testing.T) {
	t.Parallel()
	p := ownPod(t, lab.redis.url(), settings{
		"ROOST_WEBHOOK_BREAKER": "50%", "ROOST_WEBHOOK_BREAKER_MIN_CALLS": "8", "ROOST_WEBHOOK_BREAKER_PAUSE": "3s",
	})
	state := func() float64 { return metricValue(t, p, `roost_webhook_breaker_state{backend="default"}`) }
	left, c := dial(t, p, "vsn=2.0.0").joined(), dial(t, p, "vsn=2.0.0")
	connection := left.connection("1")
	for i := range 10 {
		if state() == 2 {
			break
		}
		ref := fmt.Sprint(`"`, i, `"`)
		c.ask(`[`+ref+`,`+ref+`,$T,"phx_join",{"status":503}]`, `[`+ref+`,`+ref+`,$T,"phx_reply",ERR({"reason":"join crashed"})]`)
	}
	if state() != 2 {
		t.Fatalf("breaker state: got %v, want 2", state())
	}
	calls := len(lab.backend.seen(c.topic, joins))
	c.ask(`["20","20",$T,"phx_join",{}]`, `["20","20",$T,"phx_reply",ERR({"reason":"join crashed"})]`)
	r := phoenixtest.Open(t, p.addr, phoenixtest.Request{Target: p.path("vsn=2.0.0")})
	if r.Status != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("connect: got status %d, Retry-After %q, want 503 with Retry-After", r.Status, r.Header.Get("Retry-After"))
	}
	left.ask(`["1","2",$T,"ok",{}]`, `["1","2",$T,"phx_reply",ERR({"reason":"backend unavailable"})]`)
	left.leave()
	if got := len(lab.backend.seen(c.topic, joins)); got != calls {
		t.Errorf("joins that the backend was asked about while it was to be left alone: got %d, want 0", got-calls)
	}
	ref := 30
	eventually(t, func() error {
		ref++
		c.send(fmt.Sprintf(`["%d","%d",$T,"phx_join",{}]`, ref, ref))
		if m := c.Next().String(); !strings.Contains(m, `"status":"ok"`) && !strings.Contains(m, `"phx_close"`) {
			return fmt.Errorf("join: got %s", m)
		}
		if state() != 0 {
			return errors.New("the breaker is not closed yet")
		}
		return nil
	})
	left.wantLeft(connection, "1", "left")
}
