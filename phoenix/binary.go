package phoenix

import (
	"errors"
	"unicode/utf8"
)

// The kinds of binary frames, which only V2 has.
const (
	kindPush      = 0
	kindReply     = 1
	kindBroadcast = 2
)

// ErrTooLong means that a field is longer than the 255 bytes a binary frame can say.
var ErrTooLong = errors.New("phoenix: field is longer than 255 bytes, which a binary frame cannot carry")

// decodeBinary reads a client's push: 00, four sizes, join_ref, ref, topic, event, data. A ref of size 0 is the empty
// string and not null, as in Phoenix.
func decodeBinary(frame []byte) (Message, error) {
	if len(frame) < 5 || frame[0] != kindPush {
		return Message{}, ErrMalformed
	}
	var fields [4][]byte
	rest := frame[5:]
	for i := range fields {
		size := int(frame[1+i])
		if len(rest) < size || !utf8.Valid(rest[:size]) {
			return Message{}, ErrMalformed
		}
		fields[i], rest = rest[:size], rest[size:]
	}
	return Message{
		JoinRef: StringRef(fields[0]),
		Ref:     StringRef(fields[1]),
		Topic:   intern(fields[2]),
		Event:   intern(fields[3]),
		Payload: rest,
		Binary:  true,
	}, nil
}

// AppendBinaryPush appends a binary push to one client. It has no ref. The error is [ErrTooLong]; dst is returned as it was.
func AppendBinaryPush(dst []byte, joinRef Ref, topic, event string, data []byte) ([]byte, error) {
	return appendBinary(dst, kindPush, data, joinRef.text(), topic, event)
}

// AppendBinaryReply appends a binary reply. The error is [ErrTooLong]; dst is returned as it was.
func AppendBinaryReply(dst []byte, joinRef, ref Ref, topic, status string, data []byte) ([]byte, error) {
	return appendBinary(dst, kindReply, data, joinRef.text(), ref.text(), topic, status)
}

// AppendBinaryBroadcast appends a binary broadcast. The error is [ErrTooLong]; dst is returned as it was.
func AppendBinaryBroadcast(dst []byte, topic, event string, data []byte) ([]byte, error) {
	return appendBinary(dst, kindBroadcast, data, topic, event)
}

func appendBinary(dst []byte, kind byte, data []byte, fields ...string) ([]byte, error) {
	for _, f := range fields {
		if len(f) > 255 {
			return dst, ErrTooLong
		}
	}
	dst = append(dst, kind)
	for _, f := range fields {
		dst = append(dst, byte(len(f)))
	}
	for _, f := range fields {
		dst = append(dst, f...)
	}
	return append(dst, data...), nil
}
