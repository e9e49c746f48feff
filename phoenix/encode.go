package phoenix

import "roost/internal/rawjson"

// Statuses of a reply. A backend may send others; clients ignore those they do not know.
const (
	StatusOK    = "ok"
	StatusError = "error"
)

// AppendMessage appends a text frame. In V1 there is no join_ref. An empty payload is {}.
func (v Version) AppendMessage(dst []byte, joinRef, ref Ref, topic, event string, payload []byte) []byte {
	if v == V1 {
		dst = append(dst, `{"topic":`...)
		dst = rawjson.AppendString(dst, topic)
		dst = appendEvent(dst, v, event)
		dst = appendPayload(dst, payload)
		return appendTail(dst, ref)
	}
	dst = appendHead(dst, joinRef, ref)
	dst = rawjson.AppendString(dst, topic)
	dst = appendEvent(dst, v, event)
	dst = appendPayload(dst, payload)
	return append(dst, ']')
}

// AppendReply appends the text frame that answers ref. An empty response is {}.
func (v Version) AppendReply(dst []byte, joinRef, ref Ref, topic, status string, response []byte) []byte {
	if v == V1 {
		dst = append(dst, `{"topic":`...)
	} else {
		dst = appendHead(dst, joinRef, ref)
	}
	dst = rawjson.AppendString(dst, topic)
	return appendReply(dst, v, ref, status, response)
}

// AppendUnmatched appends the answer to a message for a topic that is not joined or that no rule names. Its join_ref is
// null, and its topic is whatever the client wrote.
func (v Version) AppendUnmatched(dst []byte, m *Message) []byte {
	if v == V1 {
		dst = append(dst, `{"topic":`...)
	} else {
		dst = appendHead(dst, "", m.Ref)
	}
	if m.NoTopic != nil {
		dst = append(dst, m.NoTopic...)
	} else {
		dst = rawjson.AppendString(dst, m.Topic)
	}
	return appendReply(dst, v, m.Ref, StatusError, []byte(`{"reason":"unmatched topic"}`))
}

// AppendBroadcast appends what every member of topic gets: no refs.
func (v Version) AppendBroadcast(dst []byte, topic, event string, payload []byte) []byte {
	return v.AppendMessage(dst, "", "", topic, event, payload)
}

// AppendClose appends phx_close for the channel joined with joinRef, which is its ref, too.
func (v Version) AppendClose(dst []byte, joinRef Ref, topic string) []byte {
	return v.AppendMessage(dst, joinRef, joinRef, topic, EventClose, nil)
}

// AppendError appends phx_error for the channel joined with joinRef, which is its ref, too. Clients join again.
func (v Version) AppendError(dst []byte, joinRef Ref, topic string) []byte {
	return v.AppendMessage(dst, joinRef, joinRef, topic, EventError, []byte(`{"reason":"channel_crash"}`))
}

// appendHead appends the beginning of a V2 array up to the topic.
func appendHead(dst []byte, joinRef, ref Ref) []byte {
	dst = append(dst, '[')
	dst = appendRef(dst, joinRef)
	dst = append(dst, ',')
	dst = appendRef(dst, ref)
	return append(dst, ',')
}

// appendReply appends all of a reply that stands behind its topic.
func appendReply(dst []byte, v Version, ref Ref, status string, response []byte) []byte {
	dst = appendEvent(dst, v, EventReply)
	dst = append(dst, `{"status":`...)
	dst = rawjson.AppendString(dst, status)
	dst = append(dst, `,"response":`...)
	dst = appendPayload(dst, response)
	dst = append(dst, '}')
	if v == V1 {
		return appendTail(dst, ref)
	}
	return append(dst, ']')
}

func appendEvent(dst []byte, v Version, event string) []byte {
	if v == V1 {
		dst = append(dst, `,"event":`...)
		dst = rawjson.AppendString(dst, event)
		return append(dst, `,"payload":`...)
	}
	dst = append(dst, ',')
	dst = rawjson.AppendString(dst, event)
	return append(dst, ',')
}

func appendTail(dst []byte, ref Ref) []byte {
	dst = append(dst, `,"ref":`...)
	dst = appendRef(dst, ref)
	return append(dst, '}')
}

func appendRef(dst []byte, r Ref) []byte {
	if r == "" {
		return append(dst, "null"...)
	}
	return append(dst, r...)
}

func appendPayload(dst, payload []byte) []byte {
	if len(payload) == 0 {
		return append(dst, '{', '}')
	}
	return append(dst, payload...)
}
