package gateway

import (
	"slices"

	"roost/hub"
	"roost/internal/rawjson"
	"roost/phoenix"
)

// framing is what is around a message on its way to the client.
type framing uint8

const (
	framed         framing = iota // WebSocket frames
	framedDeflated                // WebSocket frames with permessage-deflate
	quoted                        // JSON strings, separated by commas, as long-poll answers hold them
	framings
)

// encoding writes messages in one version and framing. Connections share the few there are, so that a broadcast is written
// once for all of the same kind.
type encoding struct {
	version phoenix.Version
	framing framing
	metrics *metrics
}

// textOnly tells whether clients of this kind cannot be sent binary messages.
func (e *encoding) textOnly() bool { return e.version == phoenix.V1 || e.framing == quoted }

var _ hub.Encoding = (*encoding)(nil)

// AppendBroadcast implements [hub.Encoding].
func (e *encoding) AppendBroadcast(dst []byte, b *hub.Broadcast) []byte {
	start := len(dst)
	dst = beginFrame(dst)
	if !b.Binary {
		return e.end(e.version.AppendBroadcast(dst, b.Topic, b.Event, b.Payload), start, opText)
	}
	if e.textOnly() {
		e.metrics.undeliverable.WithLabelValues("binary").Inc()
		return dst[:start]
	}
	dst, err := phoenix.AppendBinaryBroadcast(dst, b.Topic, b.Event, b.Payload)
	if err != nil {
		e.metrics.undeliverable.WithLabelValues("field_too_long").Inc()
		return dst[:start]
	}
	return e.end(dst, start, opBinary)
}

// reply answers ref.
func (e *encoding) reply(joinRef, ref phoenix.Ref, topic, status string, response []byte) []byte {
	dst := beginFrame(make([]byte, 0, 64+len(topic)+len(response)))
	return e.end(e.version.AppendReply(dst, joinRef, ref, topic, status, response), 0, opText)
}

// binaryReply answers ref with data. A client that cannot be sent it gets an error reply.
func (e *encoding) binaryReply(joinRef, ref phoenix.Ref, topic, status string, data []byte) []byte {
	if e.textOnly() {
		e.metrics.undeliverable.WithLabelValues("binary").Inc()
		return e.reply(joinRef, ref, topic, phoenix.StatusError, []byte(`{"reason":"binary replies need a WebSocket and vsn 2.0.0"}`))
	}
	dst, err := phoenix.AppendBinaryReply(beginFrame(nil), joinRef, ref, topic, status, data)
	if err != nil {
		e.metrics.undeliverable.WithLabelValues("field_too_long").Inc()
		return e.reply(joinRef, ref, topic, phoenix.StatusError, []byte(`{"reason":"binary replies need fields of at most 255 bytes"}`))
	}
	return e.end(dst, 0, opBinary)
}

// unmatched answers a message for a topic that is not there.
func (e *encoding) unmatched(m *phoenix.Message) []byte {
	return e.end(e.version.AppendUnmatched(beginFrame(nil), m), 0, opText)
}

// push writes an event for one member, or nothing if it cannot be sent it.
func (e *encoding) push(joinRef, ref phoenix.Ref, topic, event string, payload []byte, binary bool) []byte {
	dst := beginFrame(make([]byte, 0, 64+len(topic)+len(event)+len(payload)))
	if !binary {
		return e.end(e.version.AppendMessage(dst, joinRef, ref, topic, event, payload), 0, opText)
	}
	if e.textOnly() {
		e.metrics.undeliverable.WithLabelValues("binary").Inc()
		return nil
	}
	dst, err := phoenix.AppendBinaryPush(dst, joinRef, topic, event, payload)
	if err != nil {
		e.metrics.undeliverable.WithLabelValues("field_too_long").Inc()
		return nil
	}
	return e.end(dst, 0, opBinary)
}

// farewell tells that the channel joined with joinRef has ended: with phx_error if crash is set, else with phx_close.
func (e *encoding) farewell(joinRef phoenix.Ref, topic string, crash bool) []byte {
	if crash {
		return e.end(e.version.AppendError(beginFrame(nil), joinRef, topic), 0, opText)
	}
	return e.end(e.version.AppendClose(beginFrame(nil), joinRef, topic), 0, opText)
}

// join returns two messages as one piece.
func (e *encoding) join(a, b []byte) []byte {
	if e.framing == quoted {
		a = append(a, ',')
	}
	return append(a, b...)
}

// end finishes the message that began at dst[start].
func (e *encoding) end(dst []byte, start int, op byte) []byte {
	body := dst[start+headRoom:]
	if e.framing == quoted {
		body = slices.Clone(body)
		if dst = dst[:start]; start > 0 {
			dst = append(dst, ',')
		}
		return rawjson.AppendString(dst, body)
	}
	if e.framing == framed || len(body) < deflateFrom {
		return endFrame(dst, start, bitFin|op)
	}
	packed := appendDeflated(nil, body)
	dst = append(dst[:start+headRoom], packed...)
	return endFrame(dst, start, bitFin|bitDeflated|op)
}
