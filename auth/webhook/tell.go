package webhook

import (
	"time"

	"roost/auth"
)

// Leave implements [auth.Backend]. It does not block; [Client.Run] sends the notice, which waits in memory.
func (c *Client) Leave(n *auth.LeaveNotice) { c.tell(c.RecordLeave(n), n.Reason) }

// Disconnect implements [auth.Backend]. It does not block; [Client.Run] sends the notice, which waits in memory.
func (c *Client) Disconnect(n *auth.DisconnectNotice) { c.tell(c.RecordDisconnect(n), n.Reason) }

func (c *Client) tell(record string, reason auth.Reason) {
	if record != "" {
		c.notices.put(newNotice(record, reason, time.Now()))
	}
}

// Offer hands over a notice that is kept elsewhere: a record of this package, and when and why the end it tells of came; the
// reason is "" if nobody knows. It does not block. It returns false if there is no room, or Run has ended: the notice may be offered
// again later. taken is called once, maybe before Offer returns, when it need not be kept any more: the backend has taken it, or it is given up.
// It must not block or call c.
func (c *Client) Offer(record, reason string, at time.Time, taken func()) bool {
	n := newNotice(record, auth.Reason(reason), at)
	if n == nil || !c.on[n.event] {
		c.notices.refuse()
		taken()
		return true
	}
	n.taken = []func(){taken}
	return c.notices.offer(n)
}
