package redisbroker

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Limits of what the link reads, in bytes.
const (
	readBuffer  = 64 << 10
	maxName     = 32 << 10 // of a channel; longer ones cannot be subscribed
	maxBodySize = 1 << 30  // Redis itself takes 512 MB at most
)

var errProtocol = errors.New("redis: unexpected bytes")

// serverError is an error reply.
type serverError string

func (e serverError) Error() string { return "redis: " + string(e) }

// reader reads RESP2, as far as a subscriber gets to see it.
type reader struct{ buf *bufio.Reader }

func newReader(r io.Reader) *reader { return &reader{bufio.NewReaderSize(r, readBuffer)} }

// line returns the next line, good until the next read.
func (r *reader) line() ([]byte, error) {
	line, err := r.buf.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			return nil, errProtocol
		}
		return nil, err
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return nil, errProtocol
	}
	return line[:len(line)-2], nil
}

// length reads a header of the given type, '*' or '$'. Null has length 0.
func (r *reader) length(typ byte) (int, error) {
	line, err := r.line()
	if err != nil {
		return 0, err
	}
	if line[0] != typ {
		if line[0] == '-' {
			return 0, serverError(line[1:])
		}
		return 0, errProtocol
	}
	if string(line[1:]) == "-1" {
		return 0, nil
	}
	if len(line) < 2 {
		return 0, errProtocol
	}
	n := 0
	for _, c := range line[1:] {
		if c < '0' || c > '9' || n > maxBodySize/10 {
			return 0, errProtocol
		}
		n = n*10 + int(c-'0')
	}
	return n, nil
}

// name reads a string, good until the next read. One longer than maxName is skipped, and comes out as nil.
func (r *reader) name() ([]byte, error) {
	n, err := r.length('$')
	if err != nil {
		return nil, err
	}
	if n > maxName {
		return nil, r.skip(n)
	}
	b, err := r.buf.Peek(n + 2)
	if err != nil {
		return nil, err
	}
	if b[n] != '\r' || b[n+1] != '\n' {
		return nil, errProtocol
	}
	_, err = r.buf.Discard(n + 2)
	return b[:n:n], err
}

// body reads n bytes and their end of line into memory of their own.
func (r *reader) body(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(r.buf, b); err != nil {
		return nil, err
	}
	return b, r.end()
}

// skip reads n bytes and their end of line, and keeps none.
func (r *reader) skip(n int) error {
	if _, err := r.buf.Discard(n); err != nil {
		return err
	}
	return r.end()
}

func (r *reader) end() error {
	b, err := r.buf.Peek(2)
	if err != nil {
		return err
	}
	if b[0] != '\r' || b[1] != '\n' {
		return errProtocol
	}
	_, err = r.buf.Discard(2)
	return err
}

// status reads the reply to a command outside of subscriptions.
func (r *reader) status() error {
	line, err := r.line()
	if err != nil {
		return err
	}
	switch line[0] {
	case '+':
		return nil
	case '-':
		return serverError(line[1:])
	default:
		return fmt.Errorf("%w: reply of type %q", errProtocol, line[0])
	}
}

// appendCommand appends a command with n arguments, which the caller appends with appendArg.
func appendCommand(b []byte, n int) []byte {
	b = append(b, '*')
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, '\r', '\n')
}

// appendArg appends one argument, given in two parts.
func appendArg(b []byte, prefix, rest string) []byte {
	b = append(b, '$')
	b = strconv.AppendInt(b, int64(len(prefix)+len(rest)), 10)
	b = append(b, '\r', '\n')
	b = append(b, prefix...)
	b = append(b, rest...)
	return append(b, '\r', '\n')
}

// appendWords appends a whole command.
func appendWords(b []byte, words ...string) []byte {
	b = appendCommand(b, len(words))
	for _, w := range words {
		b = appendArg(b, "", w)
	}
	return b
}
