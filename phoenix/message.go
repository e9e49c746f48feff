package phoenix

import (
	"errors"

	"roost/internal/rawjson"
)

// Reserved names. Only topic phoenix with event heartbeat, and the events phx_join and phx_leave, mean something when
// a client sends them.
const (
	TopicPhoenix   = "phoenix"
	EventHeartbeat = "heartbeat"
	EventJoin      = "phx_join"
	EventLeave     = "phx_leave"
	EventReply     = "phx_reply"
	EventClose     = "phx_close"
	EventError     = "phx_error"
)

// ErrMalformed means that a client's frame is not a message. Phoenix answers it by closing with 1011.
var ErrMalformed = errors.New("phoenix: not a message")

// Message is what a client sent. Payload is a part of the decoded frame: copy it to keep it.
type Message struct {
	JoinRef Ref
	Ref     Ref
	Topic   string
	Event   string
	Payload []byte // JSON as it was sent, or the data of a binary push
	Binary  bool   // Payload is data, not JSON

	// NoTopic is the topic's JSON if it is not a string; Topic is empty then. Such a message matches no channel.
	NoTopic []byte
	// NoEvent says that the event is not a string; Event is empty then.
	NoEvent bool
}

// IsHeartbeat tells whether m asks for a sign of life. Its payload and join_ref do not matter.
func (m *Message) IsHeartbeat() bool {
	return m.Event == EventHeartbeat && m.Topic == TopicPhoenix
}

// Decode reads one frame of a client. The frame must be valid UTF-8 where it is text. The error is [ErrMalformed].
func (v Version) Decode(frame []byte, binary bool) (Message, error) {
	switch {
	case v == V1:
		return decodeV1(frame)
	case binary:
		return decodeBinary(frame)
	default:
		return decodeV2(frame)
	}
}

// setName reads a topic or event. Anything but a string has no text.
func setName(raw []byte) (text string, ok bool, err error) {
	if raw[0] != '"' {
		return "", false, nil
	}
	name, err := rawjson.Unquote(raw)
	if err != nil {
		return "", false, ErrMalformed
	}
	return intern(name), true, nil
}

// setRef reads a ref.
func setRef(raw []byte) (Ref, error) {
	if len(raw) > MaxRefSize {
		return "", ErrMalformed
	}
	if string(raw) == "null" {
		return "", nil
	}
	return Ref(raw), nil
}

// intern returns b as a string, without allocating for the reserved names.
func intern(b []byte) string {
	switch string(b) {
	case TopicPhoenix:
		return TopicPhoenix
	case EventHeartbeat:
		return EventHeartbeat
	case EventJoin:
		return EventJoin
	case EventLeave:
		return EventLeave
	}
	return string(b)
}

// set fills m from the bytes of its five fields. A nil joinRef is null.
func (m *Message) set(joinRef, ref, topic, event, payload []byte) (err error) {
	if joinRef != nil {
		if m.JoinRef, err = setRef(joinRef); err != nil {
			return err
		}
	}
	if m.Ref, err = setRef(ref); err != nil {
		return err
	}
	var ok bool
	if m.Topic, ok, err = setName(topic); err != nil {
		return err
	}
	if !ok {
		m.NoTopic = topic
	}
	if m.Event, ok, err = setName(event); err != nil {
		return err
	}
	m.NoEvent = !ok
	m.Payload = payload
	return nil
}
