package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"roost/auth"
	"roost/phoenix/phoenixtest"
)

// model is what a few clients do, one step at a time, and what must come of it.
type model struct {
	t       *rapid.T
	pod     *pod
	users   *users
	topics  []string
	clients []*modelClient
	dialled int
	left    []string // expected notices of all so far
	gone    []string
}

type modelClient struct {
	*phoenixtest.Client
	user, connection string
	joins            map[string]string // topic → join_ref
	ref              int
}

// users knows the connection of each user: the backend is told it at the connect.
type users struct {
	mu          sync.Mutex
	connections map[string]string
}

func (u *users) connect(_ context.Context, c *auth.Client) (*auth.ConnectAnswer, error) {
	var params struct{ User string }
	if err := json.Unmarshal(c.Params, &params); err != nil {
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.connections[params.User] = c.Connection
	return &auth.ConnectAnswer{ID: params.User}, nil
}

func modelJoin(_ context.Context, r *auth.JoinRequest) (*auth.Answer, error) {
	if string(r.Payload) == `"no"` {
		return nil, &auth.Refusal{Code: 403}
	}
	return &auth.Answer{Status: "ok"}, nil
}

func modelPush(_ context.Context, r *auth.PushRequest) (*auth.Answer, error) {
	a := &auth.Answer{Status: "ok", Response: r.Payload}
	switch r.Event {
	case "all":
		a.Broadcasts = []auth.Broadcast{{Event: "told", Payload: r.Payload}}
	case "others":
		a.Broadcasts = []auth.Broadcast{{Event: "told", Payload: r.Payload, From: true}}
	case "close":
		a.Stop = auth.StopClose
	case "crash":
		a.Stop = auth.StopError
	}
	return a, nil
}

func TestModel(t *testing.T) {
	u := &users{connections: map[string]string{}}
	b := &backend{connect: u.connect, join: modelJoin, push: modelPush}
	p := startPod(t, b)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		b.mu.Lock()
		b.leaves, b.disconnects = nil, nil
		b.mu.Unlock()
		m := &model{t: rt, pod: p, users: u}
		for i := range 3 {
			m.topics = append(m.topics, fmt.Sprintf("run%d:%d", run, i))
			m.clients = append(m.clients, m.dial(fmt.Sprintf("user%d.%d", run, i)))
		}
		defer func() {
			for _, c := range m.clients {
				c.Drop()
			}
			eventually(t, "end of all connections", func() bool { return len(b.gone()) == m.dialled })
		}()
		rt.Repeat(map[string]func(*rapid.T){
			"join": m.join, "leave": m.leave, "push": m.push, "burst": m.burst, "publish": m.publish,
			"end topic": m.endTopic, "kick": m.kick, "end connection": m.endConnection,
			"": m.check,
		})
	})
}

func (m *model) dial(user string) *modelClient {
	m.dialled++
	c := &modelClient{Client: phoenixtest.Dial(m.pod.tb, m.pod.url("?vsn=2.0.0&user="+user), nil), user: user, joins: map[string]string{}}
	m.users.mu.Lock()
	c.connection = m.users.connections[user]
	m.users.mu.Unlock()
	c.Send(join("home", home))
	m.want(c, joined("home", home))
	c.joins[home] = "home"
	return c
}

// home is a topic that every client stays in, so that it can be told something.
const home = "home"

func (m *model) client(t *rapid.T) *modelClient {
	return rapid.SampledFrom(m.clients).Draw(t, "client")
}
func (m *model) topic(t *rapid.T) string { return rapid.SampledFrom(m.topics).Draw(t, "topic") }

func (c *modelClient) nextRef() string {
	c.ref++
	return fmt.Sprint(c.ref)
}

// want reads what must come to c, in order.
func (m *model) want(c *modelClient, frames ...string) {
	for _, want := range frames {
		got, err := c.Receive(patience)
		if err != nil || !phoenixtest.Same(got, want) {
			m.t.Fatalf("%s: got  %v, %v\nwant %s", c.user, got, err, want)
		}
	}
}

// ended takes note of the end of a channel.
func (m *model) ended(c *modelClient, topic string, reason auth.Reason) {
	m.left = append(m.left, fmt.Sprintf("%s %s %q %s", c.connection, topic, c.joins[topic], reason))
	delete(c.joins, topic)
}
