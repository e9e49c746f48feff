package conformance_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"roost/phoenix/phoenixtest"
)

// meta is one meta of a presence: its refs, and the rest as JSON.
type meta struct {
	Ref  string `json:"phx_ref"`
	Prev string `json:"phx_ref_prev"`
	D    string `json:"d"`
}

type entries map[string]struct{ Metas []meta }

// diff is the payload of presence_diff.
type diff struct{ Joins, Leaves entries }

// list is what a client believes, as phoenix.js's Presence keeps it.
type list map[string][]meta

// observer is a client that joined a topic with presence.
type observer struct {
	*client
	list  list
	diffs []diff
	early []string // diffs that came before the state; older pods send some
}

// present joins a topic with presence as key, or without one if that is "", and takes what comes until the state is there.
func present(t *testing.T, p *pod, topic, key, d string) *observer {
	t.Helper()
	o := &observer{client: dial(t, p, "vsn=2.0.0").named(topic)}
	o.join("1", key, d)
	return o
}

func (o *observer) join(ref, key, d string) {
	o.t.Helper()
	payload := "{}"
	if key != "" {
		payload = fmt.Sprintf(`{"key":%s,"meta":{"d":%q}}`, quote(key), d)
	}
	o.send(`["` + ref + `","` + ref + `",$T,"phx_join",` + payload + `]`)
	o.want(`["` + ref + `","` + ref + `",$T,"phx_reply",OK({"got":` + payload + `})]`)
	for o.list == nil {
		o.take(o.Next())
	}
	if key != "" && len(o.diffs) == 0 { // its own, which may come before or after
		o.await(1)
	}
}

// take takes one message, which must be about presence.
func (o *observer) take(m phoenixtest.Message) {
	o.t.Helper()
	event, payload := cut(o.t, m)
	switch event {
	case "presence_state":
		var state entries
		if err := json.Unmarshal(payload, &state); err != nil {
			o.t.Fatalf("%s: %v", m, err)
		}
		o.list = list{}
		for key, e := range state {
			o.list[key] = e.Metas
		}
	case "presence_diff":
		var d diff
		if err := json.Unmarshal(payload, &d); err != nil || d.Joins == nil || d.Leaves == nil {
			o.t.Fatalf("%s: %v, want joins and leaves", m, err)
		}
		if o.list == nil {
			o.early = append(o.early, m.String())
		}
		o.diffs = append(o.diffs, d)
		o.apply(d)
	default:
		o.t.Fatalf("got %s, want presence", m)
	}
}

// cut returns the event and the payload of a V2 text frame.
func cut(t testing.TB, m phoenixtest.Message) (event string, payload json.RawMessage) {
	t.Helper()
	var frame [5]json.RawMessage
	if err := json.Unmarshal(m.Data, &frame); err != nil {
		t.Fatalf("%s: %v", m, err)
	}
	if err := json.Unmarshal(frame[3], &event); err != nil {
		t.Fatalf("%s: %v", m, err)
	}
	return event, frame[4]
}

// apply does what phoenix.js does with a diff.
func (o *observer) apply(d diff) {
	if o.list == nil {
		return
	}
	for key, e := range d.Joins {
		for _, m := range e.Metas {
			metas := slices.DeleteFunc(slices.Clone(o.list[key]), func(old meta) bool { return old.Ref == m.Ref })
			o.list[key] = append(metas, m)
		}
	}
	for key, e := range d.Leaves {
		for _, m := range e.Metas {
			o.list[key] = slices.DeleteFunc(slices.Clone(o.list[key]), func(old meta) bool { return old.Ref == m.Ref })
		}
		if len(o.list[key]) == 0 {
			delete(o.list, key)
		}
	}
}

// await takes messages until n diffs have come.
func (o *observer) await(n int) diff {
	o.t.Helper()
	for len(o.diffs) < n {
		o.take(o.Next())
	}
	return o.diffs[n-1]
}

// next takes the next diff, which must be the only one.
func (o *observer) next() diff {
	o.t.Helper()
	d := o.await(len(o.diffs) + 1)
	o.Quiet()
	return d
}

// until takes messages until what the client believes is as keys says: key to the d of its metas.
func (o *observer) until(keys map[string]string) {
	o.t.Helper()
	got := func() map[string]string {
		all := map[string]string{}
		for key, metas := range o.list {
			var ds []string
			for _, m := range metas {
				ds = append(ds, m.D)
			}
			slices.Sort(ds)
			all[key] = strings.Join(ds, " ")
		}
		return all
	}
	for end := time.Now().Add(patience); !maps.Equal(got(), keys); {
		if time.Now().After(end) {
			o.t.Fatalf("got %v, want %v", got(), keys)
		}
		if m, err := o.Receive(100 * time.Millisecond); err == nil {
			o.take(m)
		}
	}
}

// settle takes diffs that repeat what a state said, until no more come.
func (o *observer) settle() {
	o.t.Helper()
	for {
		m, err := o.Receive(500 * time.Millisecond)
		if err != nil {
			return
		}
		o.take(m)
	}
}

// ask pushes an event of presence and wants ok.
func (o *observer) does(ref, event, payload string) {
	o.t.Helper()
	o.send(`["1","` + ref + `",$T,"` + event + `",` + payload + `]`)
	for {
		m := o.Next()
		if event, payload := cut(o.t, m); event == "phx_reply" {
			if !strings.Contains(string(payload), `"status":"ok"`) {
				o.t.Fatalf("got %s, want ok", m)
			}
			return
		}
		o.take(m)
	}
}

func metasOf(e entries) map[string]int {
	n := map[string]int{}
	for key, list := range e {
		n[key] = len(list.Metas)
	}
	return n
}
