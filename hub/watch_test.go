package hub_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"roost/hub"
)

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := hub.NewMemory()
		p := startPod(t, memory, "a", hub.Config{})
		var ended atomic.Int64
		stop := p.Watch("user:1", func() { ended.Add(1) })
		publish := func(addr hub.Address, body string, want int64) {
			t.Helper()
			memory.Publish(addr, []byte(body))
			synctest.Wait()
			if got := ended.Load(); got != want {
				t.Errorf("after %s to %s: told %d times, want %d", body, addr, got, want)
			}
		}
		synctest.Wait()
		publish("id:user:1", `{"event":"disconnect"}`, 1)
		publish("id:user:1", `{"topic":"t","event":"phx_close"}`, 2)
		publish("id:user:1", `{"topic":"t","event":"phx_error"}`, 3)
		publish("id:user:1", `{"topic":"t","event":"hello"}`, 3)
		publish("id:user:1", `{"event":"hello"}`, 3)
		publish("id:user:2", `{"event":"disconnect"}`, 3)
		publish("topic:user:1", `{"event":"phx_close"}`, 3)
		peer := p.attach(t, "a.1", "user:1")
		stop()
		stop()
		publish("id:user:1", `{"event":"disconnect"}`, 3)
		peer.expect(t, "disconnect")
	})
}
