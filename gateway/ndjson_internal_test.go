package gateway

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// batch reads a body and returns what it holds, as "text …" or "binary …".
func batch(body io.Reader, ndjson bool, limit int) (found []string, err error) {
	err = readBatch(body, ndjson, limit, func(binary bool, message []byte) bool {
		kind := "text "
		if binary {
			kind = "binary "
		}
		found = append(found, kind+string(message))
		return true
	})
	return found, err
}

func TestReadBatch(t *testing.T) {
	const limit = 100
	full := "[" + strings.Repeat("x", limit-2) + "]"
	packed := func(n int) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, n)) }
	for name, c := range map[string]struct {
		body   string
		plain  bool // not NDJSON
		want   []string
		failed error
	}{
		"nothing":                        {},
		"one line":                       {body: "[1]", want: []string{"text [1]"}},
		"a newline at the end":           {body: "[1]\n", want: []string{"text [1]"}},
		"LF and CRLF":                    {body: "[1]\r\n[2]\n[3]\r\n", want: []string{"text [1]", "text [2]", "text [3]"}},
		"blank lines":                    {body: "\n\r\n[1]\n\n\r\n\n[2]\n\n", want: []string{"text [1]", "text [2]"}},
		"an object of V1":                {body: `{"a":1}`, want: []string{`text {"a":1}`}},
		"bytes":                          {body: "AAEC\n[1]", want: []string{"binary \x00\x01\x02", "text [1]"}},
		"bytes behind CRLF":              {body: "[1]\r\nAAEC\r\n", want: []string{"text [1]", "binary \x00\x01\x02"}},
		"no base64":                      {body: "[1]\n!!!notb64\n[2]", want: []string{"text [1]"}, failed: errBatchBase64},
		"base64 cut short":               {body: "AAE", failed: errBatchBase64},
		"base64 without its padding":     {body: "AA", failed: errBatchBase64},
		"base64url":                      {body: "-_-_", failed: errBatchBase64},
		"a space in front":               {body: " [1]", failed: errBatchBase64},
		"a string":                       {body: `"abc"`, failed: errBatchBase64},
		"a line of limit bytes":          {body: full + "\n[1]", want: []string{"text " + full, "text [1]"}},
		"a line of one more":             {body: "[1]\n[" + full, want: []string{"text [1]"}, failed: errBatchSize},
		"a line of very many":            {body: strings.Repeat("[", 10_000), failed: errBatchSize},
		"limit bytes in base64":          {body: packed(limit), want: []string{"binary " + strings.Repeat("\x07", limit)}},
		"limit bytes in base64 and CRLF": {body: packed(limit) + "\r\n[1]", want: []string{"binary " + strings.Repeat("\x07", limit), "text [1]"}},
		"one byte more in base64":        {body: packed(limit + 1), failed: errBatchSize},
		"one message":                    {plain: true, body: "[1]", want: []string{"text [1]"}},
		"one message with white space":   {plain: true, body: "\r\n [1] \n", want: []string{"text [1]"}},
		"one message over lines":         {plain: true, body: "[\n1\n]", want: []string{"text [\n1\n]"}},
		"no message":                     {plain: true},
		"white space as a message":       {plain: true, body: " \n"},
		"a message of limit bytes":       {plain: true, body: full, want: []string{"text " + full}},
		"a message of one more":          {plain: true, body: full + " ", failed: errBatchSize},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := batch(strings.NewReader(c.body), !c.plain, limit)
			if !slices.Equal(got, c.want) || !errors.Is(err, c.failed) {
				t.Errorf("got %q, %v; want %q, %v", got, err, c.want, c.failed)
			}
		})
	}
}

// The number of lines is bounded, and what came before the bound was taken.
func TestReadBatchLines(t *testing.T) {
	for n, want := range map[int]error{maxLines: nil, maxLines + 1: errBatchSize} {
		got, err := batch(strings.NewReader(strings.Repeat("[1]\n", n)), true, 100)
		if len(got) != maxLines || !errors.Is(err, want) {
			t.Errorf("%d lines: got %d and %v, want %d and %v", n, len(got), err, maxLines, want)
		}
	}
}

// Reading stops where the taker says so, and when the body breaks: what is cut short is no message.
func TestReadBatchStops(t *testing.T) {
	n := 0
	if err := readBatch(strings.NewReader("[1]\n[2]\n"), true, 100, func(bool, []byte) bool { n++; return false }); err != nil || n != 1 {
		t.Errorf("got %d messages and %v, want 1 and nil", n, err)
	}
	for _, cut := range []string{"[2", "AAEC"} {
		broken := io.MultiReader(strings.NewReader("[1]\n"+cut), brokenReader{})
		if got, err := batch(broken, true, 100); !errors.Is(err, io.ErrUnexpectedEOF) || !slices.Equal(got, []string{"text [1]"}) {
			t.Errorf("got %q and %v, want the first line and ErrUnexpectedEOF", got, err)
		}
	}
	if got, err := batch(brokenReader{}, false, 100); !errors.Is(err, io.ErrUnexpectedEOF) || len(got) > 0 {
		t.Errorf("got %q and %v, want nothing and ErrUnexpectedEOF", got, err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// repeated is a body of n bytes that costs no memory.
type repeated struct {
	pattern string
	n, at   int
}

func (r *repeated) Read(b []byte) (int, error) {
	if r.at == r.n {
		return 0, io.EOF
	}
	n := 0
	for n < len(b) && r.at < r.n {
		b[n] = r.pattern[r.at%len(r.pattern)]
		n, r.at = n+1, r.at+1
	}
	return n, nil
}

// The largest body that is let in costs as much memory as a few messages, whatever is in it.
func TestReadBatchMemory(t *testing.T) {
	const limit, allowed = 64 << 10, 1 << 20
	for name, pattern := range map[string]string{
		"newlines":        "\n",
		"CRLF":            "\r\n",
		"carriage return": "\r",
		"spaces":          " ",
		"brackets":        "[",
		"base64":          "A",
		"small messages":  "[]\n",
		"small bytes":     "AAAA\n",
		"large messages":  "[" + strings.Repeat("x", limit-2) + "]\n",
	} {
		for _, ndjson := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s ndjson=%t", name, ndjson), func(t *testing.T) {
				body := &repeated{pattern: pattern, n: maxBody}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				_ = readBatch(body, ndjson, limit, func(bool, []byte) bool { return true }) // whatever it says
				runtime.ReadMemStats(&after)
				if got := after.TotalAlloc - before.TotalAlloc; got > allowed {
					t.Errorf("got %d bytes allocated for a body of %d, want at most %d", got, maxBody, allowed)
				}
			})
		}
	}
}

func FuzzReadBatch(f *testing.F) {
	for _, body := range []string{"", "[1]\n[2]", "AAEC\r\n[1]\r\n", "!", "\n\n\n", "{}\n" + strings.Repeat("[1]\n", 1100), strings.Repeat("A", 400), "AA==\n=\n"} {
		f.Add([]byte(body), true, uint16(64))
		f.Add([]byte(body), false, uint16(3))
	}
	f.Fuzz(func(t *testing.T, body []byte, ndjson bool, limit16 uint16) {
		limit := int(limit16) + 1
		original := bytes.Clone(body)
		n := 0
		err := readBatch(bytes.NewReader(body), ndjson, limit, func(binary bool, message []byte) bool {
			n++
			switch {
			case len(message) > limit:
				t.Errorf("got a message of %d bytes, want at most %d", len(message), limit)
			case !ndjson && (binary || n > 1):
				t.Errorf("got message %d, binary %t, want one text", n, binary)
			case ndjson && !binary && message[0] != '[' && message[0] != '{':
				t.Errorf("got text %q, want JSON", message)
			case ndjson && !binary && bytes.ContainsRune(message, '\n'):
				t.Errorf("got %q, want one line", message)
			case !binary && !bytes.Contains(original, message):
				t.Errorf("got text %q, want what is in the body", message)
			}
			clear(message) // it is the taker's for the call
			return true
		})
		if n > maxLines {
			t.Errorf("got %d messages, want at most %d", n, maxLines)
		}
		if !bytes.Equal(body, original) {
			t.Error("got a changed body")
		}
		if err == nil && ndjson {
			lines := 0
			for line := range bytes.SplitSeq(original, []byte("\n")) {
				if len(bytes.TrimSuffix(line, []byte("\r"))) > 0 {
					lines++
				}
			}
			if n != lines {
				t.Errorf("got %d messages, want all %d lines", n, lines)
			}
		}
	})
}
