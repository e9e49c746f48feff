package hub

import (
	"encoding/base64"
	"unicode/utf8"

	"roost/internal/rawjson"
)

// Events that mean something to the gateway when they are published.
const (
	eventClose      = "phx_close"
	eventError      = "phx_error"
	eventDisconnect = "disconnect"

	eventPresenceState = "presence_state"
	eventPresenceDiff  = "presence_diff"
	eventPresenceCount = "presence_count"
)

// envelope is a published body: see docs/protocol.md.
type envelope struct {
	event, topic, except, origin string
	payload                      []byte
	binary                       bool
	presence                     []byte // a change of the topic's presence
}

// decode reads body, or returns why it means nothing.
func (e *envelope) decode(body []byte) (reason string) {
	if !utf8.Valid(body) {
		return "not_utf8"
	}
	var payload, data []byte
	err := rawjson.Object(body, func(key, value []byte) error {
		if string(value) == "null" {
			return nil // as if it were not there
		}
		var text *string
		switch string(key) {
		case "event":
			text = &e.event
		case "topic":
			text = &e.topic
		case "except":
			text = &e.except
		case "origin":
			text = &e.origin
		case "payload":
			payload = value
		case "presence":
			e.presence = value
		case "payload_base64":
			data = value
		}
		if text != nil {
			s, err := rawjson.Unquote(value)
			if err != nil {
				reason = "not_a_string"
			}
			*text = string(s)
		}
		return nil
	})
	switch {
	case err != nil:
		return "not_json"
	case reason != "":
		return reason
	case e.event == "":
		return "no_event"
	case data != nil && payload != nil:
		return "two_payloads"
	case data != nil:
		return e.decodeData(data)
	case payload != nil && !rawjson.IsObject(payload):
		return "payload_not_an_object"
	}
	e.payload = payload
	return ""
}

func (e *envelope) decodeData(raw []byte) (reason string) {
	text, err := rawjson.Unquote(raw)
	if err != nil {
		return "bad_base64"
	}
	e.binary = true
	e.payload = make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(e.payload, text)
	if err != nil {
		return "bad_base64"
	}
	e.payload = e.payload[:n]
	return ""
}

// append writes e as the body of a publish.
func (e *envelope) append(dst []byte) []byte {
	dst = append(dst, `{"event":`...)
	dst = rawjson.AppendString(dst, e.event)
	field := func(name, value string) {
		if value != "" {
			dst = append(append(append(dst, `,"`...), name...), `":`...)
			dst = rawjson.AppendString(dst, value)
		}
	}
	field("topic", e.topic)
	field("except", e.except)
	field("origin", e.origin)
	switch {
	case e.binary:
		dst = append(dst, `,"payload_base64":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, e.payload)
		dst = append(dst, '"')
	case len(e.payload) > 0:
		dst = append(dst, `,"payload":`...)
		dst = append(dst, e.payload...)
	}
	return append(dst, '}')
}

// decodeBroadcast reads what was published to a topic. control says that it ends the channels of all members.
func decodeBroadcast(body []byte) (b *Broadcast, control bool, origin, reason string) {
	var e envelope
	if reason = e.decode(body); reason != "" {
		return nil, false, "", reason
	}
	if e.presence != nil {
		return &Broadcast{Event: eventPresenceDiff, presence: e.presence}, false, "", ""
	}
	b = &Broadcast{Event: e.event, Payload: e.payload, Binary: e.binary, Except: e.except, size: len(body)}
	return b, e.event == eventClose || e.event == eventError, e.origin, ""
}
