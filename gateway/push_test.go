package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"roost/auth"
	"roost/phoenix"
	"roost/phoenix/phoenixtest"
)

// answering returns a backend whose answer to a push is what answers has for its event.
func answering(answers map[string]*auth.Answer) *backend {
	return &backend{push: func(_ context.Context, r *auth.PushRequest) (*auth.Answer, error) {
		if a := answers[r.Event]; a != nil {
			return a, nil
		}
		return nil, errors.New("there is no answer")
	}}
}

func TestAssigns(t *testing.T) {
	var seen []string
	b := &backend{
		connect: func(context.Context, *auth.Client) (*auth.ConnectAnswer, error) {
			return &auth.ConnectAnswer{Assigns: json.RawMessage(`{"from":"connect"}`)}, nil
		},
		join: func(_ context.Context, r *auth.JoinRequest) (*auth.Answer, error) {
			seen = append(seen, "join "+string(r.Assigns))
			a := &auth.Answer{Status: "ok"}
			if r.Topic == "set" {
				a.Assigns = json.RawMessage(`{"from":"join"}`)
			}
			return a, nil
		},
		push: func(_ context.Context, r *auth.PushRequest) (*auth.Answer, error) {
			seen = append(seen, r.Event+" "+string(r.Assigns))
			switch r.Event {
			case "set":
				return &auth.Answer{Status: "ok", Assigns: json.RawMessage(`{"from":"push"}`)}, nil
			case "refuse":
				return nil, &auth.Refusal{Code: 403}
			}
			return &auth.Answer{Status: "ok"}, nil
		},
	}
	p := startPod(t, b)
	c := p.dial()
	n := 1
	ask := func(topic, event, want string) {
		t.Helper()
		n++
		ref := fmt.Sprint(n)
		if event == "phx_join" {
			c.Send(join(ref, topic))
			c.Want(joined(ref, topic))
		} else {
			c.Send(frame("", ref, topic, event, "{}"))
			c.Next()
		}
		if got := seen[len(seen)-1]; got != want {
			t.Errorf("%s on %s: got %s, want %s", event, topic, got, want)
		}
	}
	ask("keep", "phx_join", `join {"from":"connect"}`)
	ask("keep", "get", `get {"from":"connect"}`)
	ask("set", "phx_join", `join {"from":"connect"}`)
	ask("set", "get", `get {"from":"join"}`)
	ask("set", "set", `set {"from":"join"}`)
	ask("set", "refuse", `refuse {"from":"push"}`)
	ask("set", "get", `get {"from":"push"}`)
	ask("keep", "get", `get {"from":"connect"}`)
	c.Drop()
	same(t, "assigns of the leave notices", func() (got []string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, l := range b.leaves {
			got = append(got, l.Topic+" "+string(l.Assigns))
		}
		return got
	}, []string{`keep {"from":"connect"}`, `set {"from":"push"}`})
}

// A join: reply, pushes, broadcasts.
func TestOrderOfAJoin(t *testing.T) {
	b := &backend{join: func(_ context.Context, r *auth.JoinRequest) (*auth.Answer, error) {
		return &auth.Answer{
			Status: "ok", Response: []byte(`{"welcome": 1.0}`),
			Broadcasts: []auth.Broadcast{{Event: "b1", Payload: []byte(`{"b":1}`)}, {Event: "b2"}, {Event: "others", From: true}},
			Pushes:     []auth.Push{{Event: "p1", Payload: []byte(`{"p":1}`)}, {Event: "p2", Ref: `"r"`}},
		}, nil
	}}
	p := startPod(t, b)
	one, two := p.dial(), p.dial()
	for _, c := range []*phoenixtest.Client{one, two} {
		c.Send(join("1", "a"))
		c.Want(okay("1", "1", "a", `{"welcome":1.0}`), frame("1", "", "a", "p1", `{"p":1}`), frame("1", "r", "a", "p2", "{}"),
			frame("", "", "a", "b1", `{"b":1}`), frame("", "", "a", "b2", "{}"))
	}
	one.Want(frame("", "", "a", "b1", `{"b":1}`), frame("", "", "a", "b2", "{}"), frame("", "", "a", "others", "{}"))
	one.Quiet()
	two.Quiet()
}

// A push: broadcasts, reply, pushes, stop.
func TestOrderOfAPush(t *testing.T) {
	broadcasts := []auth.Broadcast{{Event: "b1"}, {Event: "elsewhere", Topic: "b"}, {Event: "b2"}, {Event: "others", From: true}}
	pushes := []auth.Push{{Event: "p1"}, {Event: "p2", Ref: `7`, Payload: []byte(`{"x":1}`)}}
	b1, b2 := frame("", "", "a", "b1", "{}"), frame("", "", "a", "b2", "{}")
	p1, p2 := frame("1", "", "a", "p1", "{}"), `["1",7,"a","p2",{"x":1}]`
	reply := okay("1", "2", "a", `{"r":1}`)
	answer := func(status string, stop auth.Stop, pushes []auth.Push) *auth.Answer {
		return &auth.Answer{Status: status, Response: []byte(`{"r":1}`), Broadcasts: broadcasts, Pushes: pushes, Stop: stop}
	}
	for name, c := range map[string]struct {
		answer *auth.Answer
		want   []string
		left   string
	}{
		"a reply":             {answer("ok", auth.StopNot, pushes), []string{b1, b2, reply, p1, p2}, ""},
		"no reply":            {answer("", auth.StopNot, pushes), []string{b1, b2, p1, p2}, ""},
		"a reply and a close": {answer("ok", auth.StopClose, pushes), []string{b1, b2, reply, p1, p2, closed("1", "a")}, `a "1" kicked`},
		"a reply and a crash": {answer("ok", auth.StopError, pushes), []string{b1, b2, reply, p1, p2, crashed("1", "a")}, `a "1" error`},
		"only a close":        {answer("", auth.StopClose, nil), []string{b1, b2, closed("1", "a")}, `a "1" kicked`},
		"only a crash":        {answer("", auth.StopError, nil), []string{b1, b2, crashed("1", "a")}, `a "1" error`},
	} {
		t.Run(name, func(t *testing.T) {
			b := answering(map[string]*auth.Answer{"go": c.answer})
			p := startPod(t, b)
			sender, other := p.dial(), p.dial()
			joins(sender, "a")
			joins(other, "a", "b")
			sender.Send(frame("1", "2", "a", "go", "{}"))
			sender.Want(c.want...)
			sender.Quiet()
			other.WantAll(b1, b2, frame("", "", "a", "others", "{}"), frame("", "", "b", "elsewhere", "{}"))
			if c.left == "" {
				b.wantLeft(t)
				return
			}
			b.wantLeft(t, c.left)
			sender.Send(frame("1", "3", "a", "go", "{}"))
			sender.Want(refused("", "3", "a", "unmatched topic"))
			if got := p.members("a"); len(got) != 1 {
				t.Errorf("got members %v, want the other one", got)
			}
		})
	}
}

func TestPushAnswers(t *testing.T) {
	b := &backend{push: func(_ context.Context, r *auth.PushRequest) (*auth.Answer, error) {
		switch r.Event {
		case "silent":
			return &auth.Answer{}, nil
		case "odd":
			return &auth.Answer{Status: "odd \"one\"", Response: []byte(`[null]`)}, nil
		case "unauthorized":
			return nil, &auth.Refusal{Code: 401}
		case "forbidden":
			return nil, &auth.Refusal{Code: 404}
		case "custom":
			return nil, &auth.Refusal{Code: 422, Response: []byte(`"why"`)}
		case "binary":
			return &auth.Answer{Status: "ok", Response: []byte{1, 0xff}, Binary: true}, nil
		case "nothing":
			return nil, nil
		}
		return nil, errors.New("down")
	}}
	p := startPod(t, b)
	c := p.dial()
	joins(c, "a")
	for i, step := range []struct{ event, want string }{
		{"silent", ""},
		{"odd", `{"status":"odd \"one\"","response":[null]}`},
		{"unauthorized", `{"status":"error","response":{"reason":"unauthorized"}}`},
		{"forbidden", `{"status":"error","response":{"reason":"forbidden"}}`},
		{"custom", `{"status":"error","response":"why"}`},
		{"nothing", `{"status":"error","response":{"reason":"backend unavailable"}}`},
		{"down", `{"status":"error","response":{"reason":"backend unavailable"}}`},
	} {
		ref := fmt.Sprint(i + 10)
		c.Send(frame("1", ref, "a", step.event, "{}"))
		if step.want == "" {
			c.Quiet()
			continue
		}
		c.Want(frame("1", ref, "a", "phx_reply", step.want))
	}
	c.Send(frame("1", "2", "a", "binary", "{}"))
	c.WantBinary([]byte("\x01\x01\x01\x01\x0212aok\x01\xff"))
	v1 := phoenixtest.Dial(t, p.url(""), nil)
	v1.Send(`{"topic":"a","event":"phx_join","payload":{},"ref":"1"}`, `{"topic":"a","event":"binary","payload":{},"ref":"2"}`)
	v1.Want(`{"topic":"a","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"1"}`,
		`{"topic":"a","event":"phx_reply","payload":{"status":"error","response":{"reason":"binary replies need a WebSocket and vsn 2.0.0"}},"ref":"2"}`)
	v1.Quiet()
	p.wantCounter(1, "roost_undeliverable_total", "reason=binary")
	b.wantLeft(t)
}

// What the client wrote reaches the backend, and what the backend wrote the client, byte for byte.
func TestBytesPassThrough(t *testing.T) {
	const payload = `{"b": 1.0, "a":12345678901234567890123,"a":"\u00fc</script>"}`
	got := make(chan auth.PushRequest, 1)
	b := &backend{push: func(_ context.Context, r *auth.PushRequest) (*auth.Answer, error) {
		got <- *r
		return &auth.Answer{Status: "ok", Response: r.Payload}, nil
	}}
	p := startPod(t, b)
	c := p.dial()
	c.Send(`[{"j":1},[2],"a","phx_join",{}]`)
	c.Want(`[{"j":1},[2],"a","phx_reply",{"status":"ok","response":{}}]`)
	c.Send(`[{"j":1}, "\u0031" ,"a","say",` + payload + `]`)
	if got, want := c.Next().String(), `[{"j":1},"\u0031","a","phx_reply",{"status":"ok","response":`+payload+`}]`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	r := await(t, "push", got)
	if string(r.Payload) != payload || r.JoinRef != phoenix.Ref(`{"j":1}`) || r.Ref != `"\u0031"` {
		t.Errorf("got payload %s, join_ref %s, ref %s, want them as they were sent", r.Payload, r.JoinRef, r.Ref)
	}
}
