package webhook_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"roost/auth"
)

// everything is an answer with all fields, oddly spaced.
const everything = ` {"status" : "ok", "response":{"n": 1.0,"s":"\u00fc<"}, "assigns":{"a" :1},
	"push":[{"event":"p","payload":{"x": 1}},{"event":"q","payload_base64":"AP8=","ref":"9"},{"event":"r","ref":7}],
	"broadcast":[{"event":"b","payload":{"y":2},"from":true},{"event":"c","topic":"other","payload_base64":""},{"event":"d","from":false}],
	"presence":{"key":"k"},"expires_at":"2026-11-21T10:00:00Z","cache":"30s","later":[1]} `

// then is the expires_at of these answers.
var then = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

var everythingDecoded = auth.Answer{
	Status:   "ok",
	Expires:  then,
	Response: []byte(`{"n": 1.0,"s":"\u00fc<"}`),
	Presence: &auth.Presence{Key: "k"},
	Assigns:  json.RawMessage(`{"a" :1}`),
	Pushes: []auth.Push{
		{Event: "p", Payload: []byte(`{"x": 1}`)},
		{Event: "q", Payload: []byte{0, 255}, Binary: true, Ref: `"9"`},
		{Event: "r", Ref: `7`},
	},
	Broadcasts: []auth.Broadcast{
		{Event: "b", Payload: []byte(`{"y":2}`), From: true},
		{Event: "c", Topic: "other", Payload: []byte{}, Binary: true},
		{Event: "d"},
	},
}

func TestAnswers(t *testing.T) {
	stopping := everythingDecoded
	stopping.Stop = auth.StopError
	joins := map[string]auth.Answer{
		everything:        everythingDecoded,
		`{"status":"ok"}`: {Status: "ok"},
		`{"status":"ok","response":null,"assigns":null,"push":null,"broadcast":null,"stop":null}`: {Status: "ok", Response: []byte("null")},
		`{"status":"error","response":{"reason":"full"}}`:                                         {Status: "error", Response: []byte(`{"reason":"full"}`)},
		`{"status":"ok","response_base64":"AQI="}`:                                                {Status: "ok", Response: []byte{1, 2}, Binary: true},
		`{"status":"ok","response":"text"}`:                                                       {Status: "ok", Response: []byte(`"text"`)},
		`{"status":"error","status":"ok"}`:                                                        {Status: "ok"},
	}
	pushes := map[string]auth.Answer{
		everything: everythingDecoded,
		strings.Replace(everything, `"later"`, `"stop":"error","later"`, 1): stopping,
		`{"status":"queued"}`: {Status: "queued"},
		`{"stop":"close"}`:    {Stop: auth.StopClose},
		`{}`:                  {},
		``:                    {},
		" \r\n":               {},
	}
	for answer, want := range joins {
		t.Run("join "+answer, func(t *testing.T) {
			wantSame(t, "join_answer", answer, true)
			got, err := answering(t, http.StatusOK, answer).Join(t.Context(), joinOf("t"))
			if err != nil || !reflect.DeepEqual(*got, want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
	for answer, want := range pushes {
		t.Run("push "+answer, func(t *testing.T) {
			wantSame(t, "push_answer", answer, true)
			got, err := answering(t, http.StatusCreated, answer).Push(t.Context(), pushOf("e"))
			if err != nil || !reflect.DeepEqual(*got, want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
	t.Run("push 204", func(t *testing.T) {
		got, err := answering(t, http.StatusNoContent, "").Push(t.Context(), pushOf("e"))
		if err != nil || !reflect.DeepEqual(*got, auth.Answer{}) {
			t.Errorf("got %+v, %v, want an empty answer", got, err)
		}
	})
}

func TestConnectAnswers(t *testing.T) {
	for answer, want := range map[string]auth.ConnectAnswer{
		`{"status":"ok","id":"user:42","assigns":{"a": 1},"expires_at":"2026-11-21T10:00:00Z"}`: {ID: "user:42", Assigns: json.RawMessage(`{"a": 1}`), Expires: then},
		`{"status":"ok","id":null}`: {},
	} {
		wantSame(t, "connect_answer", answer, true)
		got, err := answering(t, http.StatusOK, answer).Connect(t.Context(), someone())
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", answer, got, err, want)
		}
	}
	for answer, want := range map[string]auth.Refusal{
		`{"status":"error"}`: {Code: 403},
		`{"status":"error","code":429,"response":{"reason":"slow down"}}`: {Code: 429, Response: []byte(`{"reason":"slow down"}`)},
		`{"status":"error","code":503,"response_base64":"AA=="}`:          {Code: 503, Response: []byte{0}, Binary: true},
	} {
		wantSame(t, "connect_answer", answer, true)
		_, err := answering(t, http.StatusOK, answer).Connect(t.Context(), someone())
		var got *auth.Refusal
		if !errors.As(err, &got) || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", answer, got, err, want)
		}
	}
}

// secretText stands in answers that must not be repeated.
const secretText = "hunter2"

func TestAnswersThatAreNone(t *testing.T) {
	const push, join, connect = 1, 2, 4
	for answer, calls := range map[string]int{
		``:                                      join | connect,
		`<html>hunter2</html>`:                  push | join | connect,
		`"hunter2"`:                             push | join | connect,
		`null`:                                  push | join | connect,
		`[]`:                                    push | join | connect,
		`{"status":"ok"`:                        push | join | connect,
		`{"status":"ok"} {}`:                    push | join | connect,
		"{\"hunter2\":\"\xff\"}":                push | join | connect,
		`{}`:                                    join | connect,
		`{"status":"hunter2"}`:                  join | connect,
		`{"status":1}`:                          push | join | connect,
		`{"status":"ok","assigns":["hunter2"]}`: push | join | connect,
		`{"status":"ok","id":42}`:               connect,
		`{"status":"error","code":200}`:         connect,
		`{"status":"error","code":"403"}`:       connect,
		`{"status":"error","code":4e2}`:         connect,
		`{"status":"error","response":1,"response_base64":"AA=="}`:                                  push | join | connect,
		`{"status":"ok","response_base64":"hunter2"}`:                                               push | join | connect,
		`{"status":"ok","response_base64":7}`:                                                       push | join | connect,
		`{"status":"ok","push":{"event":"e"}}`:                                                      push | join,
		`{"status":"ok","push":["hunter2"]}`:                                                        push | join,
		`{"status":"ok","push":[{"payload":{}}]}`:                                                   push | join,
		`{"status":"ok","push":[{"event":""}]}`:                                                     push | join,
		`{"status":"ok","push":[{"event":"e","payload":"hunter2"}]}`:                                push | join,
		`{"status":"ok","push":[{"event":"e","ref":{"hunter2":1}}]}`:                                push | join,
		`{"status":"ok","push":[{"event":"e","payload_base64":"hunter2"}]}`:                         push | join,
		`{"status":"ok","broadcast":[{"event":"e","payload":[1]}]}`:                                 push | join,
		`{"status":"ok","broadcast":[{"event":"e","topic":1}]}`:                                     push | join,
		`{"status":"ok","broadcast":[{"event":"e","from":"hunter2"}]}`:                              push | join,
		`{"status":"ok","broadcast":[{"event":"e"},{"event":5}]}`:                                   push | join,
		`{"status":"ok","stop":"hunter2"}`:                                                          push | join,
		`{"status":"ok","stop":"close"}`:                                                            join,
		`{"status":"ok","push":[{"event":"` + strings.Repeat("e", 256) + `","payload_base64":""}]}`: push | join,
		`{"status":"` + strings.Repeat("s", 256) + `","response_base64":""}`:                        push | join | connect,
	} {
		c := answering(t, http.StatusOK, answer)
		check := func(name string, wanted bool, err error) {
			t.Helper()
			var refusal *auth.Refusal
			got := err != nil && !errors.As(err, &refusal)
			if got != wanted {
				t.Errorf("%s %.100s: got %v, want a bad answer: %v", name, answer, err, wanted)
			}
			wantSame(t, name+"_answer", answer, !got)
			if err != nil && strings.Contains(err.Error(), secretText) {
				t.Errorf("%s %.100s: got %q, want nothing of the answer in it", name, answer, err)
			}
		}
		_, err := c.Push(t.Context(), pushOf("e"))
		check("push", calls&push != 0, err)
		_, err = c.Join(t.Context(), joinOf("t"))
		check("join", calls&join != 0, err)
		_, err = c.Connect(t.Context(), someone())
		check("connect", calls&connect != 0, err)
	}
}
