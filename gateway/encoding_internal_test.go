package gateway

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"roost/hub"
	"roost/phoenix"
)

// unframe takes the first frame off data.
func unframe(t *testing.T, data []byte) (first byte, body, rest []byte) {
	t.Helper()
	if len(data) < 2 || data[1]&bitMasked != 0 {
		t.Fatalf("got % .20x, want an unmasked frame", data)
	}
	head, size := 2, int(data[1])
	switch size {
	case lengthIs16Bit:
		head, size = 4, int(binary.BigEndian.Uint16(data[2:]))
		if size < lengthIs16Bit {
			t.Errorf("got a long header for %d bytes, want a short one", size)
		}
	case lengthIs64Bit:
		head, size = 10, int(binary.BigEndian.Uint64(data[2:]))
		if size <= 0xffff {
			t.Errorf("got the longest header for %d bytes, want a shorter one", size)
		}
	}
	return data[0], data[head : head+size], data[head+size:]
}

func TestFrameSizes(t *testing.T) {
	var stream []byte
	sizes := []int{0, 1, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537}
	body := func(size int) []byte { return bytes.Repeat([]byte{byte(size)}, size) }
	for _, size := range sizes { // one behind the other, as in a batch
		start := len(stream)
		stream = endFrame(append(beginFrame(stream), body(size)...), start, bitFin|opBinary)
	}
	for _, size := range sizes {
		first, got, rest := unframe(t, stream)
		if first != bitFin|opBinary || !bytes.Equal(got, body(size)) {
			t.Fatalf("got frame %x of %d bytes, want %d bytes as they were", first, len(got), size)
		}
		stream = rest
	}
}

// A batch is one piece for each kind of connection, in order, and nothing where a kind cannot be sent a broadcast.
func TestBatchInEveryEncoding(t *testing.T) {
	long := `{"x":"` + strings.Repeat("y", 70_000) + `"}`
	batch := []*hub.Broadcast{
		{Topic: "a", Event: "one", Payload: []byte(`{"n": 1}`)},
		{Topic: "a", Event: "data", Payload: []byte{1, 2}, Binary: true},
		{Topic: "a", Event: "two", Payload: []byte(long)},
		{Topic: strings.Repeat("t", 256), Event: "data", Binary: true},
		{Topic: "a", Event: "three"},
	}
	texts := map[phoenix.Version][]string{
		phoenix.V1: {`{"topic":"a","event":"one","payload":{"n": 1},"ref":null}`, "", `{"topic":"a","event":"two","payload":` + long + `,"ref":null}`, "", `{"topic":"a","event":"three","payload":{},"ref":null}`},
		phoenix.V2: {`[null,null,"a","one",{"n": 1}]`, "\x02\x01\x04adata\x01\x02", `[null,null,"a","two",` + long + `]`, "", `[null,null,"a","three",{}]`},
	}
	for version, want := range texts {
		for _, f := range []framing{framed, framedDeflated} {
			e := &encoding{version: version, framing: f, metrics: newMetrics(nil, nil)}
			stream := (&hub.Batch{Broadcasts: batch}).Encode(e)
			for _, text := range want {
				if text == "" {
					continue
				}
				var first byte
				var body []byte
				first, body, stream = unframe(t, stream)
				if deflated := first&bitDeflated != 0; deflated != (f == framedDeflated && len(text) >= deflateFrom) {
					t.Errorf("%d bytes: got a deflated frame: %t", len(text), deflated)
				} else if deflated {
					var v violation
					if body, v = inflate(body, 1<<20); v != 0 {
						t.Fatalf("got a frame that cannot be inflated: %d", v)
					}
				}
				if string(body) != text {
					t.Fatalf("got %.80q, want %.80q", body, text)
				}
			}
			if len(stream) != 0 {
				t.Errorf("got %d bytes more, want none", len(stream))
			}
		}
	}
}

// One broadcast for 1000 connections of the same kind.
func BenchmarkEncodeOnce(b *testing.B) {
	list := []*hub.Broadcast{{Topic: "room:lobby", Event: "new_msg", Payload: []byte(`{"user":"bob","body":"hello"}`)}}
	for name, f := range map[string]framing{"plain": framed, "deflated": framedDeflated} {
		e := &encoding{version: phoenix.V2, framing: f, metrics: newMetrics(nil, nil)}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				batch := hub.Batch{Broadcasts: list}
				for range 1000 {
					batch.Encode(e)
				}
			}
		})
	}
}
