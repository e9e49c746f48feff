package conformance_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// answer is what the backend says to a call.
type answer struct {
	Status         string          `json:"status,omitempty"`
	Code           int             `json:"code,omitempty"`
	ID             string          `json:"id,omitempty"`
	Response       json.RawMessage `json:"response,omitempty"`
	ResponseBase64 []byte          `json:"response_base64,omitempty"`
	Assigns        json.RawMessage `json:"assigns,omitempty"`
	Push           []event         `json:"push,omitempty"`
	Broadcast      []event         `json:"broadcast,omitempty"`
	Stop           string          `json:"stop,omitempty"`
	Cache          string          `json:"cache,omitempty"`
	Presence       json.RawMessage `json:"presence,omitempty"`
}

// event is a push or a broadcast of an answer.
type event struct {
	Topic         string          `json:"topic,omitempty"`
	Event         string          `json:"event"`
	Payload       json.RawMessage `json:"payload,omitempty"`
	PayloadBase64 []byte          `json:"payload_base64,omitempty"`
	Ref           json.RawMessage `json:"ref,omitempty"`
	From          bool            `json:"from,omitempty"`
}

// write sends an answer, payloads byte for byte.
func (a answer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(a)
}

func fail(w http.ResponseWriter) { http.Error(w, "it crashed", http.StatusInternalServerError) }

func answerConnect(w http.ResponseWriter, r *http.Request, c call) {
	is := func(name string) bool { return c.Data.Params[name] == "true" }
	switch {
	case is("reject"):
		answer{Status: "error", Code: 403}.write(w)
	case is("ratelimit") && c.Mount == "socket":
		answer{Status: "error", Code: 429, Response: json.RawMessage(`"Too many requests"`)}.write(w)
	case is("ratelimit"):
		answer{Status: "error"}.write(w)
	case is("crash"):
		fail(w)
	case c.Data.Params["bad"] != nil:
		answerBadly(w, r, fmt.Sprint(c.Data.Params["bad"]))
	default:
		a := answer{Status: "ok", Assigns: json.RawMessage(`{"from":"connect"}`)}
		if id, ok := c.Data.Params["user_id"]; ok {
			a.ID = fmt.Sprintf("user:%v", id)
		}
		a.write(w)
	}
}

// answerJoin answers a join by the word behind "room:" and by what the payload asks for.
func (b *backend) answerJoin(w http.ResponseWriter, r *http.Request, c call) {
	var want struct {
		MS     time.Duration
		After  bool
		User   json.RawMessage
		Refuse bool
		Status int
		Bad    string
		Cache  string
		Key    json.RawMessage
		Meta   json.RawMessage
	}
	json.Unmarshal(c.Data.Payload, &want) // a payload may be any JSON, most say nothing
	name := strings.TrimPrefix(c.Data.Topic, "room:")
	switch {
	case strings.HasPrefix(name, "deny") || want.Refuse:
		answer{Status: "error", Response: json.RawMessage(`{"reason":"unauthorized"}`)}.write(w)
		return
	case strings.HasPrefix(name, "crash"):
		fail(w)
		return
	case want.Status != 0:
		w.WriteHeader(want.Status)
		return
	case want.Bad != "":
		answerBadly(w, r, want.Bad)
		return
	case strings.HasPrefix(name, "slow"):
		select {
		case <-time.After(want.MS * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
	a := answer{Status: "ok", Response: wrap("got", c.Data.Payload), Cache: want.Cache}
	if want.Key != nil {
		a.Presence = presence(want.Key, want.Meta)
	}
	if want.After {
		a.Broadcast = []event{{Event: "user_entered", Payload: wrap("user", want.User)}}
		a.Push = []event{{Event: "joined", Payload: json.RawMessage(`{"status":"connected"}`)}}
	}
	a.write(w)
}

// answerNotice takes a leave or a disconnect. The first leave of a topic room:retry… fails.
func (b *backend) answerNotice(w http.ResponseWriter, c call) {
	if strings.HasPrefix(c.Data.Topic, "room:retry") && len(b.seen(c.Data.Topic, leaves)) == 1 {
		fail(w)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// presence returns {"key":<key>,"meta":<meta>}, or without the meta if it is nil.
func presence(key, meta json.RawMessage) json.RawMessage {
	if meta == nil {
		return wrap("key", key)
	}
	return fmt.Appendf(nil, `{"key":%s,"meta":%s}`, key, meta)
}

// wrap returns {"<name>":<value>}.
func wrap(name string, value json.RawMessage) json.RawMessage {
	if value == nil {
		value = json.RawMessage("null")
	}
	return fmt.Appendf(nil, `{%q:%s}`, name, value)
}

// answerBadly answers as no backend should.
func answerBadly(w http.ResponseWriter, r *http.Request, how string) {
	switch how {
	case "html":
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<!doctype html><title>Sign in</title>")
	case "empty":
		w.WriteHeader(http.StatusOK)
	case "nothing": // the connection ends without an answer
		panic(http.ErrAbortHandler)
	case "half": // the answer ends before its length
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, `{"status":"ok"`)
	case "array":
		io.WriteString(w, `["ok"]`)
	case "huge": // 100 MB of JSON
		io.WriteString(w, `{"status":"ok","response":"`)
		chunk := bytes.Repeat([]byte("a"), 1<<20)
		for range 100 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
		io.WriteString(w, `"}`)
	case "late": // until the gateway's deadline has passed
		<-r.Context().Done()
	}
}
