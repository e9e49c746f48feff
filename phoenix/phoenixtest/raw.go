package phoenixtest

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// The opcodes of RFC 6455.
const (
	OpContinuation = 0
	OpText         = 1
	OpBinary       = 2
	OpClose        = 8
	OpPing         = 9
	OpPong         = 10
)

// Request is an HTTP request, by default an upgrade to a WebSocket.
type Request struct {
	Method string      // Default: GET
	Target string      // path and query, sent as it is
	Header http.Header // replaces the default headers of the same names; an empty list leaves one out
}

// Raw is a TCP connection that has asked for a WebSocket.
type Raw struct {
	Status int
	Header http.Header
	Body   []byte // unless Status is 101
	Conn   net.Conn

	tb     testing.TB
	reader *bufio.Reader
}

// Open connects to a host and port, sends r and reads the answer.
func Open(tb testing.TB, addr string, r Request) *Raw {
	tb.Helper()
	conn, err := net.DialTimeout("tcp", addr, Timeout)
	if err != nil {
		tb.Fatalf("dial %s: %v", addr, err)
	}
	tb.Cleanup(func() { conn.Close() })
	raw, err := Ask(tb, conn, addr, r)
	if err != nil {
		tb.Fatalf("%s %s: %v", r.Method, r.Target, err)
	}
	return raw
}

// Ask sends r over conn, which the caller closes, and reads the answer.
func Ask(tb testing.TB, conn net.Conn, host string, r Request) (*Raw, error) {
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	header := http.Header{
		"Host":                  {host},
		"Connection":            {"Upgrade"},
		"Upgrade":               {"websocket"},
		"Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key":     {base64.StdEncoding.EncodeToString([]byte("sixteen bytes ok"))},
	}
	for name, values := range r.Header {
		header[http.CanonicalHeaderKey(name)] = values
	}
	var request bytes.Buffer
	fmt.Fprintf(&request, "%s %s HTTP/1.1\r\n", r.Method, r.Target)
	for name, values := range header {
		for _, v := range values {
			fmt.Fprintf(&request, "%s: %s\r\n", name, v)
		}
	}
	request.WriteString("\r\n")
	conn.SetDeadline(time.Now().Add(Timeout))
	defer conn.SetDeadline(time.Time{})
	if _, err := conn.Write(request.Bytes()); err != nil {
		return nil, err
	}
	raw := &Raw{tb: tb, Conn: conn, reader: bufio.NewReader(conn)}
	response, err := http.ReadResponse(raw.reader, &http.Request{Method: r.Method})
	if err != nil {
		return nil, err
	}
	raw.Status, raw.Header = response.StatusCode, response.Header
	if raw.Status != http.StatusSwitchingProtocols {
		raw.Body, err = io.ReadAll(response.Body)
		response.Body.Close()
	}
	return raw, err
}

// Frame is one WebSocket frame. The zero value of each field is what a correct client sends.
type Frame struct {
	Opcode     byte
	Payload    []byte
	More       bool // not the last frame of its message
	Compressed bool // the RSV1 bit
	Unmasked   bool
}

// Bytes returns f as it goes over the network.
func (f Frame) Bytes() []byte {
	first := f.Opcode
	if !f.More {
		first |= 0x80
	}
	if f.Compressed {
		first |= 0x40
	}
	var mask byte = 0x80
	if f.Unmasked {
		mask = 0
	}
	out := []byte{first}
	switch n := len(f.Payload); {
	case n < 126:
		out = append(out, mask|byte(n))
	case n < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, mask|126), uint16(n))
	default:
		out = binary.BigEndian.AppendUint64(append(out, mask|127), uint64(n))
	}
	if f.Unmasked {
		return append(out, f.Payload...)
	}
	key := [4]byte{0x1b, 0xa7, 0x3c, 0x55}
	out = append(out, key[:]...)
	for i, b := range f.Payload {
		out = append(out, b^key[i%4])
	}
	return out
}

// Send writes frames in one write. A server that has closed already is no error: what it answered is still there to read.
func (r *Raw) Send(frames ...Frame) {
	var out []byte
	for _, f := range frames {
		out = append(out, f.Bytes()...)
	}
	r.Conn.SetWriteDeadline(time.Now().Add(Timeout))
	_, err := r.Conn.Write(out)
	if err != nil {
		r.tb.Logf("raw send: %v", err)
	}
}

// Read returns the next frame.
func (r *Raw) Read() (Frame, error) {
	r.Conn.SetReadDeadline(time.Now().Add(Timeout))
	var head [2]byte
	if _, err := io.ReadFull(r.reader, head[:]); err != nil {
		return Frame{}, err
	}
	if head[1]&0x80 != 0 {
		return Frame{}, errors.New("the server masks its frames")
	}
	size := uint64(head[1] & 0x7f)
	if size > 125 {
		long := make([]byte, 8)[:2+6*(size-126)]
		if _, err := io.ReadFull(r.reader, long); err != nil {
			return Frame{}, err
		}
		size = 0
		for _, b := range long {
			size = size<<8 | uint64(b)
		}
	}
	f := Frame{Opcode: head[0] & 0xf, More: head[0]&0x80 == 0, Compressed: head[0]&0x40 != 0, Unmasked: true}
	f.Payload = make([]byte, size)
	_, err := io.ReadFull(r.reader, f.Payload)
	return f, err
}
