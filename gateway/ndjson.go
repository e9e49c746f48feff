package gateway

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
)

// Bounds of one POST. phoenix.js sends at most 100 messages since 1.7.22, and all it has before.
const (
	maxLines = 1000
	maxBlank = 64 << 10 // blank lines
	maxBody  = 8 << 20  // bytes, as with Phoenix
)

var (
	errBatchSize   = errors.New("gateway: too many messages, or one that is too large")
	errBatchBase64 = errors.New("gateway: a line is neither JSON nor base64")
)

// readBatch calls take for each message of a POST, until it returns false. With ndjson a line that begins with [ or { is
// text, any other is base64 of a binary message, and blank lines are nothing; without, the whole body is one text.
// Memory is bounded by limit, the size of a message. What take is given is good for the call only.
func readBatch(body io.Reader, ndjson bool, limit int, take func(binary bool, message []byte) bool) error {
	if !ndjson {
		message, err := io.ReadAll(io.LimitReader(body, int64(limit)+1))
		if err != nil {
			return err
		}
		if len(message) > limit {
			return errBatchSize
		}
		if message = bytes.TrimSpace(message); len(message) > 0 {
			take(false, message)
		}
		return nil
	}
	source := &source{Reader: body}
	lines := bufio.NewScanner(source)
	lines.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		return bufio.ScanLines(data, atEOF && errors.Is(source.err, io.EOF)) // what is cut short is no line
	})
	lines.Buffer(make([]byte, 0, 4<<10), base64.StdEncoding.EncodedLen(limit)+2)
	blank, n := 0, 0
	for lines.Scan() {
		line := lines.Bytes()
		if len(line) == 0 {
			if blank++; blank > maxBlank {
				return errBatchSize
			}
			continue
		}
		if n++; n > maxLines {
			return errBatchSize
		}
		binary := line[0] != '[' && line[0] != '{'
		if binary {
			size, err := base64.StdEncoding.Decode(line, line)
			if err != nil {
				return errBatchBase64
			}
			line = line[:size]
		}
		if len(line) > limit {
			return errBatchSize
		}
		if !take(binary, line) {
			return nil
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return errBatchSize
	}
	return lines.Err()
}

// source remembers why reading ended.
type source struct {
	io.Reader
	err error
}

// Read implements [io.Reader].
func (s *source) Read(b []byte) (n int, err error) {
	n, s.err = s.Reader.Read(b)
	return n, s.err
}
