package gateway_test

import (
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"roost/auth"
	"roost/hub"
)

func (m *model) join(t *rapid.T) {
	m.t = t
	c, topic, ok := m.client(t), m.topic(t), rapid.IntRange(0, 3).Draw(t, "no if 0") > 0
	ref, old := c.nextRef(), c.joins[topic]
	if old != "" {
		m.ended(c, topic, auth.ReasonDuplicateJoin)
	}
	if ok {
		c.joins[topic] = ref
		c.Send(frame(ref, ref, topic, "phx_join", "{}"))
		m.want(c, joined(ref, topic))
	} else {
		c.Send(frame(ref, ref, topic, "phx_join", `"no"`))
		m.want(c, refused(ref, ref, topic, "forbidden"))
	}
	if old != "" {
		m.want(c, closed(old, topic))
	}
}

// joinRef draws the join_ref of a message: the channel's, none, or one that no channel has.
func (m *model) joinRef(t *rapid.T, current string) string {
	return rapid.SampledFrom([]string{current, current, "", "stale"}).Draw(t, "join_ref")
}

func (m *model) leave(t *rapid.T) {
	m.t = t
	c, topic := m.client(t), m.topic(t)
	ref, current := c.nextRef(), c.joins[topic]
	joinRef := m.joinRef(t, current)
	c.Send(frame(joinRef, ref, topic, "phx_leave", "{}"))
	switch {
	case current == "":
		m.want(c, okay(joinRef, ref, topic, "{}"))
	case joinRef == "stale":
		m.passed(c, topic)
	default:
		m.want(c, okay(current, ref, topic, "{}"), closed(current, topic))
		m.ended(c, topic, auth.ReasonLeft)
	}
}

func (m *model) push(t *rapid.T) {
	m.t = t
	c, topic := m.client(t), m.topic(t)
	event := rapid.SampledFrom([]string{"echo", "all", "others", "close", "crash"}).Draw(t, "event")
	ref, current := c.nextRef(), c.joins[topic]
	joinRef, payload := m.joinRef(t, current), fmt.Sprintf(`{"n":%s}`, ref)
	c.Send(frame(joinRef, ref, topic, event, payload))
	switch {
	case current == "":
		m.want(c, refused("", ref, topic, "unmatched topic"))
		return
	case joinRef == "stale":
		m.passed(c, topic)
		return
	}
	told := frame("", "", topic, "told", payload)
	if event == "all" {
		m.want(c, told)
	}
	m.want(c, okay(current, ref, topic, payload))
	switch event {
	case "close":
		m.want(c, closed(current, topic))
		m.ended(c, topic, auth.ReasonKicked)
	case "crash":
		m.want(c, crashed(current, topic))
		m.ended(c, topic, auth.ReasonError)
	case "all", "others":
		m.others(c, topic, told)
	}
}

// passed wants what c sent to a topic that it has joined to be dealt with.
func (m *model) passed(c *modelClient, topic string) {
	ref := c.nextRef()
	c.Send(frame("", ref, topic, "echo", "{}"))
	m.want(c, okay(c.joins[topic], ref, topic, "{}"))
}

// others wants a broadcast at all members but c.
func (m *model) others(c *modelClient, topic, told string) {
	for _, o := range m.clients {
		if o != c && o.joins[topic] != "" {
			m.want(o, told)
		}
	}
}

// burst sends a join and what follows it in one write.
func (m *model) burst(t *rapid.T) {
	m.t = t
	c, topic := m.client(t), m.topic(t)
	if c.joins[topic] != "" {
		return
	}
	ref := c.nextRef()
	frames, want := []string{join(ref, topic)}, []string{joined(ref, topic)}
	for range rapid.IntRange(1, 5).Draw(t, "pushes") {
		n := c.nextRef()
		frames, want = append(frames, frame(ref, n, topic, "echo", n)), append(want, okay(ref, n, topic, n))
	}
	c.Send(frames...)
	m.want(c, want...)
	c.joins[topic] = ref
}

func (m *model) publish(t *rapid.T) {
	m.t = t
	topic, except := m.topic(t), m.client(t)
	if m.empty(topic, except) {
		t.Skip("nobody would tell when it has passed")
	}
	m.pod.publish(hub.TopicAddress(topic), `{"event":"told","except":"`+except.connection+`"}`)
	m.others(except, topic, frame("", "", topic, "told", "{}"))
}

// empty tells whether topic has no members but except.
func (m *model) empty(topic string, except *modelClient) bool {
	return !slices.ContainsFunc(m.clients, func(c *modelClient) bool { return c != except && c.joins[topic] != "" })
}

// farewell draws the event that ends a channel, and returns what the client is sent.
func (m *model) farewell(t *rapid.T) (event string, words func(joinRef, topic string) string) {
	if rapid.Bool().Draw(t, "crash") {
		return "phx_error", crashed
	}
	return "phx_close", closed
}

func (m *model) endTopic(t *rapid.T) {
	m.t = t
	topic := m.topic(t)
	event, words := m.farewell(t)
	if m.empty(topic, nil) {
		t.Skip("nobody would tell when it has passed")
	}
	m.pod.publish(hub.TopicAddress(topic), `{"event":"`+event+`"}`)
	for _, c := range m.clients {
		if joinRef := c.joins[topic]; joinRef != "" {
			m.want(c, words(joinRef, topic))
			m.ended(c, topic, auth.ReasonKicked)
		}
	}
}

func (m *model) kick(t *rapid.T) {
	m.t = t
	c, topic := m.client(t), m.topic(t)
	event, words := m.farewell(t)
	addr := rapid.SampledFrom([]hub.Address{hub.IDAddress(c.user), hub.ConnAddress(c.connection)}).Draw(t, "address")
	m.pod.publish(addr, fmt.Sprintf(`{"topic":%q,"event":%q}`, topic, event))
	if joinRef := c.joins[topic]; joinRef != "" {
		m.want(c, words(joinRef, topic))
		m.ended(c, topic, auth.ReasonKicked)
	}
	// Behind it on the same way comes what shows that it has passed.
	m.pod.publish(addr, `{"topic":"home","event":"done"}`)
	m.want(c, frame("home", "", home, "done", "{}"))
}

func (m *model) endConnection(t *rapid.T) {
	m.t = t
	i := slices.Index(m.clients, m.client(t))
	c, reason := m.clients[i], auth.ReasonClosed
	switch rapid.SampledFrom([]string{"close", "drop", "disconnect"}).Draw(t, "how") {
	case "close":
		c.CloseWith(1001)
	case "drop":
		c.Drop()
	case "disconnect":
		reason = auth.ReasonDisconnected
		m.pod.publish(hub.IDAddress(c.user), `{"event":"disconnect"}`)
		if _, err := c.Receive(patience); err == nil || !strings.Contains(err.Error(), "1001") {
			t.Fatalf("%s: got %v, want close 1001", c.user, err)
		}
	}
	for topic := range c.joins {
		m.ended(c, topic, reason)
	}
	m.gone = append(m.gone, c.connection+" "+string(reason))
	m.clients[i] = m.dial(c.user)
}

// check compares at rest: nothing more to read, the membership sets, and the notices.
func (m *model) check(t *rapid.T) {
	m.t = t
	slices.Sort(m.left)
	slices.Sort(m.gone)
	var left, gone []string
	if !holds(func() bool {
		left, gone = m.pod.backend.notices()
		return slices.Equal(left, m.left) && slices.Equal(gone, m.gone)
	}) {
		t.Fatalf("got notices %q and %q\nwant %q and %q", left, gone, m.left, m.gone)
	}
	for _, topic := range append(m.topics, home) {
		var want []string
		for _, c := range m.clients {
			if c.joins[topic] != "" {
				want = append(want, c.connection)
			}
		}
		slices.Sort(want)
		if got := m.pod.members(topic); !slices.Equal(got, want) {
			t.Fatalf("got members %q of %s, want %q", got, topic, want)
		}
	}
	for _, c := range m.clients {
		ask, answer := c.NextHeartbeat()
		c.Send(ask)
		m.want(c, answer)
	}
}

// notices returns all notices with their connections, sorted.
func (b *backend) notices() (left, gone []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range b.leaves {
		left = append(left, fmt.Sprintf("%s %s %s %s", n.Client.Connection, n.Topic, n.JoinRef.JSON(), n.Reason))
	}
	for _, n := range b.disconnects {
		gone = append(gone, n.Client.Connection+" "+string(n.Reason))
	}
	slices.Sort(left)
	slices.Sort(gone)
	return left, gone
}
