package gateway

import (
	"bytes"
	"compress/flate"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

// packed returns data as a client deflates it, with the tail left out.
func packed(t *testing.T, data []byte, level int) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte(deflateTail[:4]))
}

func TestInflate(t *testing.T) {
	const limit = 64 << 10
	random := make([]byte, limit)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	for name, data := range map[string][]byte{
		"nothing":       {},
		"a byte":        []byte("x"),
		"text":          []byte(`["1","1","room:a","phx_join",{}]`),
		"a long run":    bytes.Repeat([]byte("a"), limit),
		"random bytes":  random,
		"below a block": random[:limit-1],
	} {
		for _, level := range []int{flate.NoCompression, flate.BestSpeed, flate.BestCompression, flate.HuffmanOnly} {
			if got, v := inflate(packed(t, data, level), limit); v != 0 || !bytes.Equal(got, data) {
				t.Errorf("%s, level %d: got %d bytes, violation %d, want %d bytes as they were", name, level, len(got), v, len(data))
			}
		}
		if got, v := inflate(appendDeflated(nil, data), limit); v != 0 || !bytes.Equal(got, data) {
			t.Errorf("%s, as we deflate: got %d bytes, violation %d, want %d bytes as they were", name, len(got), v, len(data))
		}
	}
}

func TestDeflateBombs(t *testing.T) {
	const limit = 64 << 10
	for name, size := range map[string]int{"one byte too many": limit + 1, "a megabyte": 1 << 20, "4 MB": 4 << 20} {
		body := packed(t, make([]byte, size), flate.BestCompression)
		if len(body) > limit+limit/4 {
			t.Fatalf("%s: got a bomb of %d bytes, want a small one", name, len(body))
		}
		got, v := inflate(body, limit)
		if v != closeTooLarge || got != nil {
			t.Errorf("%s: got %d bytes, violation %d, want %d", name, len(got), v, closeTooLarge)
		}
	}
	bomb := packed(t, make([]byte, 8<<20), flate.BestCompression)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	inflate(bomb, limit)
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 16*limit {
		t.Errorf("got %d bytes allocated for a bomb of 8 MB, want at most %d", got, 16*limit)
	}
}

func TestInflateGarbage(t *testing.T) {
	for name, body := range map[string]string{
		"a reserved block type":      "\x07",
		"a stored block cut short":   "\x00\xff\x00\x00\xffabc",
		"a length that is not right": "\x01\x05\x00\x00\x00hello",
		"ones":                       strings.Repeat("\xff", 100),
	} {
		if got, v := inflate([]byte(body), 1000); v != closeProtocolError || got != nil {
			t.Errorf("%s: got %q, violation %d, want %d", name, got, v, closeProtocolError)
		}
	}
	// The pool's next reader does not remember.
	if got, v := inflate(packed(t, []byte("fine"), flate.BestSpeed), 1000); v != 0 || string(got) != "fine" {
		t.Errorf("behind garbage: got %q, violation %d, want fine", got, v)
	}
}
