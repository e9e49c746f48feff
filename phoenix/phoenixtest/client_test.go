package phoenixtest_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roost/phoenix/phoenixtest"
)

// echo serves WebSockets that send back what they get, until they get "bye".
func echo(t *testing.T) (addr string) {
	t.Helper()
	upgrader := websocket.Upgrader{Subprotocols: []string{"phoenix"}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			kind, data, err := conn.ReadMessage()
			if err != nil {
				return
			}
			if string(data) == "bye" {
				conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1012, ""), time.Now().Add(time.Second))
				return
			}
			if err := conn.WriteMessage(kind, data); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestClient(t *testing.T) {
	c := phoenixtest.Dial(t, "ws://"+echo(t)+"/?vsn=2.0.0", nil)
	c.Send(`[1, "a"]`, `{"b":1,"a":2}`)
	c.Want(`[1,"a"]`, `{"a":2,"b":1}`)
	c.Send(`1`, `2`, `3`)
	c.WantAll(`3`, `1`, `2`)
	c.SendBinary([]byte{1, 2})
	c.WantBinary([]byte{1, 2})
	if m, err := c.Receive(time.Millisecond); !errors.Is(err, phoenixtest.ErrTimeout) {
		t.Errorf("Receive = %v, %v, want ErrTimeout", m, err)
	}
	c.Send("bye")
	c.WantClose(1012)
}

func TestSame(t *testing.T) {
	for _, c := range []struct {
		got, want string
		same      bool
	}{
		{`{"a":1,"b":[2]}`, `{ "b": [2], "a": 1 }`, true},
		{`[1,2]`, `[2,1]`, false},
		{`[1]`, `["1"]`, false},
		{`[1.0]`, `[1]`, false},
		{`[null]`, `[]`, false},
		{`[1] [2]`, `[1]`, false},
		{`[1`, `[1]`, false},
	} {
		if got := phoenixtest.Same(phoenixtest.Message{Data: []byte(c.got)}, c.want); got != c.same {
			t.Errorf("Same(%s, %s) = %t, want %t", c.got, c.want, got, c.same)
		}
	}
	if phoenixtest.Same(phoenixtest.Message{Binary: true, Data: []byte("1")}, "1") {
		t.Error("a binary frame is the same as a text frame")
	}
}

func TestRaw(t *testing.T) {
	addr := echo(t)
	refused := phoenixtest.Open(t, addr, phoenixtest.Request{Target: "/", Header: http.Header{"Upgrade": nil}})
	if refused.Status != http.StatusBadRequest || len(refused.Body) == 0 {
		t.Errorf("got status %d, body %q, want 400 and a body", refused.Status, refused.Body)
	}
	r := phoenixtest.Open(t, addr, phoenixtest.Request{Target: "/", Header: http.Header{"Sec-WebSocket-Protocol": {"mqtt, phoenix"}}})
	if r.Status != 101 || r.Header.Get("Sec-WebSocket-Protocol") != "phoenix" {
		t.Fatalf("got status %d, header %v, want 101 with protocol phoenix", r.Status, r.Header)
	}
	for _, size := range []int{0, 125, 126, 1 << 16} {
		payload := strings.Repeat("x", size)
		half := size / 2
		r.Send(phoenixtest.Frame{Opcode: phoenixtest.OpBinary, Payload: []byte(payload[:half]), More: true},
			phoenixtest.Frame{Opcode: phoenixtest.OpPing, Payload: []byte("p")},
			phoenixtest.Frame{Opcode: phoenixtest.OpContinuation, Payload: []byte(payload[half:])})
		r.Want(phoenixtest.OpPong, "p")
		r.Want(phoenixtest.OpBinary, payload)
	}
	r.Send(phoenixtest.Frame{Opcode: phoenixtest.OpText, Payload: []byte("bye")})
	r.WantClose(1012)
}
