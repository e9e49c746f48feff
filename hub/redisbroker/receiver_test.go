package redisbroker_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"roost/hub"
	"roost/hub/redisbroker"
)

// frame is a message as Redis sends it.
func frame(channel, body string) string { return reply(3, "message", channel, body) }

// received records what a receiver hands over.
type received struct {
	messages []string
	oversize []int64
}

func (r *received) Message(addr hub.Address, body []byte) {
	r.messages = append(r.messages, string(addr)+"="+string(body))
}
func (r *received) Oversize(_ hub.Address, size int64) { r.oversize = append(r.oversize, size) }
func (r *received) LinkUp(bool)                        {}
func (r *received) Gap(hub.Address)                    {}
func (r *received) LinkDown(error)                     {}

func TestReceive(t *testing.T) {
	for name, c := range map[string]struct {
		input string
		want  []string
		large []int64
		err   error // nil: any but io.EOF
	}{
		"messages":              {frame("roost:topic:a", "1") + frame("roost:topic:a", ""), []string{"topic:a=1", "topic:a="}, nil, io.EOF},
		"not subscribed":        {frame("roost:topic:b", "1") + frame("topic:a", "2") + frame("", "3"), nil, nil, io.EOF},
		"too large":             {frame("roost:topic:a", strings.Repeat("x", 101)) + frame("roost:topic:a", "1"), []string{"topic:a=1"}, []int64{101}, io.EOF},
		"pattern":               {"*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$14\r\nroost:conn:a.1\r\n$1\r\nx\r\n", []string{"conn:a.1=x"}, nil, io.EOF},
		"pongs":                 {"*2\r\n$4\r\npong\r\n$0\r\n\r\n*2\r\n$4\r\npong\r\n$2\r\nup\r\n", nil, nil, io.EOF},
		"pong without channels": {"$2\r\nup\r\n$0\r\n\r\n" + frame("roost:topic:a", "1"), []string{"topic:a=1"}, nil, io.EOF},
		"shard message":         {reply(3, "smessage", "roost:topic:a", "1"), []string{"topic:a=1"}, nil, io.EOF},
		"moved":                 {"-MOVED 1 127.0.0.1:1\r\n", nil, nil, nil}, // a link that is alone has nowhere to go
		"acknowledgement":       {"*3\r\n$9\r\nsubscribe\r\n$13\r\nroost:topic:a\r\n:1\r\n", nil, nil, io.EOF},
		"never asked for":       {"*3\r\n$11\r\nunsubscribe\r\n$13\r\nroost:topic:z\r\n:1\r\n", nil, nil, io.EOF},
		"null channel":          {"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n", nil, nil, nil},
		"cut off":               {strings.TrimSuffix(frame("roost:topic:a", "123"), "3\r\n"), nil, nil, io.ErrUnexpectedEOF},
		"own probe":             {frame("roost:conn:a.-probe", "x") + "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$19\r\nroost:conn:a.-probe\r\n$1\r\nx\r\n", nil, nil, io.EOF},
		"error reply":           {"-NOPERM no\r\n", nil, nil, nil},
		"http":                  {"HTTP/1.1 400 Bad Request\r\n\r\n", nil, nil, nil},
		"no end of body":        {"*3\r\n$7\r\nmessage\r\n$13\r\nroost:topic:a\r\n$1\r\nxyz", nil, nil, nil},
		"length is no number":   {"*3\r\n$seven\r\n", nil, nil, nil},
		"length of 10^30":       {"*3\r\n$1" + strings.Repeat("0", 30) + "\r\n", nil, nil, nil},
		"negative length":       {"*3\r\n$-2\r\n", nil, nil, nil},
		"line without an end":   {strings.Repeat("*", 1<<20), nil, nil, nil},
		"count is no number":    {"*3\r\n$9\r\nsubscribe\r\n$13\r\nroost:topic:a\r\n$1\r\n", nil, nil, nil},
		"unknown kind of reply": {"*3\r\n$5\r\nhello\r\n$1\r\na\r\n$1\r\nb\r\n", nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got received
			err := redisbroker.Receive(strings.NewReader(c.input), 100, &got, "topic:a")
			if c.err != nil && !errors.Is(err, c.err) || c.err == nil && (err == nil || errors.Is(err, io.EOF)) {
				t.Errorf("got error %v, want %v", err, c.err)
			}
			if !slices.Equal(got.messages, c.want) || !slices.Equal(got.oversize, c.large) {
				t.Errorf("got %q, too large %v; want %q, %v", got.messages, got.oversize, c.want, c.large)
			}
		})
	}
}

// FuzzReceive: whatever a server sends, the receiver ends, and hands over nothing that was not asked for or is too large.
func FuzzReceive(f *testing.F) {
	f.Add([]byte(frame("roost:topic:a", "body")))
	f.Add([]byte("*3\r\n$9\r\nsubscribe\r\n$13\r\nroost:topic:a\r\n:1\r\n*2\r\n$4\r\npong\r\n$2\r\nup\r\n"))
	f.Add([]byte("*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$14\r\nroost:conn:a.1\r\n$1\r\nx\r\n"))
	f.Add([]byte("*3\r\n$-1\r\n"))
	f.Fuzz(func(t *testing.T, input []byte) {
		var got received
		if err := redisbroker.Receive(bytes.NewReader(input), 100, &got, "topic:a"); err == nil {
			t.Error("got nil, want an error at the end of the input")
		}
		for _, m := range got.messages {
			addr, body, _ := strings.Cut(m, "=")
			if len(body) > 100 || strings.HasPrefix(addr, "topic:") && addr != "topic:a" {
				t.Errorf("got %q", m)
			}
		}
		// More input changes nothing about what came before.
		before := got.messages
		got = received{}
		_ = redisbroker.Receive(io.MultiReader(bytes.NewReader(input), strings.NewReader(frame("roost:topic:a", "!"))), 100, &got, "topic:a")
		if len(got.messages) < len(before) || !slices.Equal(got.messages[:len(before)], before) {
			t.Errorf("got %q, want to begin with %q", got.messages, before)
		}
	})
}

// counter counts messages, and keeps none.
type counter struct{ received }

func (*counter) Message(hub.Address, []byte) {}

// again is an endless stream of one text.
type again struct {
	text []byte
	at   int
}

func (a *again) Read(b []byte) (int, error) {
	for n := 0; n < len(b); {
		m := copy(b[n:], a.text[a.at:])
		n += m
		a.at = (a.at + m) % len(a.text)
	}
	return len(b), nil
}

// BenchmarkReceive is one message of 200 bytes, without the socket, on a pod with 10,000 subscriptions.
func BenchmarkReceive(b *testing.B) {
	addrs := make([]hub.Address, 10_000)
	for i := range addrs {
		addrs[i] = hub.TopicAddress(fmt.Sprint("rooms:", i))
	}
	text := []byte(frame("roost:topic:rooms:5000", strings.Repeat("x", 200)))
	next := redisbroker.Receiver(&again{text: text}, 1<<20, &counter{}, addrs...)
	b.ReportAllocs()
	for b.Loop() {
		if err := next(); err != nil {
			b.Fatal(err)
		}
	}
}
