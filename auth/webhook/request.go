package webhook

import (
	"encoding/base64"
	"strings"
	"time"

	"roost/auth"
	"roost/internal/rawjson"
)

// envelope is a request's body while it is written. All requests begin alike: [newEnvelope] leaves data open, and bytes
// closes it.
type envelope []byte

// newEnvelope begins the request for e. An empty assigns is {}. size is about what the caller will add.
func newEnvelope(e event, c *auth.Client, assigns []byte, size int) envelope {
	b := newHead(types[e], time.Now(), size+dataSize(c, assigns))
	b.client(c)
	if c.AuthToken == nil {
		b = append(b, `,"auth_token":null`...)
	} else {
		b.text("auth_token", *c.AuthToken)
	}
	b.object("assigns", assigns)
	return b
}

// dataSize is about what client and assigns add, in bytes.
func dataSize(c *auth.Client, assigns []byte) int {
	return 512 + len(c.Params) + len(c.Headers) + len(assigns)
}

// newHead is what stands before the value of data.
func newHead(kind string, at time.Time, size int) envelope {
	b := append(make(envelope, 0, size), `{"type":"`...)
	b = append(b, kind...)
	b = append(b, `","timestamp":"`...)
	b = at.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	return append(b, `","data":`...)
}

// client begins data.
func (b *envelope) client(c *auth.Client) {
	*b = appendText(append(*b, `{"connection":`...), c.Connection)
	if c.ID == "" {
		*b = append(*b, `,"id":null`...)
	} else {
		b.text("id", c.ID)
	}
	b.text("transport", c.Transport)
	b.text("vsn", c.VSN)
	b.text("remote_ip", c.RemoteIP)
	b.object("params", c.Params)
	b.object("headers", c.Headers)
}

func connectRequest(c *auth.Client) []byte {
	return newEnvelope(connect, c, c.Assigns, 0).bytes()
}

func joinRequest(r *auth.JoinRequest) []byte {
	b := newEnvelope(join, r.Client, r.Assigns, len(r.Payload)*4/3)
	b.text("topic", r.Topic)
	b.raw("join_ref", r.JoinRef.JSON())
	b.raw("ref", r.Ref.JSON())
	b.payload(r.Payload, r.Binary)
	return b.bytes()
}

func pushRequest(r *auth.PushRequest) []byte {
	b := newEnvelope(push, r.Client, r.Assigns, len(r.Payload)*4/3)
	b.text("topic", r.Topic)
	b.raw("join_ref", r.JoinRef.JSON())
	b.raw("ref", r.Ref.JSON())
	b.text("event", r.Event)
	b.payload(r.Payload, r.Binary)
	return b.bytes()
}

func (b envelope) bytes() []byte { return append(b, '}', '}') }

// raw adds a field whose value is JSON. Its name needs no escapes.
func (b *envelope) raw(name, value string) {
	*b = append(b.name(name), value...)
}

func (b *envelope) text(name, value string) {
	*b = appendText(b.name(name), value)
}

// object adds a field whose value is JSON, {} if empty.
func (b *envelope) object(name string, value []byte) {
	*b = b.name(name)
	if len(value) == 0 {
		*b = append(*b, '{', '}')
		return
	}
	*b = append(*b, value...)
}

func (b *envelope) payload(data []byte, binary bool) {
	if !binary {
		b.object("payload", data)
		return
	}
	*b = append(b.name("payload_base64"), '"')
	*b = append(base64.StdEncoding.AppendEncode(*b, data), '"')
}

func (b *envelope) name(name string) envelope {
	*b = append(*b, `,"`...)
	*b = append(*b, name...)
	return append(*b, `":`...)
}

// appendText appends a JSON string. JSON is UTF-8, so what is not becomes U+FFFD.
func appendText(b envelope, s string) envelope {
	return rawjson.AppendString(b, strings.ToValidUTF8(s, "\uFFFD"))
}
