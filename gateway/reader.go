package gateway

import (
	"encoding/binary"
	"unicode/utf8"
)

// frameReader takes a client's bytes apart into messages (RFC 6455, section 5). It holds memory only for what is
// incomplete.
type frameReader struct {
	rest    []byte // an incomplete frame
	message []byte // the fragments of an incomplete message
	opcode  byte   // of the incomplete message, 0 if there is none
	deflate bool   // permessage-deflate was negotiated
	packed  bool   // the incomplete message is deflated
}

// violation is a breach by the client, as the close code that answers it. 0 is none.
type violation uint16

// frameSink takes what a frameReader finds. The bytes are good for the call only.
type frameSink interface {
	// message takes a whole data message.
	message(binary bool, body []byte) violation
	// control takes a control frame; done ends the reading.
	control(op byte, body []byte) (v violation, done bool)
}

// frameHead is a decoded frame header.
type frameHead struct {
	first  byte
	size   int // of the body
	length int // of the header
}

// head reads the header that data begins with. length is 0 if it is incomplete.
func (r *frameReader) head(data []byte, limit int) (h frameHead, v violation) {
	if len(data) < 2 {
		return h, 0
	}
	h.first = data[0]
	op := h.first & bitsOpcode
	control := op >= opClose
	reserved := h.first & bitsReserved
	if r.deflate && !control && op != opContinuation {
		reserved &^= bitDeflated
	}
	if reserved != 0 || data[1]&bitMasked == 0 || op > opPong || op > opBinary && op < opClose {
		return h, closeProtocolError
	}
	if (op == opContinuation) != (r.opcode != 0) && !control {
		return h, closeProtocolError
	}
	length, size := 6, uint64(data[1]&bitsLength)
	if control && (size > 125 || h.first&bitFin == 0) {
		return h, closeProtocolError
	}
	switch size {
	case lengthIs16Bit:
		if length += 2; len(data) < length {
			return h, 0
		}
		size = uint64(binary.BigEndian.Uint16(data[2:]))
	case lengthIs64Bit:
		if length += 8; len(data) < length {
			return h, 0
		}
		size = binary.BigEndian.Uint64(data[2:])
	}
	if size > uint64(limit) || !control && int(size)+len(r.message) > limit {
		return h, closeTooLarge
	}
	if len(data) < length {
		return h, 0
	}
	h.size, h.length = int(size), length
	return h, 0
}

// feed takes data, which it may change, and hands whole messages to sink. limit bounds a message, before and after
// inflation.
func (r *frameReader) feed(data []byte, limit int, sink frameSink) (v violation, done bool) {
	fresh := len(r.rest) == 0
	if !fresh {
		r.rest = append(r.rest, data...)
		data = r.rest
	}
	for len(data) > 0 {
		h, v := r.head(data, max(limit, 125))
		if v != 0 {
			return v, true
		}
		if h.length == 0 || len(data)-h.length < h.size {
			break
		}
		body := data[h.length : h.length+h.size]
		unmask(body, [4]byte(data[h.length-4:]))
		data = data[h.length+h.size:]
		if v, done := r.frame(h, body, limit, sink); v != 0 || done {
			return v, true
		}
	}
	switch {
	case len(data) == 0:
		r.rest = nil
	case fresh || cap(r.rest) > 4*len(data):
		r.rest = append([]byte(nil), data...)
	default:
		r.rest = r.rest[:copy(r.rest, data)]
	}
	return 0, false
}

// frame takes one whole frame.
func (r *frameReader) frame(h frameHead, body []byte, limit int, sink frameSink) (violation, bool) {
	op := h.first & bitsOpcode
	if op >= opClose {
		return sink.control(op, body)
	}
	if op != opContinuation {
		r.opcode, r.packed = op, h.first&bitDeflated != 0
		if h.first&bitFin != 0 {
			return r.whole(body, limit, sink), false
		}
	}
	r.message = append(r.message, body...)
	if h.first&bitFin == 0 {
		return 0, false
	}
	return r.whole(r.message, limit, sink), false
}

// whole hands over a message that is complete.
func (r *frameReader) whole(body []byte, limit int, sink frameSink) violation {
	op := r.opcode
	r.opcode, r.message = 0, nil
	if r.packed {
		var v violation
		if body, v = inflate(body, limit); v != 0 {
			return v
		}
	}
	if op == opText && !utf8.Valid(body) {
		return closeInvalidData
	}
	return sink.message(op == opBinary, body)
}

// unmask takes the mask off body, eight bytes at a time.
func unmask(body []byte, key [4]byte) {
	k := uint64(binary.LittleEndian.Uint32(key[:]))
	if k == 0 {
		return
	}
	k |= k << 32
	for len(body) >= 8 {
		binary.LittleEndian.PutUint64(body, binary.LittleEndian.Uint64(body)^k)
		body = body[8:]
	}
	for i := range body {
		body[i] ^= key[i&3]
	}
}
