package gateway

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// found is what a frameReader handed over, and how it ended.
type found struct {
	events []string
	v      violation
	done   bool
}

// ledger writes down what a frameReader finds. A close frame ends the reading.
type ledger []string

func (l *ledger) message(binary bool, body []byte) violation {
	*l = append(*l, fmt.Sprintf("message %t %q", binary, body))
	return 0
}

func (l *ledger) control(op byte, body []byte) (violation, bool) {
	*l = append(*l, fmt.Sprintf("control %x %q", op, body))
	return 0, op == opClose
}

// readIn feeds data in chunks of these sizes, over and over, and fails the test if the reader holds more than it may.
func readIn(tb testing.TB, data []byte, limit int, deflate bool, sizes ...int) found {
	tb.Helper()
	r := frameReader{deflate: deflate}
	var l ledger
	var f found
	data = slices.Clone(data) // feed unmasks in place
	for i := 0; len(data) > 0 && !f.done; i++ {
		n := min(max(sizes[i%len(sizes)], 1), len(data))
		f.v, f.done = r.feed(data[:n:n], limit, &l)
		clear(data[:n]) // the buffer is another's now
		data = data[n:]
		const header = 14
		if most := max(limit, 125) + header; !f.done && (len(r.rest) > most || cap(r.rest) > 4*(most+n)) {
			tb.Fatalf("got %d bytes (capacity %d) of an incomplete frame, want at most %d", len(r.rest), cap(r.rest), most)
		}
		if len(r.message) > max(limit, 125) {
			tb.Fatalf("got %d bytes of an incomplete message, want at most %d", len(r.message), limit)
		}
	}
	f.events = l
	return f
}

// clientFrame returns a frame as a client sends it.
func clientFrame(first byte, body string, key ...byte) []byte {
	out := []byte{first}
	switch n := len(body); {
	case n < 126:
		out = append(out, bitMasked|byte(n))
	case n <= 0xffff:
		out = binary.BigEndian.AppendUint16(append(out, bitMasked|lengthIs16Bit), uint16(n))
	default:
		out = binary.BigEndian.AppendUint64(append(out, bitMasked|lengthIs64Bit), uint64(n))
	}
	if len(key) == 0 {
		key = []byte{0x37, 0xfa, 0x21, 0x3d}
	}
	out = append(out, key...)
	for i := range len(body) {
		out = append(out, body[i]^key[i%4])
	}
	return out
}

func FuzzFrameReader(f *testing.F) {
	seed := func(parts ...[]byte) { f.Add(bytes.Join(parts, nil), []byte{1, 3, 200}, uint16(300), false) }
	seed(clientFrame(bitFin|opText, `[null,"1","phoenix","heartbeat",{}]`))
	seed(clientFrame(opText, "a"), clientFrame(bitFin|opPing, "p"), clientFrame(opContinuation, ""), clientFrame(bitFin|opContinuation, "b"))
	seed(clientFrame(bitFin|opBinary, strings.Repeat("x", 126)), clientFrame(bitFin|opClose, "\x03\xe8"))
	seed(clientFrame(bitFin|opText, strings.Repeat("x", 301)))
	seed([]byte{bitFin | opText, bitMasked | lengthIs64Bit, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add(clientFrame(bitFin|bitDeflated|opText, string(appendDeflated(nil, []byte(strings.Repeat("a", 400))))), []byte{2}, uint16(500), true)
	f.Add(clientFrame(bitFin|bitDeflated|opBinary, string(appendDeflated(nil, make([]byte, 5000)))), []byte{9}, uint16(500), true)
	f.Fuzz(func(t *testing.T, data, cuts []byte, limit uint16, deflate bool) {
		whole := readIn(t, data, int(limit), deflate, len(data))
		sizes := []int{1}
		for _, c := range cuts {
			sizes = append(sizes, int(c))
		}
		for _, s := range [][]int{{1}, sizes} {
			if split := readIn(t, data, int(limit), deflate, s...); fmt.Sprint(split) != fmt.Sprint(whole) {
				t.Errorf("split as %v: got %v\nwant as a whole %v", s, split, whole)
			}
		}
		for _, e := range whole.events {
			// Quoting makes bytes longer, never shorter.
			if strings.HasPrefix(e, "message") && len(e) > 4*max(int(limit), 125)+20 {
				t.Errorf("got a message of about %d bytes, want at most %d", len(e)/4, limit)
			}
		}
	})
}

func TestViolations(t *testing.T) {
	const limit = 1000
	long := func(first byte, size uint64) []byte {
		return append(binary.BigEndian.AppendUint64([]byte{first, bitMasked | lengthIs64Bit}, size), 1, 2, 3, 4)
	}
	text := clientFrame(bitFin|opText, "x")
	for name, c := range map[string]struct {
		data []byte
		want violation
	}{
		"an unmasked frame":                      {[]byte{bitFin | opText, 1, 'x'}, closeProtocolError},
		"the first reserved bit":                 {clientFrame(bitFin|0x40|opText, "x"), closeProtocolError},
		"the second reserved bit":                {clientFrame(bitFin|0x20|opText, "x"), closeProtocolError},
		"the third reserved bit":                 {clientFrame(bitFin|0x10|opText, "x"), closeProtocolError},
		"a reserved bit on a ping":               {clientFrame(bitFin|0x40|opPing, "x"), closeProtocolError},
		"opcode 3":                               {clientFrame(bitFin|3, "x"), closeProtocolError},
		"opcode 7":                               {clientFrame(bitFin|7, "x"), closeProtocolError},
		"opcode 11":                              {clientFrame(bitFin|11, "x"), closeProtocolError},
		"opcode 15":                              {clientFrame(bitFin|15, "x"), closeProtocolError},
		"a continuation of nothing":              {clientFrame(bitFin|opContinuation, "x"), closeProtocolError},
		"an open continuation of nothing":        {clientFrame(opContinuation, "x"), closeProtocolError},
		"a continuation behind a whole message":  {append(slices.Clone(text), clientFrame(opContinuation, "x")...), closeProtocolError},
		"a message inside a message":             {append(clientFrame(opText, "x"), text...), closeProtocolError},
		"a fragmented ping":                      {clientFrame(opPing, "x"), closeProtocolError},
		"a ping of 126 bytes":                    {clientFrame(bitFin|opPing, strings.Repeat("x", 126)), closeProtocolError},
		"a close frame of 126 bytes":             {clientFrame(bitFin|opClose, strings.Repeat("x", 126)), closeProtocolError},
		"text that is not UTF-8":                 {clientFrame(bitFin|opText, "\xff\xfe"), closeInvalidData},
		"text that ends inside a character":      {clientFrame(bitFin|opText, "\xe2\x82"), closeInvalidData},
		"fragments that are not UTF-8 as one":    {append(clientFrame(opText, "\xe2\x82"), clientFrame(bitFin|opContinuation, "x")...), closeInvalidData},
		"one byte too many":                      {clientFrame(bitFin|opText, strings.Repeat("x", limit+1)), closeTooLarge},
		"a header that tells of 64 KiB":          {long(bitFin|opText, 64<<10), closeTooLarge},
		"a header that tells of 2^63 bytes":      {long(bitFin|opText, 1<<63), closeTooLarge},
		"a header that tells of all bytes":       {long(bitFin|opText, 1<<64-1), closeTooLarge},
		"fragments that are too large as one":    {append(clientFrame(opText, strings.Repeat("x", limit)), clientFrame(opContinuation, "x")...), closeTooLarge},
		"deflated data that was not agreed upon": {clientFrame(bitFin|bitDeflated|opBinary, "x"), closeProtocolError},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{1, len(c.data)} {
				if f := readIn(t, c.data, limit, false, size); f.v != c.want || !f.done {
					t.Errorf("in chunks of %d: got violation %d (done %t), want %d", size, f.v, f.done, c.want)
				}
			}
		})
	}
}

func TestFragmentsAreOneMessage(t *testing.T) {
	const limit = 1000
	for name, c := range map[string]struct {
		data [][]byte
		want []string
	}{
		"a character cut in two":           {[][]byte{clientFrame(opText, "\xe2\x82"), clientFrame(bitFin|opContinuation, "\xac")}, []string{`message false "€"`}},
		"binary data that is not UTF-8":    {[][]byte{clientFrame(bitFin|opBinary, "\xff")}, []string{`message true "\xff"`}},
		"an empty message":                 {[][]byte{clientFrame(bitFin|opText, "")}, []string{`message false ""`}},
		"an empty message in three parts":  {[][]byte{clientFrame(opBinary, ""), clientFrame(opContinuation, ""), clientFrame(bitFin|opContinuation, "")}, []string{`message true ""`}},
		"a ping inside a message":          {[][]byte{clientFrame(opText, "a"), clientFrame(bitFin|opPing, "p"), clientFrame(bitFin|opContinuation, "b")}, []string{`control 9 "p"`, `message false "ab"`}},
		"exactly as much as the limit":     {[][]byte{clientFrame(bitFin|opText, strings.Repeat("x", limit))}, []string{fmt.Sprintf("message false %q", strings.Repeat("x", limit))}},
		"nothing behind a close frame":     {[][]byte{clientFrame(bitFin|opClose, ""), clientFrame(bitFin|opText, "x")}, []string{`control 8 ""`}},
		"a length longer than it must be":  {[][]byte{{bitFin | opText, bitMasked | lengthIs64Bit, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 'x'}}, []string{`message false "x"`}},
		"two messages in a row":            {[][]byte{clientFrame(bitFin|opText, "a"), clientFrame(bitFin|opBinary, "b")}, []string{`message false "a"`, `message true "b"`}},
		"an empty fragment does not end":   {[][]byte{clientFrame(opText, ""), clientFrame(opContinuation, "x")}, nil},
		"a frame that is not complete yet": {[][]byte{clientFrame(bitFin|opText, "abc")[:8]}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			data := bytes.Join(c.data, nil)
			for _, size := range []int{1, 7, len(data)} {
				if f := readIn(t, data, limit, false, size); f.v != 0 || !slices.Equal(f.events, c.want) {
					t.Errorf("in chunks of %d: got %v, violation %d, want %v", size, f.events, f.v, c.want)
				}
			}
		})
	}
}

func TestMasks(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 3)
	for _, key := range [][]byte{{0, 0, 0, 0}, {1, 0, 0, 0}, {0, 0, 0, 1}, {0xff, 0xff, 0xff, 0xff}, {1, 2, 3, 4}} {
		for size := range len(body) {
			want := []string{fmt.Sprintf("message false %q", body[:size])}
			if f := readIn(t, clientFrame(bitFin|opText, body[:size], key...), 1000, false, 1000); !slices.Equal(f.events, want) {
				t.Errorf("mask % x, %d bytes: got %v, want %v", key, size, f.events, want)
			}
		}
	}
}
