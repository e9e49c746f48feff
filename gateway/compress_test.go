package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"roost/gateway"
	"roost/phoenix/phoenixtest"
)

func compressing(c *gateway.Config) { c.Compress = true }

// Another implementation's client reads what we deflate, batches of small and large messages alike, and we what it does.
func TestDeflatedBothWays(t *testing.T) {
	for _, l := range []link{plain, wrapped} {
		t.Run(string(l), func(t *testing.T) {
			p := startPodOn(t, l, &backend{}, compressing)
			dialer := websocket.Dialer{EnableCompression: true}
			c, response, err := dialer.Dial(p.url("?vsn=2.0.0"), nil)
			if err != nil {
				t.Fatalf("Dial = %v, want a client", err)
			}
			defer c.Close()
			if got := response.Header.Get("Sec-Websocket-Extensions"); !strings.HasPrefix(got, "permessage-deflate") {
				t.Fatalf("got extensions %q, want permessage-deflate", got)
			}
			want := func(want string) {
				t.Helper()
				if _, got, err := c.ReadMessage(); err != nil || !phoenixtest.Same(phoenixtest.Message{Data: got}, want) {
					t.Fatalf("got %.300s, %v\nwant %.300s", got, err, want)
				}
			}
			say := func(s string) {
				t.Helper()
				if err := c.WriteMessage(websocket.TextMessage, []byte(s)); err != nil {
					t.Fatal(err)
				}
			}
			say(join("1", "a"))
			want(joined("1", "a"))
			sizes := []int{0, 50, 60, 70, 80, 90, 100, 126, 127, 1000, 70_000, 0, 200_000, 90}
			for _, size := range sizes {
				p.publish("topic:a", fmt.Sprintf(`{"event":"e","payload":{"x":%q}}`, strings.Repeat("ab", size)))
			}
			for _, size := range sizes {
				want(frame("", "", "a", "e", fmt.Sprintf(`{"x":%q}`, strings.Repeat("ab", size))))
			}
			payload := fmt.Sprintf(`{"x":%q}`, strings.Repeat("xyz", 10_000))
			say(frame("1", "2", "a", "echo", payload))
			want(okay("1", "2", "a", payload))
		})
	}
}

func TestDeflateBombIsTooLarge(t *testing.T) {
	p := startPod(t, &backend{}, compressing)
	dialer := websocket.Dialer{EnableCompression: true}
	c, _, err := dialer.Dial(p.url("?vsn=2.0.0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	bystander := p.dial()
	if err := c.SetCompressionLevel(9); err != nil {
		t.Fatal(err)
	}
	if err := c.WriteMessage(websocket.BinaryMessage, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, 1009) {
		t.Errorf("got %v, want close 1009", err)
	}
	bystander.Heartbeat()
}

// A frame is deflated for those only who have been told so in the handshake.
func TestCompressionIsAgreedUpon(t *testing.T) {
	for name, c := range map[string]struct {
		offer []string
		set   bool
		want  bool
	}{
		"offered":                           {[]string{"permessage-deflate; client_max_window_bits"}, true, true},
		"offered behind another":            {[]string{"x-other, permessage-deflate"}, true, true},
		"offered in a second line":          {[]string{"x-other", "permessage-deflate"}, true, true},
		"not set":                           {[]string{"permessage-deflate"}, false, false},
		"not offered":                       {nil, true, false},
		"another one of a similar name":     {[]string{"x-permessage-deflate-x"}, true, false},
		"the name as a parameter":           {[]string{"x-other; a=permessage-deflate"}, true, false},
		"with a window that we do not have": {[]string{"permessage-deflate; server_max_window_bits=10"}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPod(t, &backend{}, func(g *gateway.Config) { g.Compress = c.set })
			r := p.raw(http.Header{"Sec-Websocket-Extensions": c.offer})
			told := strings.HasPrefix(r.Header.Get("Sec-Websocket-Extensions"), "permessage-deflate")
			if told != c.want {
				t.Errorf("got compression in the answer: %t, want %t", told, c.want)
			}
			send(r, join("1", "a"))
			r.Want(phoenixtest.OpText, joined("1", "a"))
			p.publish("topic:a", fmt.Sprintf(`{"event":"e","payload":{"x":%q}}`, strings.Repeat("x", 1000)))
			if f := read(t, r); f.Compressed != c.want {
				t.Errorf("got a deflated frame: %t, want %t", f.Compressed, c.want)
			}
		})
	}
}
