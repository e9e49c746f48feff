package webhook

import (
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"strings"
	"time"

	"roost/auth"
	"roost/internal/rawjson"
)

// A record is a notice before its time: the words id, type and connection, and then data, which is open at its end for the
// reason. It holds neither auth token nor the param that is one, because it is kept in Redis.

// RecordLeave implements [auth.Recorder]. It returns "" if leave is not among Config.Events.
func (c *Client) RecordLeave(n *auth.LeaveNotice) string {
	if !c.on[leave] {
		return ""
	}
	b := c.newRecord(leave, n.Client, n.Number, n.Assigns, len(n.Topic))
	b.text("topic", n.Topic)
	b.raw("join_ref", n.JoinRef.JSON())
	return string(b)
}

// RecordDisconnect implements [auth.Recorder]. It returns "" if disconnect is not among Config.Events.
func (c *Client) RecordDisconnect(n *auth.DisconnectNotice) string {
	if !c.on[disconnect] {
		return ""
	}
	return string(c.newRecord(disconnect, n.Client, 0, n.Client.Assigns, 0))
}

func (c *Client) newRecord(e event, client *auth.Client, number uint32, assigns []byte, size int) envelope {
	known := *client
	if name := c.config.TokenParam; name != "" {
		known.Params = rawjson.Replace(known.Params, name, nil)
	}
	b := append(make(envelope, 0, size+len(known.Connection)+dataSize(&known, assigns)), noticeID(known.Connection, number)...)
	b = append(b, ' ')
	b = append(b, types[e]...)
	b = append(b, ' ')
	b = append(b, known.Connection...)
	b = append(b, ' ')
	b.client(&known)
	b = append(b, `,"auth_token":null`...)
	b.object("assigns", assigns)
	return b
}

var idEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// noticeID is the webhook-id of a leave or, with number 0, of a disconnect. Connection ids may hold what no header may.
func noticeID(connection string, number uint32) string {
	sum := sha256.Sum256(append(strconv.AppendUint(make([]byte, 0, 64), uint64(number), 10), " "+connection...))
	return "msg_" + idEncoding.EncodeToString(sum[:16])
}

// parseRecord takes a record apart. ok is false if it is none.
func parseRecord(record string) (id string, e event, connection, data string, ok bool) {
	id, rest, ok1 := strings.Cut(record, " ")
	kind, rest, ok2 := strings.Cut(rest, " ")
	connection, data, ok3 := strings.Cut(rest, " ")
	switch {
	case !ok1 || !ok2 || !ok3 || !strings.HasPrefix(id, "msg_") || !strings.HasPrefix(data, "{"):
		return "", 0, "", "", false
	case kind == types[leave]:
		return id, leave, connection, data, true
	case kind == types[disconnect]:
		return id, disconnect, connection, data, true
	default:
		return "", 0, "", "", false
	}
}

// noticeBody is what the backend is sent. Who does not know the reason is not the pod where it happened.
func noticeBody(e event, data string, reason auth.Reason, at time.Time) []byte {
	if reason == "" {
		reason = auth.ReasonPodLost
	}
	b := append(newHead(types[e], at, len(data)+128), data...)
	b.text("reason", string(reason))
	return b.bytes()
}
