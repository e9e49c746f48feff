package gateway

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// tape is the client's end of a connection whose server accepts the handshake and writes down what follows.
type tape struct {
	net.Conn
	mu   sync.Mutex
	sent bytes.Buffer
}

func (t *tape) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sent.Write(p)
}

// taped returns a client of gorilla's and what it writes. Writes of more than buffer bytes are fragmented.
func taped(t *testing.T, buffer int, deflate bool) (*websocket.Conn, *bytes.Buffer) {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	rec := &tape{Conn: ours}
	var answered sync.WaitGroup
	dialer := websocket.Dialer{
		WriteBufferSize:   buffer,
		EnableCompression: deflate,
		NetDial: func(string, string) (net.Conn, error) {
			return &handshaking{tape: rec, asked: func(request []byte) {
				r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
				if err != nil {
					t.Errorf("ReadRequest = %v, want a handshake", err)
					return
				}
				sum := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
				answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
					base64.StdEncoding.EncodeToString(sum[:]) + "\r\n"
				if deflate {
					answer += "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
				}
				answered.Go(func() { _, _ = io.WriteString(theirs, answer+"\r\n") })
			}}, nil
		},
	}
	client, _, err := dialer.Dial("ws://example.com/", nil)
	answered.Wait()
	if err != nil {
		t.Fatalf("Dial = %v, want a client", err)
	}
	rec.sent.Reset()
	return client, &rec.sent
}

// handshaking calls asked with the request, which gorilla writes at once.
type handshaking struct {
	*tape
	asked func(request []byte)
}

func (h *handshaking) Write(p []byte) (int, error) {
	if h.asked != nil {
		h.asked(slices.Clone(p))
		h.asked = nil
	}
	return h.tape.Write(p)
}

// What gorilla's client writes, however it is cut on the way, is what the reader finds.
func TestReaderAgreesWithGorilla(t *testing.T) {
	const limit = 1 << 17
	sizes := []int{0, 1, 124, 125, 126, 127, 4096, 65534, 65535, 65536, 65537, limit - 1, limit}
	for _, deflate := range []bool{false, true} {
		for _, buffer := range []int{64, 1000, 1 << 20} {
			t.Run(fmt.Sprintf("deflate %t, buffer %d", deflate, buffer), func(t *testing.T) {
				t.Parallel()
				random := rand.New(rand.NewPCG(7, uint64(buffer)))
				client, sent := taped(t, buffer, deflate)
				var want []string
				for round := range 60 {
					size := random.IntN(300)
					if round < len(sizes) {
						size = sizes[round]
					}
					want = append(want, say(t, client, random, size)...)
				}
				for _, chunks := range [][]int{{8 << 10}, {1, 2, 3, 1000}, {sent.Len()}, {random.IntN(5000) + 1, random.IntN(50) + 1}} {
					got := readIn(t, sent.Bytes(), limit, deflate, chunks...)
					if got.v != 0 || got.done {
						t.Fatalf("chunks %v: got violation %d, want none", chunks, got.v)
					}
					compare(t, got.events, want)
				}
			})
		}
	}
}

// say sends one message, with pings between its fragments, and returns what the reader should find.
func say(t *testing.T, client *websocket.Conn, random *rand.Rand, size int) (want []string) {
	t.Helper()
	kind, body := websocket.TextMessage, make([]byte, size)
	if random.IntN(2) == 0 {
		kind = websocket.BinaryMessage
	}
	for i := range body {
		body[i] = 'a' + byte(random.IntN(4))
	}
	client.EnableWriteCompression(random.IntN(4) > 0)
	w, err := client.NextWriter(kind)
	if err != nil {
		t.Fatal(err)
	}
	for rest := body; len(rest) > 0; {
		n := random.IntN(len(rest)) + 1
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
		if random.IntN(3) == 0 {
			ping := fmt.Sprint("ping", len(rest))
			if err := client.WriteControl(websocket.PingMessage, []byte(ping), time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			want = append(want, fmt.Sprintf("control 9 %q", ping))
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return append(want, fmt.Sprintf("message %t %q", kind == websocket.BinaryMessage, body))
}

// compare fails the test at the first difference.
func compare(t *testing.T, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("event %d: got %.100q\nwant %.100q", i, slices.Concat(got, []string{"nothing"})[min(i, len(got))], slices.Concat(want, []string{"nothing"})[min(i, len(want))])
		}
	}
}
