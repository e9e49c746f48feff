package conformance_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"roost/phoenix/phoenixtest"
)

// migrant is a gateway whose backend gives the answers of docs/from-phoenix.md.
type migrant struct {
	t     *testing.T
	page  page
	pod   *pod
	redis *redisServer

	mu    sync.Mutex
	calls []call
}

func migrate(t *testing.T) *migrant {
	t.Helper()
	m := &migrant{t: t, page: fromPhoenix(t), redis: ownRedis(t)}
	backend := httptest.NewServer(m)
	t.Cleanup(backend.Close)
	rules := filepath.Join(t.TempDir(), "topics.yaml")
	if err := os.WriteFile(rules, []byte(m.page.block(t, "", "yaml", 0)), 0o600); err != nil {
		t.Fatal(err)
	}
	m.pod = ownPod(t, m.redis.url(), settings{"ROOST_WEBHOOK_URL": backend.URL, "ROOST_TOPICS_FILE": rules,
		"ROOST_WEBHOOK_EVENTS": "connect,join,push,leave", "ROOST_CONNECT_HEADERS": "user-agent", "ROOST_REFUSAL_MEMORY": "off"})
	return m
}

func (m *migrant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := lab.backend.read(r)
	if err != nil {
		lab.backend.complain(err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	m.calls = append(m.calls, c)
	m.mu.Unlock()
	answers := map[string]string{
		"the token":     m.page.block(m.t, "connect/3 and id/1", "json connect_answer", 0),
		"another":       m.page.block(m.t, "connect/3 and id/1", "json connect_answer", 1),
		"rooms:lobby":   m.page.block(m.t, "join/3", "json join_answer", 0),
		"rooms:secret":  m.page.block(m.t, "join/3", "json join_answer", 1),
		"rooms:present": m.page.block(m.t, "Phoenix.Presence", "json join_answer", 0),
		"rooms:other":   `{"status":"ok"}`,
		"cursors:lobby": `{"status":"ok"}`,
		"new_msg":       m.page.block(m.t, "handle_in/3", "json push_answer", 0),
		"typing":        m.page.block(m.t, "handle_in/3", "json push_answer", 1),
		"quit":          m.page.block(m.t, "handle_in/3", "json push_answer", 2),
		"crash":         `{"stop":"error"}`,
		"away":          m.page.block(m.t, "Phoenix.Presence", "json push_answer", 0),
		"untrack":       m.page.block(m.t, "Phoenix.Presence", "json push_answer", 1),
	}
	key := c.Data.Topic
	switch c.Type {
	case "socket.connect":
		key = *c.Data.AuthToken
	case "channel.push":
		key = c.Data.Event
	}
	if answers[key] == "" {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	io.WriteString(w, answers[key])
}

// last waits for a call of a type, with this reason if it is a notice, and returns the last one.
func (m *migrant) last(kind, reason string) (c call) {
	m.t.Helper()
	eventually(m.t, func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, k := range slices.Backward(m.calls) {
			if k.Type == kind && k.Data.Reason == reason {
				c = k
				return nil
			}
		}
		return fmt.Errorf("got no %s %s", kind, reason)
	})
	return c
}

// connect connects with a token.
func (m *migrant) connect(token string) (*phoenixtest.Client, error) {
	return phoenixtest.Connect(m.t, m.pod.url("vsn=2.0.0"), http.Header{"User-Agent": {"Mozilla/5.0"},
		"Sec-Websocket-Protocol": {"phoenix, base64url.bearer.phx." + base64.RawStdEncoding.EncodeToString([]byte(token))}})
}

// user connects with the token of the page.
func (m *migrant) user() *phoenixtest.Client {
	m.t.Helper()
	c, err := m.connect("the token")
	if err != nil {
		m.t.Fatal(err)
	}
	return c
}

// lobby connects, and joins the lobby as "3".
func (m *migrant) lobby() *phoenixtest.Client {
	m.t.Helper()
	c := m.user()
	c.Send(`["3","3","rooms:lobby","phx_join",{"since":null}]`)
	c.Want(`["3","3","rooms:lobby","phx_reply",{"status":"ok","response":{"title":"Lobby"}}]`,
		`["3",null,"rooms:lobby","presence_state",{}]`,
		`["3",null,"rooms:lobby","history",{"messages":[]}]`,
		`[null,null,"rooms:lobby","entered",{"user":42}]`)
	return c
}

// say runs the nth redis-cli command under a heading.
func (m *migrant) say(heading string, n int, connection string) any {
	m.t.Helper()
	var commands []string
	for _, block := range m.page.blocks[heading+" sh"] {
		commands = append(commands, strings.Split(strings.TrimSpace(block), "\n")...)
	}
	words, quoted, _ := strings.Cut(commands[n], " '")
	args := []any{}
	for _, word := range strings.Fields(words)[1:] {
		args = append(args, strings.ReplaceAll(word, "<connection>", connection))
	}
	if quoted != "" {
		args = append(args, strings.ReplaceAll(strings.TrimSuffix(quoted, "'"), "<connection>", connection))
	}
	got, err := m.redis.client.Do(m.t.Context(), args...).Result()
	if err != nil || strings.HasPrefix(commands[n], "redis-cli PUBLISH") && got != int64(1) {
		m.t.Fatalf("%s: got %v, error %v, want one pod", commands[n], got, err)
	}
	return got
}

// TestFromPhoenix lets clients see what docs/from-phoenix.md says they do.
func TestFromPhoenix(t *testing.T) {
	t.Parallel()
	m := migrate(t)
	if _, err := m.connect("another"); err == nil || !strings.Contains(err.Error(), "429") {
		t.Errorf("connect with another token: got %v, want 429", err)
	}
	ann := m.lobby()
	m.wantLike(m.last("socket.connect", ""), m.page.block(t, "connect/3 and id/1", "json request", 0))
	connection := m.last("channel.join", "").Data.Connection
	bob := m.lobby()
	ann.Want(`[null,null,"rooms:lobby","entered",{"user":42}]`)
	ann.Send(`["4","4","rooms:secret","phx_join",{}]`)
	ann.Want(`["4","4","rooms:secret","phx_reply",{"status":"error","response":{"reason":"unauthorized"}}]`)

	m.checkPushes(ann, bob)
	m.checkPublishes(ann, bob, connection)
	m.checkPresence(ann, bob)

	bob.Send(`["3","9","rooms:lobby","phx_leave",{}]`)
	bob.Want(`["3","9","rooms:lobby","phx_reply",{"status":"ok","response":{}}]`, `["3","3","rooms:lobby","phx_close",{}]`)
	m.wantLike(m.last("channel.leave", "left"), m.page.block(t, "terminate/2", "json request", 0))

	const disconnecting = "Disconnecting a user"
	m.say(disconnecting, 2, "")
	ann.Want(`["3","3","rooms:lobby","phx_close",{}]`)
	m.say(disconnecting, 1, "")
	m.say(disconnecting, 0, "")
	ann.WantClose(1001)
	bob.WantClose(1001)
	if _, err := m.connect("the token"); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("connect of a banned user: got %v, want 403", err)
	}
}

// wantLike checks that a call has the fields, and but for what names a connection the values, of a request.
func (m *migrant) wantLike(got call, want string) {
	m.t.Helper()
	var page call
	if err := json.Unmarshal([]byte(want), &page); err != nil {
		m.t.Fatal(err)
	}
	wantJSON(m.t, got.Data.Assigns, string(page.Data.Assigns))
	got.Data.Assigns, page.Data.Assigns = nil, nil
	got.WebhookID, got.Mount, got.Timestamp = page.WebhookID, page.Mount, page.Timestamp
	got.Data.Connection, got.Data.RemoteIP = page.Data.Connection, page.Data.RemoteIP
	if !reflect.DeepEqual(got, page) {
		m.t.Errorf("got %+v, want %+v", got, page)
	}
}

func wantJSON(t *testing.T, got json.RawMessage, want string) {
	t.Helper()
	if !phoenixtest.Same(phoenixtest.Message{Data: got}, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

func (m *migrant) checkPushes(ann, bob *phoenixtest.Client) {
	m.t.Helper()
	said := `[null,null,"rooms:lobby","new_msg",{"id":7,"body":"hi"}]`
	ann.Send(`["3","5","rooms:lobby","new_msg",{"body":"hi"}]`)
	ann.Want(said, `["3","5","rooms:lobby","phx_reply",{"status":"ok","response":{"id":7}}]`)
	bob.Want(said)
	wantJSON(m.t, m.last("channel.push", "").Data.Assigns, `{"user_id":42,"room":"lobby"}`) // the join's
	ann.Send(`["3","6","rooms:lobby","typing",{}]`, `["3","7","rooms:lobby","unknown",{}]`)
	bob.Want(`[null,null,"rooms:lobby","typing",{"user":42}]`)
	ann.Want(`["3","7","rooms:lobby","phx_reply",{"status":"error","response":{"reason":"backend unavailable"}}]`)

	for _, c := range []*phoenixtest.Client{ann, bob} {
		c.Send(`["8","8","cursors:lobby","phx_join",{}]`)
		c.Want(`["8","8","cursors:lobby","phx_reply",{"status":"ok","response":{}}]`)
	}
	wantJSON(m.t, m.last("channel.join", "").Data.Assigns, `{"user_id":42}`) // the connect's
	ann.Send(`["8","9","cursors:lobby","moved",{"x":1}]`, `["8","10","cursors:lobby","presence_diff",{}]`)
	bob.Want(`[null,null,"cursors:lobby","moved",{"x":1}]`)
	ann.Want(`["8","9","cursors:lobby","phx_reply",{"status":"ok","response":{}}]`,
		`["8","10","cursors:lobby","phx_reply",{"status":"error","response":{"reason":"event is reserved"}}]`)

	cat := m.user()
	for event, ends := range map[string][]string{
		"quit":  {`["1","2","rooms:other","phx_reply",{"status":"ok","response":{}}]`, `["1","1","rooms:other","phx_close",{}]`},
		"crash": {`["1","1","rooms:other","phx_error",{"reason":"channel_crash"}]`},
	} {
		cat.Send(`["1","1","rooms:other","phx_join",{}]`)
		awaitEvent(m.t, cat, "presence_state")
		cat.Send(`["1","2","rooms:other","` + event + `",{}]`)
		cat.Want(ends...)
	}
}

// awaitEvent takes messages until one has this event.
func awaitEvent(t *testing.T, c *phoenixtest.Client, event string) json.RawMessage {
	t.Helper()
	for {
		if e, payload := cut(t, c.Next()); e == event {
			return payload
		}
	}
}

func (m *migrant) checkPublishes(ann, bob *phoenixtest.Client, annsConnection string) {
	m.t.Helper()
	const heading = "Endpoint.broadcast, handle_info and push from elsewhere"
	for n := range 4 {
		m.say(heading, n, annsConnection)
	}
	job := `[null,null,"rooms:lobby","new_msg",{"body":"from a job"}]`
	paid := `["3",null,"rooms:lobby","paid",{"invoice":9}]`
	ann.WantAll(job, paid, paid)
	bob.WantAll(job, `[null,null,"rooms:lobby","new_msg",{"body":"to the others"}]`, paid)
	ann.Quiet()
	bob.Quiet()
}

func (m *migrant) checkPresence(ann, bob *phoenixtest.Client) {
	m.t.Helper()
	c := m.user()
	c.Send(`["1","1","rooms:present","phx_join",{}]`)
	joined := m.awaitDiff(c).Joins["42"].Metas
	c.Send(`["1","2","rooms:present","away",{}]`)
	update := m.awaitDiff(c)
	away, online := update.Joins["42"].Metas, update.Leaves["42"].Metas
	if len(joined) != 1 || len(away) != 1 || len(online) != 1 || online[0] != joined[0] || away[0].Prev != joined[0].Ref ||
		joined[0].Status != "online" || away[0].Status != "away" {
		m.t.Errorf("got joins of %+v, then one diff of %+v and %+v, want 42 from online to away", joined, away, online)
	}

	list := func() (all []string) {
		for _, v := range m.say("Phoenix.Presence", 0, "").([]any) {
			var entry struct {
				Key  string
				Meta shown
			}
			if err := json.Unmarshal([]byte(v.(string)), &entry); err != nil {
				m.t.Fatal(err)
			}
			all = append(all, entry.Key+" "+entry.Meta.Status)
		}
		return all
	}
	for _, want := range [][]string{{"42 away"}, nil} {
		ann.Send(`["3","8","rooms:lobby","` + map[bool]string{true: "untrack", false: "away"}[want == nil] + `",{}]`)
		if event, _ := cut(m.t, ann.Next()); event == "presence_diff" { // it comes before the reply, or a little later
			awaitEvent(m.t, ann, "phx_reply")
		} else {
			awaitEvent(m.t, ann, "presence_diff")
		}
		awaitEvent(m.t, bob, "presence_diff")
		if got := list(); !slices.Equal(got, want) {
			m.t.Errorf("got %q in Redis, want %q", got, want)
		}
	}
}

// shown is a meta of docs/from-phoenix.md.
type shown struct {
	Status string
	Ref    string `json:"phx_ref"`
	Prev   string `json:"phx_ref_prev"`
}

type shownDiff struct {
	Joins, Leaves map[string]struct{ Metas []shown }
}

func (m *migrant) awaitDiff(c *phoenixtest.Client) (d shownDiff) {
	m.t.Helper()
	if err := json.Unmarshal(awaitEvent(m.t, c, "presence_diff"), &d); err != nil {
		m.t.Fatal(err)
	}
	return d
}
