package conformance_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// drillRules have a topic whose pushes are broadcasts, beside those that ask the backend.
const drillRules = "topics:\n  - {topic: \"cast:*\", join: allow, push: broadcast}\n  - {topic: \"room:*\", join: webhook, push: webhook}\n"

// drill is pods, clients of theirs, and something that happens to their Redis.
type drill struct {
	t    *testing.T
	pods []*pod
	fans []*fan // two on each pod: shared topics, and one alone

	publish func(topic, body string) error // as a backend does
	members func(topic string) ([]string, error)

	cast, room string // shared topics
	witnesses  []*client
	goroutines []float64
}

// drillPods starts two pods and their clients. publish and members are for the test to set.
func newDrill(t *testing.T, redisURL string, more settings) *drill {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(drillRules), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &drill{t: t, cast: fmt.Sprint("cast:", topicCount.Add(1)), room: newTopic("drill")}
	for range 2 {
		s := settings{"ROOST_TOPICS_FILE": file, "ROOST_WEBHOOK_TIMEOUT": "2s", "ROOST_RESYNC_SPREAD": "1s", "ROOST_WEBHOOK_EVENTS": "join,push"}
		for k, v := range more {
			s[k] = v
		}
		d.pods = append(d.pods, ownPod(t, redisURL, s))
	}
	for _, p := range d.pods {
		for range 2 {
			d.fans = append(d.fans, newFan(t, p, d.cast, d.room, newTopic("alone")))
		}
		w := dial(t, p, "vsn=2.0.0").named(newTopic("witness")).joined()
		w.named("cast:w" + w.topic)
		w.ask(`["2","2",$T,"phx_join",{}]`, `["2","2",$T,"phx_reply",ok{}]`)
		d.witnesses = append(d.witnesses, w)
	}
	for _, p := range d.pods {
		d.goroutines = append(d.goroutines, p.metric(t, "go_goroutines"))
	}
	return d
}

// joinDeadline is when a join must be answered: the gateway waits 5 s for Redis, phoenix.js 10 s for the gateway.
const joinDeadline = 9 * time.Second

// away checks what must hold while Redis cannot be reached, on every pod.
func (d *drill) away() {
	d.t.Helper()
	for i, p := range d.pods {
		began := time.Now()
		j := dial(d.t, p, "vsn=2.0.0") // on a topic that is not subscribed yet
		j.send(`["1","1",$T,"phx_join",{}]`)
		j.Heartbeat()
		j.want(`["1","1",$T,"phx_reply",ERR({"reason":"join crashed"})]`)
		if took := time.Since(began); took > joinDeadline {
			d.t.Errorf("a join was refused after %v, want %v at most", took, joinDeadline)
		}
		j.Drop()
		w := d.witnesses[i]
		w.Heartbeat()
		w.ask(`["2","3",$T,"anything",{"a":1}]`, `["2","3",$T,"phx_reply",ERR({"reason":"unavailable"})]`)
		w.named(strings.TrimPrefix(w.topic, "cast:w"))
		w.ask(`["1","4",$T,"echo",{"a":1}]`, `["1","4",$T,"phx_reply",OK({"a":1})]`)
		w.Drop()
	}
}

// back checks what must hold once Redis can be reached again: every channel was told to join again as often as want says,
// and has done so, the sets hold every member once, and what is published arrives once.
func (d *drill) back(want func(f *fan, topic string) int) {
	d.t.Helper()
	for _, p := range d.pods {
		eventually(d.t, func() error { return p.awaitReady(time.Second) })
	}
	for _, f := range d.fans {
		for _, topic := range f.topics {
			eventually(d.t, func() error {
				if got := f.crashes(topic); got != want(f, topic) {
					return fmt.Errorf("%s on %s: got %d times phx_error, want %d", topic, f.pod.addr, got, want(f, topic))
				}
				return f.allJoined()
			})
		}
	}
	d.counted()
	d.delivered()
	for i, p := range d.pods {
		eventually(d.t, func() error {
			if got := p.metric(d.t, "go_goroutines"); got > d.goroutines[i]+20 {
				return fmt.Errorf("got %v goroutines, %v before", got, d.goroutines[i])
			}
			return nil
		})
	}
	for _, f := range d.fans {
		eventually(d.t, func() error {
			if asked, answered := f.heartbeats(); asked > answered+1 {
				return fmt.Errorf("%d heartbeats were sent, %d answered", asked, answered)
			}
			return nil
		})
		for _, topic := range f.topics {
			if got := f.crashes(topic); got != want(f, topic) {
				d.t.Errorf("%s on %s: got %d times phx_error in the end, want %d", topic, f.pod.addr, got, want(f, topic))
			}
		}
	}
}

// counted checks the membership sets.
func (d *drill) counted() {
	d.t.Helper()
	sizes := map[string]int{d.cast: len(d.fans), d.room: len(d.fans)}
	for _, f := range d.fans {
		sizes[f.topics[2]] = 1
	}
	for topic, want := range sizes {
		eventually(d.t, func() error {
			got, err := d.members(topic)
			if err == nil && len(got) != want {
				err = fmt.Errorf("got members %q of %s, want %d", got, topic, want)
			}
			return err
		})
	}
}

// delivered publishes to every topic and checks that every member gets everything once and in order.
func (d *drill) delivered() {
	d.t.Helper()
	const rounds = 20
	topics := map[string]bool{}
	for _, f := range d.fans {
		f.forget()
		for _, topic := range f.topics {
			topics[topic] = true
		}
	}
	var want []string
	for n := range rounds {
		want = append(want, fmt.Sprintf(`{"after":%d}`, n))
		for topic := range topics {
			if err := d.publish(topic, `{"event":"e","payload":`+want[n]+`}`); err != nil {
				d.t.Fatal(err)
			}
		}
	}
	for _, f := range d.fans {
		for _, topic := range f.topics {
			eventually(d.t, func() error {
				if got := f.got(topic); !slices.Equal(got, want) {
					return fmt.Errorf("%s on %s: got %.300q, want %.300q", topic, f.pod.addr, got, want)
				}
				return nil
			})
		}
	}
}

// logged checks how often a pod's log has a line with text.
func (p *pod) logged(t testing.TB, text string, want int) {
	t.Helper()
	p.loggedAbout(t, text, want, want)
}

// loggedAbout is logged for a number from least to most.
func (p *pod) loggedAbout(t testing.TB, text string, least, most int) {
	t.Helper()
	data, err := os.ReadFile(p.log.Name())
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(data), text); got < least || got > most {
		t.Errorf("the log has %d times %q, want %d to %d:\n%s", got, text, least, most, data)
	}
}

// metric returns a metric without labels.
func (p *pod) metric(t testing.TB, name string) float64 {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+p.admin+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// unready tells whether a pod says that it is ready.
func unready(p *pod) error {
	response, err := http.Get("http://" + p.admin + "/readyz")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable {
		return fmt.Errorf("/readyz: got %s, want 503", response.Status)
	}
	return nil
}
