package gateway

import "encoding/binary"

// WebSocket opcodes (RFC 6455, section 5.2).
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
)

// Bits of a frame's first two bytes.
const (
	bitFin        = 0x80
	bitDeflated   = 0x40
	bitsReserved  = 0x70
	bitsOpcode    = 0x0f
	bitMasked     = 0x80
	bitsLength    = 0x7f
	lengthIs16Bit = 126
	lengthIs64Bit = 127
)

// Close codes (RFC 6455, section 7.4). 1000 is never sent first: some clients do not come back after it.
const (
	closeNone          = 0 // no close frame: the connection is gone
	closeGoingAway     = 1001
	closeProtocolError = 1002
	closeNoStatus      = 1005 // a close frame without a code
	closeInvalidData   = 1007
	closePolicy        = 1008
	closeTooLarge      = 1009
	closeInternalError = 1011
	closeRestart       = 1012
	closeTryLater      = 1013
)

// headRoom is how many bytes beginFrame leaves for the header; endFrame moves the body if it guessed wrong.
const headRoom = 4

// beginFrame makes room for a header behind dst. The body is to be appended.
func beginFrame(dst []byte) []byte { return append(dst, 0, 0, 0, 0) }

// endFrame writes the header of the frame that began at dst[start]. Server frames are not masked.
func endFrame(dst []byte, start int, first byte) []byte {
	size := len(dst) - start - headRoom
	switch {
	case size < lengthIs16Bit:
		dst[start], dst[start+1] = first, byte(size)
		copy(dst[start+2:], dst[start+headRoom:])
		return dst[:len(dst)-2]
	case size <= 0xffff:
		dst[start], dst[start+1] = first, lengthIs16Bit
		binary.BigEndian.PutUint16(dst[start+2:], uint16(size))
		return dst
	default:
		dst = append(dst, 0, 0, 0, 0, 0, 0)
		copy(dst[start+10:], dst[start+headRoom:start+headRoom+size])
		dst[start], dst[start+1] = first, lengthIs64Bit
		binary.BigEndian.PutUint64(dst[start+2:], uint64(size))
		return dst
	}
}

// controlFrame returns a control frame with a body of up to 125 bytes.
func controlFrame(op byte, body []byte) []byte {
	return append([]byte{bitFin | op, byte(len(body))}, body...)
}

// closeFrame returns a close frame. Its reason is empty, as with Phoenix.
func closeFrame(code uint16) []byte {
	if code == closeNoStatus {
		return controlFrame(opClose, nil)
	}
	return controlFrame(opClose, binary.BigEndian.AppendUint16(nil, code))
}

// isCloseCode tells whether a client may send code in a close frame.
func isCloseCode(code uint16) bool {
	return code >= 1000 && code <= 1014 && code != 1004 && code != closeNoStatus && code != 1006 || code >= 3000 && code < 5000
}
