package conformance_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"roost/phoenix/phoenixtest"
)

// client is a client of one test, with a topic of its own. In the frames of its methods $T stands for the topic as JSON,
// ok{} for an ok reply, OK(x) and ERR(x) for replies with response x, and UNM for the answer to unmatched topics.
type client struct {
	*phoenixtest.Client
	t     testing.TB
	pod   *pod
	topic string
}

var topicCount atomic.Int64

// newTopic returns a topic that no other test has: room:<word>-<number>.
func newTopic(word string) string { return fmt.Sprintf("room:%s-%d", word, topicCount.Add(1)) }

// newUser returns a user id that no other test has.
func newUser() string { return fmt.Sprint(topicCount.Add(1)) }

// v2 connects a V2 client to a kind of pod.
func v2(t testing.TB, kind string) *client {
	t.Helper()
	return dial(t, sharedPod(t, kind), "vsn=2.0.0")
}

// dial connects to a pod.
func dial(t testing.TB, p *pod, query string) *client {
	t.Helper()
	return &client{Client: phoenixtest.Dial(t, p.url(query), http.Header{}), t: t, pod: p, topic: newTopic("a")}
}

// another returns a second client of the same pod and topic.
func (c *client) another() *client {
	c.t.Helper()
	return c.beside(c.pod, "vsn=2.0.0")
}

// beside returns a client of another pod with the same topic.
func (c *client) beside(p *pod, query string) *client {
	c.t.Helper()
	o := dial(c.t, p, query)
	o.topic = c.topic
	return o
}

// named gives c another topic.
func (c *client) named(topic string) *client {
	c.topic = topic
	return c
}

// expand writes out the short forms.
func (c *client) expand(frame string) string {
	return strings.NewReplacer(
		"$T", quote(c.topic),
		"ok{}", `{"status":"ok","response":{}}`,
		"UNM", `{"status":"error","response":{"reason":"unmatched topic"}}`,
		"OK(", `{"status":"ok","response":`,
		"ERR(", `{"status":"error","response":`,
		")", "}",
	).Replace(frame)
}

func (c *client) expandAll(frames []string) []string {
	expanded := make([]string, len(frames))
	for i, f := range frames {
		expanded[i] = c.expand(f)
	}
	return expanded
}

// quote returns s as JSON, escaping nothing it need not.
func quote(s string) string {
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.Encode(s)
	text := strings.TrimSuffix(out.String(), "\n")
	return strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029").Replace(text)
}

// send sends frames; several leave in one write.
func (c *client) send(frames ...string) {
	c.t.Helper()
	c.Send(c.expandAll(frames)...)
}

// want fails the test unless these frames come next, in this order.
func (c *client) want(frames ...string) {
	c.t.Helper()
	c.Want(c.expandAll(frames)...)
}

// wantAll fails the test unless these frames come next, in any order.
func (c *client) wantAll(frames ...string) {
	c.t.Helper()
	c.WantAll(c.expandAll(frames)...)
}

// ask sends one frame and wants another as the next.
func (c *client) ask(frame, answer string) {
	c.t.Helper()
	c.send(frame)
	c.want(answer)
}

// joined joins the topic with join_ref and ref "1".
func (c *client) joined() *client {
	c.t.Helper()
	return c.joinedAs("1")
}

// joinedAs joins the topic with this join_ref and ref.
func (c *client) joinedAs(ref string) *client {
	c.t.Helper()
	ref = quote(ref)
	c.ask(`[`+ref+`,`+ref+`,$T,"phx_join",{}]`, `[`+ref+`,`+ref+`,$T,"phx_reply",OK({"got":{}})]`)
	return c
}

// leave leaves the topic joined by joined.
func (c *client) leave() {
	c.t.Helper()
	c.send(`["1","2",$T,"phx_leave",{}]`)
	c.want(`["1","2",$T,"phx_reply",ok{}]`, `["1","1",$T,"phx_close",{}]`)
}

// connection returns c's connection id, as the backend saw it at the last join of the topic with this join_ref.
func (c *client) connection(joinRef string) string {
	c.t.Helper()
	found := lab.backend.seen(c.topic, func(k call) bool { return joins(k) && string(k.Data.JoinRef) == quote(joinRef) })
	if len(found) == 0 {
		c.t.Fatalf("the backend saw no join of %s with join_ref %s", c.topic, joinRef)
	}
	return found[len(found)-1].Data.Connection
}

// isMember tells whether a connection is in the membership set of c's topic.
func (c *client) isMember(connection string) bool {
	c.t.Helper()
	return slices.Contains(lab.redis.members(c.t, c.topic), connection)
}

// publish publishes body to c's topic.
func (c *client) publish(body string) {
	c.t.Helper()
	lab.redis.publish(c.t, "topic:"+c.topic, body)
}

// wantLeft waits for the leave notice of a join, which must be the only one, and checks its reason.
func (c *client) wantLeft(connection, joinRef, reason string) {
	c.t.Helper()
	notices := lab.backend.await(c.t, 1, c.topic, func(k call) bool {
		return leaves(k) && k.Data.Connection == connection && string(k.Data.JoinRef) == quote(joinRef)
	})
	if got := notices[0].Data.Reason; got != reason {
		c.t.Errorf("got leave reason %q of %s, want %q", got, c.topic, reason)
	}
}
