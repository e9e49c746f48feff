package gateway_test

import (
	"testing"

	"roost/auth"
	"roost/gateway"
)

// Only the end of its connection makes a member linger. One whose channel ends joins again over the same connection, and may
// show nothing then.
func TestWhoLingers(t *testing.T) {
	b := answering(map[string]*auth.Answer{
		"show":  {Status: "ok", Presence: &auth.Presence{Key: "u"}},
		"error": {Stop: auth.StopError},
		"close": {Stop: auth.StopClose},
	})
	p := startPod(t, b, func(c *gateway.Config) {
		c.Rules = auth.Rules{{Pattern: "*", Join: auth.JoinWebhook, Push: auth.PushWebhook, Presence: true}}
	})
	shown := func(topic string) (here, leaving int) {
		for _, s := range p.memory.ShownIn(topic) {
			if here++; s.Leaving {
				leaving++
			}
		}
		return here, leaving
	}
	for _, event := range []string{"error", "close", "phx_leave", "phx_join"} {
		c := p.dial()
		c.Send(join("1", event), frame("1", "2", event, "show", "{}"))
		eventually(t, "shown", func() bool { here, _ := shown(event); return here == 1 })
		c.Send(frame("1", "3", event, event, "{}"))
		eventually(t, "gone after "+event, func() bool { here, _ := shown(event); return here == 0 })
		c.Send(join("4", event))
	}
	c := p.dial()
	c.Send(join("1", "broken"), frame("1", "2", "broken", "show", "{}"))
	eventually(t, "shown", func() bool { here, _ := shown("broken"); return here == 1 })
	c.Drop()
	eventually(t, "a lingering member", func() bool { here, leaving := shown("broken"); return here == 1 && leaving == 1 })
}
