package phoenixtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/gorilla/websocket"
)

// Want reads as many messages as there are frames, and fails the test unless they are those text frames in that order.
// Frames are compared as JSON: the order of keys does not matter, the digits of numbers do.
func (c *Client) Want(frames ...string) {
	c.tb.Helper()
	for _, want := range frames {
		if got := c.Next(); !Same(got, want) {
			c.tb.Fatalf("got  %v\nwant %s", got, want)
		}
	}
}

// WantAll is Want with the frames in any order.
func (c *Client) WantAll(frames ...string) {
	c.tb.Helper()
	missing := append([]string(nil), frames...)
	for range frames {
		got := c.Next()
		i := 0
		for i < len(missing) && !Same(got, missing[i]) {
			i++
		}
		if i == len(missing) {
			c.tb.Fatalf("got  %v\nwant one of %q", got, missing)
		}
		missing = append(missing[:i], missing[i+1:]...)
	}
}

// WantBinary reads the next message and fails the test unless it is that binary frame.
func (c *Client) WantBinary(want []byte) {
	c.tb.Helper()
	if got := c.Next(); !got.Binary || !bytes.Equal(got.Data, want) {
		c.tb.Fatalf("got  %v\nwant binary % x", got, want)
	}
}

// Quiet fails the test if a message comes within a short time, or before the answer to a heartbeat sent after it.
func (c *Client) Quiet() {
	c.tb.Helper()
	time.Sleep(quietTime)
	c.Heartbeat()
}

// Heartbeat sends a heartbeat and wants its answer to be the next message.
func (c *Client) Heartbeat() {
	c.tb.Helper()
	ask, answer := c.NextHeartbeat()
	c.Send(ask)
	c.Want(answer)
}

// NextHeartbeat returns a heartbeat with a ref of its own, and the frame that answers it.
func (c *Client) NextHeartbeat() (ask, answer string) {
	c.heartbeats++
	ref := fmt.Sprintf(`"9%06d"`, c.heartbeats)
	const ok = `{"status":"ok","response":{}}`
	if c.v1 {
		return `{"topic":"phoenix","event":"heartbeat","payload":{},"ref":` + ref + `}`,
			`{"topic":"phoenix","event":"phx_reply","payload":` + ok + `,"ref":` + ref + `}`
	}
	return `[null,` + ref + `,"phoenix","heartbeat",{}]`, `[null,` + ref + `,"phoenix","phx_reply",` + ok + `]`
}

// WantClose fails the test unless the server closes next, with code and without a reason.
func (c *Client) WantClose(code int) {
	c.tb.Helper()
	m, err := c.Receive(Timeout)
	var closed *websocket.CloseError
	switch {
	case err == nil:
		c.tb.Fatalf("got  %v\nwant close %d", m, code)
	case !errors.As(err, &closed) || closed.Code != code:
		c.tb.Fatalf("got %v, want close %d", err, code)
	case closed.Text != "":
		c.tb.Fatalf("got close reason %q, want none", closed.Text)
	}
}

// WantGone reads until the connection ends, in whatever way, and returns what came before.
func (c *Client) WantGone() []Message {
	c.tb.Helper()
	var before []Message
	for {
		m, err := c.Receive(Timeout)
		if errors.Is(err, ErrTimeout) {
			c.tb.Fatalf("got %v, want the connection to end", err)
		}
		if err != nil {
			return before
		}
		before = append(before, m)
	}
}

// Same tells whether m is the text frame want, compared as JSON.
func Same(m Message, want string) bool {
	if m.Binary {
		return false
	}
	got, err := decode(m.Data)
	if err != nil {
		return false
	}
	wanted, err := decode([]byte(want))
	if err != nil {
		panic(fmt.Sprintf("phoenixtest: wanted frame %s: %v", want, err))
	}
	return reflect.DeepEqual(got, wanted)
}

func decode(data []byte) (value any, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err = d.Decode(&value); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errors.New("more than one value")
	}
	return value, nil
}
