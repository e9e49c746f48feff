package conformance_test

import (
	"encoding/json"
	"net/http"
	"strings"
)

// answerPush answers the events of the fixture. Others crash.
func answerPush(w http.ResponseWriter, r *http.Request, c call) {
	payload, data := c.Data.Payload, c.Data.PayloadBase64
	if how, ok := strings.CutPrefix(c.Data.Event, "bad_"); ok {
		answerBadly(w, r, how)
		return
	}
	if a, ok := binaryAnswer(c.Data.Event, data); ok {
		a.write(w)
		return
	}
	ok := answer{Status: "ok", Response: payload}
	var a answer
	switch c.Data.Event {
	case "ok", "echo", "phx_close", "phx_error", "phx_reply":
		a = ok
	case "error":
		a = answer{Status: "error", Response: payload}
	case "custom_status":
		a = answer{Status: "weird", Response: payload}
	case "noreply":
	case "push":
		a = answer{Push: []event{{Event: "pushed", Payload: payload}}}
	case "bcast":
		a = answer{Status: "ok", Broadcast: []event{{Event: "bcast", Payload: payload}}}
	case "bcast_from":
		a = answer{Status: "ok", Broadcast: []event{{Event: "bcast_from", Payload: payload, From: true}}}
	case "bcast_to": // the payload is the topic
		var topic string
		json.Unmarshal(payload, &topic)
		a = answer{Status: "ok", Broadcast: []event{{Event: "bcast", Topic: topic}}}
	case "all": // everything at once, to see the order
		a = answer{Status: "ok", Response: payload, Stop: "close",
			Push:      []event{{Event: "p1"}, {Event: "p2", Ref: json.RawMessage(`"77"`)}},
			Broadcast: []event{{Event: "b1"}, {Event: "b2"}}}
	case "remember":
		a = answer{Status: "ok", Assigns: payload}
	case "pres_track", "pres_update": // the payload is what presence says
		a = answer{Status: "ok", Presence: payload}
	case "pres_untrack":
		a = answer{Status: "ok", Presence: json.RawMessage("null")}
	case "recall":
		a = answer{Status: "ok", Response: c.Data.Assigns}
	case "stop_normal":
		a = answer{Stop: "close"}
	case "stop_reply":
		a = ok
		a.Stop = "close"
	case "stop_error", "exit_normal":
		a = answer{Stop: "error"}
	case "stop_error_reply":
		a = answer{Status: "error", Response: payload, Stop: "error"}
	case "refuse_401", "refuse_403", "refuse_409":
		w.WriteHeader(map[string]int{"refuse_401": 401, "refuse_403": 403, "refuse_409": 409}[c.Data.Event])
		w.Write(payload)
		return
	default: // boom, too
		fail(w)
		return
	}
	a.write(w)
}

// binaryAnswer answers the events that answer with bytes.
func binaryAnswer(name string, data []byte) (answer, bool) {
	switch name {
	case "bin":
		return answer{Status: "ok", ResponseBase64: append(data, 3, 4), Push: []event{{Event: "bin_push", PayloadBase64: []byte{0, 1}}}}, true
	case "bin_err":
		return answer{Status: "error", ResponseBase64: []byte{7}}, true
	case "bin_bcast":
		return answer{Status: "ok", Broadcast: []event{{Event: "bin_bcast", PayloadBase64: data}}}, true
	}
	return answer{}, false
}

// What a test may look for among the calls.

func connects(c call) bool    { return c.Type == "socket.connect" }
func disconnects(c call) bool { return c.Type == "socket.disconnect" }
func joins(c call) bool       { return c.Type == "channel.join" }
func leaves(c call) bool      { return c.Type == "channel.leave" }

// pushes matches the pushes of an event.
func pushes(name string) func(call) bool {
	return func(c call) bool { return c.Type == "channel.push" && c.Data.Event == name }
}
