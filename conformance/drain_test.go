package conformance_test

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	"roost/phoenix/phoenixtest"
)

// drainingPod starts a pod for one test, which ends it itself.
func drainingPod(t *testing.T, more settings) *pod {
	t.Helper()
	p, err := startPod("socket", more, lab.redis.url())
	if err != nil {
		t.Fatalf("pod: %v", err)
	}
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		p.log.Close()
	})
	return p
}

// ended waits until the process has ended, which must be well.
func (p *pod) ended(t *testing.T) {
	t.Helper()
	dead := make(chan error, 1)
	go func() { dead <- p.cmd.Wait() }()
	select {
	case err := <-dead:
		if err != nil {
			t.Errorf("the pod ended with %v, want exit code 0", err)
		}
	case <-time.After(patience):
		t.Fatal("the pod did not end")
	}
}

func (p *pod) status(t *testing.T, path string) int {
	t.Helper()
	r, err := http.Get("http://" + p.admin + path)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	return r.StatusCode
}

func TestDrain(t *testing.T) {
	t.Parallel()
	t.Run("D4 D5 1012 with and without channels", func(t *testing.T) {
		p := drainingPod(t, nil)
		var clients []*client
		for range 5 {
			clients = append(clients, dial(t, p, "vsn=2.0.0").joined())
		}
		two := clients[0]
		two.ask(`["9","9","room:second","phx_join",{}]`, `["9","9","room:second","phx_reply",OK({"got":{}})]`)
		connection := two.connection("1")
		clients = append(clients, dial(t, p, "vsn=2.0.0")) // no channel
		p.signal(t, syscall.SIGTERM)
		for _, c := range clients {
			c.WantClose(1012) // and nothing per channel before it
		}
		p.ended(t)
		two.wantLeft(connection, "1", "drained")
		if two.isMember(connection) {
			t.Error("a member of a pod that has stopped is still in the set")
		}
	})
	t.Run("served on while the load balancers learn of it", func(t *testing.T) {
		p := drainingPod(t, settings{"ROOST_DRAIN_DELAY": "1h"})
		c := dial(t, p, "vsn=2.0.0").joined()
		p.signal(t, syscall.SIGTERM)
		eventually(t, func() error {
			if got := p.status(t, "/readyz"); got != http.StatusServiceUnavailable {
				return errStatus(got)
			}
			return nil
		})
		if got := p.status(t, "/livez"); got != http.StatusOK {
			t.Errorf("/livez says %d, want 200", got)
		}
		late := c.another().joined() // who is still sent here is served
		c.publish(`{"event":"e"}`)
		c.want(`[null,null,$T,"e",{}]`)
		late.want(`[null,null,$T,"e",{}]`)
		p.signal(t, syscall.SIGTERM) // the second one hurries
		c.WantClose(1012)
		late.WantClose(1012)
		p.ended(t)
	})
	t.Run("D6 refused with 503", func(t *testing.T) {
		p := drainingPod(t, settings{"ROOST_DRAIN_TIMEOUT": "1h"})
		for range 200 {
			dial(t, p, "vsn=2.0.0")
		}
		p.signal(t, syscall.SIGTERM)
		eventually(t, func() error {
			r := phoenixtest.Open(t, p.addr, phoenixtest.Request{Target: p.path("vsn=2.0.0")})
			if r.Status != http.StatusServiceUnavailable {
				r.Conn.Close()
				return errStatus(r.Status)
			}
			if r.Header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			return nil
		})
		p.signal(t, syscall.SIGTERM)
		p.ended(t)
	})
}

// errStatus is an HTTP status that is not the one awaited.
type errStatus int

func (e errStatus) Error() string { return http.StatusText(int(e)) }
