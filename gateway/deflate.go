package gateway

import (
	"bytes"
	"compress/flate"
	"io"
	"sync"
)

// permessage-deflate (RFC 7692) without context takeover in either direction, so that a broadcast is deflated once for
// everyone and no connection holds a window.

// deflateFrom is the size from which a message is worth deflating.
const deflateFrom = 128

// deflateTail ends the deflated message on the wire and is left out there; the empty final block makes the reader stop.
const deflateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

var inflaters = sync.Pool{New: func() any { return flate.NewReader(nil) }}

// inflate returns what body was before it was deflated. More than limit bytes are too large, and are never held.
func inflate(body []byte, limit int) ([]byte, violation) {
	r := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(r)
	source := io.MultiReader(bytes.NewReader(body), bytes.NewReader([]byte(deflateTail)))
	if err := r.(flate.Resetter).Reset(source, nil); err != nil {
		return nil, closeProtocolError
	}
	var out bytes.Buffer
	n, err := out.ReadFrom(io.LimitReader(r, int64(limit)+1))
	switch {
	case n > int64(limit):
		return nil, closeTooLarge
	case err != nil:
		return nil, closeProtocolError
	}
	return out.Bytes(), 0
}

var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

// appendDeflated appends body, deflated, behind dst.
func appendDeflated(dst, body []byte) []byte {
	out := bytes.NewBuffer(dst)
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(out)
	// Writes to a bytes.Buffer do not fail.
	_, _ = w.Write(body)
	_ = w.Flush()
	return bytes.TrimSuffix(out.Bytes(), []byte(deflateTail[:4]))
}
