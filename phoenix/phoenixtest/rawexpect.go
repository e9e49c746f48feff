package phoenixtest

import (
	"bytes"
	"encoding/binary"
)

// Want fails the test unless the next frame is an uncompressed one with that opcode and payload. The payload of a text
// frame is compared as JSON.
func (r *Raw) Want(opcode byte, payload string) {
	r.tb.Helper()
	f, err := r.Read()
	if err != nil {
		r.tb.Fatalf("got %v, want frame %d %s", err, opcode, payload)
	}
	same := bytes.Equal(f.Payload, []byte(payload))
	if opcode == OpText {
		same = Same(Message{Data: f.Payload}, payload)
	}
	if f.Opcode != opcode || f.More || f.Compressed || !same {
		r.tb.Fatalf("got  frame %d (more %t, compressed %t) %.500q\nwant frame %d %.500q",
			f.Opcode, f.More, f.Compressed, f.Payload, opcode, payload)
	}
}

// WantClose fails the test unless the next frame closes with code and without a reason.
func (r *Raw) WantClose(code int) {
	r.tb.Helper()
	f, err := r.Read()
	if err != nil {
		r.tb.Fatalf("got %v, want close %d", err, code)
	}
	if want := binary.BigEndian.AppendUint16(nil, uint16(code)); f.Opcode != OpClose || !bytes.Equal(f.Payload, want) {
		r.tb.Fatalf("got frame %d %.200q, want close %d without a reason", f.Opcode, f.Payload, code)
	}
}
