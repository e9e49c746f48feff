package conformance_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"roost/internal/redistest"
)

// apiToken is what operators of these tests know.
const apiToken = "a-token-of-the-api-tests"

// asked is the answer to a request of the API.
type asked struct {
	code int
	body string
}

// api asks a pod's API. A body makes it a POST.
func (p *pod) api(t testing.TB, path, body string, header ...string) asked {
	t.Helper()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.admin+"/api/v1/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+apiToken)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return asked{response.StatusCode, strings.TrimSpace(string(text))}
}

// read asks and reads the answer, which must be a success.
func (p *pod) read(t testing.TB, path string, into any) {
	t.Helper()
	a := p.api(t, path, "")
	if err := json.Unmarshal([]byte(a.body), into); err != nil || a.code != http.StatusOK {
		t.Fatalf("%s: got %d %s (%v)", path, a.code, a.body, err)
	}
}

// apiPods are two pods with the API on one Redis.
func apiPods(t *testing.T, s *redistest.Server, more settings) (a, b *pod) {
	t.Helper()
	own := settings{"ROOST_API_TOKEN": apiToken, "ROOST_WEBHOOK_EVENTS": "connect,join,push,leave,disconnect"}
	for k, v := range more {
		own[k] = v
	}
	return ownPod(t, s.URL, own), ownPod(t, s.URL, own)
}

// TestAPI: what is said to one pod reaches clients of the other, and each knows of all.
func TestAPI(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T) (*redistest.Server, settings){
		"one server": func(t *testing.T) (*redistest.Server, settings) { return redistest.Start(t), nil },
		"sharded cluster": func(t *testing.T) (*redistest.Server, settings) {
			return redistest.Cluster(t), settings{"ROOST_REDIS_SHARDED_PUBSUB": "on"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, more := start(t)
			a, b := apiPods(t, s, more)
			user := newUser()
			c := dial(t, b, "vsn=2.0.0&user_id="+user).named("room:api {x}/ä-" + user).joined()
			connection := c.connection("1")
			other := dial(t, b, "vsn=2.0.0").named(c.topic).joined()
			path := "topics/" + url.PathEscape(c.topic)
			topic := quote(c.topic)

			sends := func(what, body string) {
				t.Helper()
				if got := a.api(t, what, body); got.code != http.StatusOK || !strings.Contains(got.body, `"status":"ok"`) {
					t.Errorf("%s %s: got %v", what, body, got)
				}
			}
			sends("broadcast", `{"topic":`+topic+`,"event":"one","payload":{"n": 1.50}}`)
			c.want(`[null,null,$T,"one",{"n": 1.50}]`)
			sends("broadcast", `{"messages":[{"topic":`+topic+`,"event":"two","except":`+quote(connection)+`},{"topic":`+topic+`,"event":"three"}]}`)
			c.want(`[null,null,$T,"three",{}]`)
			sends("push", `{"id":"user:`+user+`","topic":`+topic+`,"event":"four","payload":{}}`)
			c.want(`["1",null,$T,"four",{}]`)
			sends("push", `{"connection":`+quote(connection)+`,"topic":`+topic+`,"event":"five"}`)
			c.want(`["1",null,$T,"five",{}]`)

			var count struct{ Members, Present int }
			a.read(t, path, &count)
			var members struct{ Members []string }
			a.read(t, path+"/members", &members)
			if count.Members != 2 || !slices.Contains(members.Members, connection) || len(members.Members) != 2 {
				t.Errorf("got %+v and %v, want two members, one of them %s", count, members, connection)
			}
			found := 0
			for cursor := ""; ; {
				var topics struct {
					Topics []struct {
						Topic   string
						Members int
					}
					Next string
				}
				a.read(t, "topics?match=room:api*&cursor="+cursor, &topics)
				for _, one := range topics.Topics {
					if one.Topic == c.topic && one.Members == 2 {
						found++
					}
				}
				if cursor = topics.Next; cursor == "" {
					break
				}
			}
			if found != 1 {
				t.Errorf("the topic was listed %d times, want once", found)
			}
			var known struct {
				Pod, ID, Transport string
				Topics             []string
			}
			a.read(t, "connections/"+connection, &known)
			if known.Pod != b.id() || known.ID != "user:"+user || known.Transport != "websocket" || !slices.Equal(known.Topics, []string{c.topic}) {
				t.Errorf("got %+v of %s", known, connection)
			}
			if got := a.api(t, "connections/"+b.id()+".nobody", ""); got.code != http.StatusNotFound {
				t.Errorf("an unknown connection: got %v", got)
			}
			eventually(t, func() error { // pods report every 5 s
				var stats struct{ Pods, Silent, Connections, Channels int }
				a.read(t, "stats", &stats)
				if stats.Pods != 2 || stats.Silent != 0 || stats.Connections != 2 || stats.Channels != 2 {
					return fmt.Errorf("got %+v, want 2 pods, connections and channels", stats)
				}
				return nil
			})
			sends("kick", `{"id":"user:`+user+`","topic":`+topic+`,"event":"phx_error"}`)
			c.want(`["1","1",$T,"phx_error",{"reason":"channel_crash"}]`)
			sends("disconnect", `{"id":"user:`+user+`"}`)
			c.WantClose(1001)
			other.want(`[null,null,$T,"one",{"n": 1.50}]`, `[null,null,$T,"two",{}]`, `[null,null,$T,"three",{}]`)
		})
	}
}

// TestAPIWithoutRedis: nothing is said to be done that was not, and nothing is done later.
func TestAPIWithoutRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a, b := apiPods(t, s, nil)
	c := dial(t, b, "vsn=2.0.0").joined()
	body := func(event string) string { return fmt.Sprintf(`{"topic":%s,"event":%q}`, quote(c.topic), event) }
	s.Stop(t)
	for _, key := range []string{"", "a-key"} {
		header := []string{}
		if key != "" {
			header = []string{"Idempotency-Key", key}
		}
		if got := a.api(t, "broadcast", body("lost"), header...); got.code != http.StatusServiceUnavailable || !strings.Contains(got.body, `"code":"unavailable"`) {
			t.Errorf("broadcast: got %v, want 503", got)
		}
	}
	for _, path := range []string{"stats", "pods", "topics", "topics/a", "connections/a.1"} {
		if got := a.api(t, path, ""); got.code != http.StatusServiceUnavailable {
			t.Errorf("%s: got %v, want 503", path, got)
		}
	}
	if got := a.status(t, "/livez"); got != http.StatusOK {
		t.Errorf("/livez: got %d, want 200", got)
	}
	s.Restart(t)
	for _, p := range []*pod{a, b} {
		if err := p.awaitReady(patience); err != nil {
			t.Fatal(err)
		}
	}
	again := dial(t, b, "vsn=2.0.0").named(c.topic)
	eventually(t, func() error {
		again.send(`["1","1",$T,"phx_join",{}]`)
		if m := again.Next(); !strings.Contains(string(m.Data), `"ok"`) {
			return fmt.Errorf("got %s", m)
		}
		return nil
	})
	first := a.api(t, "broadcast", body("sent"), "Idempotency-Key", "b-key")
	if first.code != http.StatusOK {
		t.Fatalf("got %v", first)
	}
	if got := b.api(t, "broadcast", body("sent"), "Idempotency-Key", "b-key"); got != first { // at another pod
		t.Errorf("the same again: got %v, want %v", got, first)
	}
	if got := b.api(t, "broadcast", body("other"), "Idempotency-Key", "b-key"); got.code != http.StatusUnprocessableEntity {
		t.Errorf("another body: got %v, want 422", got)
	}
	again.want(`[null,null,$T,"sent",{}]`)
	again.Quiet()
}

// TestAPITap: what is published to topics is seen by who listens at any pod.
func TestAPITap(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a, _ := apiPods(t, s, nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.admin+"/api/v1/tap?topic=room:tap*", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+apiToken)
	response, err := http.DefaultClient.Do(r)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("got %v, %v", response, err)
	}
	defer response.Body.Close()
	for _, topic := range []string{"elsewhere", "room:tapped"} {
		if err := s.Client.Publish(t.Context(), "roost:topic:"+topic, `{"event":"e","payload":{"n":1.0}}`).Err(); err != nil {
			t.Fatal(err)
		}
	}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if data, found := strings.CutPrefix(lines.Text(), "data: "); found {
			if want := `{"topic":"room:tapped","message":{"event":"e","payload":{"n":1.0}}}`; data != want {
				t.Errorf("got %s, want %s", data, want)
			}
			break
		}
	}
	if lines.Err() != nil {
		t.Fatalf("the tap ended: %v", lines.Err())
	}
	response.Body.Close()
	eventually(t, func() error { // nothing is paid for when nobody listens
		n, err := s.Client.PubSubNumPat(t.Context()).Result()
		if err != nil || n != 2 { // those of the pods' connections
			return fmt.Errorf("got %d patterns, error %v, want those of the two pods only", n, err)
		}
		return nil
	})
}

// TestRebalance: told at one pod, all close a share of their connections, at a pace and with 1012.
func TestRebalance(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a, b := apiPods(t, s, nil)
	counts := func() (n [2]float64) {
		for i, p := range []*pod{a, b} {
			fmt.Sscan(p.series(t, `roost_connections{transport="websocket",vsn="2"}`), &n[i])
		}
		return n
	}
	clients := map[*pod][]*client{}
	for _, p := range []*pod{a, b} {
		for range 20 {
			clients[p] = append(clients[p], dial(t, p, "vsn=2.0.0"))
		}
	}
	if got := a.api(t, "rebalance", `{"share":0.5,"within":"1s"}`); got.code != http.StatusAccepted {
		t.Fatalf("got %v, want 202", got)
	}
	eventually(t, func() error {
		if got := counts(); got != [2]float64{10, 10} {
			return fmt.Errorf("got %v connections, want 10 on each", got)
		}
		return nil
	})
	answered := func(body string, code int) {
		t.Helper()
		eventually(t, func() error { // when the pod has said that it begins or ends
			if got := a.api(t, "rebalance", body); got.code != code {
				return fmt.Errorf("%s: got %v, want %d", body, got, code)
			}
			return nil
		})
	}
	answered(`{"share":1,"within":"0s","pod":`+quote(a.id())+`}`, http.StatusAccepted)
	for _, c := range clients[a] {
		c.WantClose(1012)
	}
	time.Sleep(100 * time.Millisecond)
	if got := counts(); got[1] != 10 {
		t.Errorf("got %v connections, want those of the other pod untouched", got)
	}
	slowly := `{"share":0.1,"within":"1h","pod":` + quote(b.id()) + `}`
	answered(slowly, http.StatusAccepted)
	answered(slowly, http.StatusConflict)
	answered(`{"share":1}`, http.StatusConflict)
	answered(`{"share":1,"pod":`+quote(a.id())+`}`, http.StatusAccepted)
}

// TestReadyNeedsProof: a pod whose link to Redis is silent, though open, is alive and not ready, and says why.
func TestReadyNeedsProof(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := ownPod(t, s.URL, nil)
	s.Pause(t)
	eventually(t, func() error {
		if got := p.status(t, "/readyz"); got != http.StatusServiceUnavailable {
			return fmt.Errorf("got %d of /readyz, want 503", got)
		}
		return nil
	})
	response, err := http.Get("http://" + p.admin + "/readyz?verbose")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	if got := p.status(t, "/livez"); got != http.StatusOK || !strings.Contains(string(text), "redis: failed: ") || !strings.Contains(string(text), "running: ok") {
		t.Errorf("got %d of /livez, and %s", got, text)
	}
	s.Resume(t)
	if err := p.awaitReady(patience); err != nil {
		t.Error(err)
	}
}
