package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"roost/phoenix"
)

// A Backend answers for the application. All methods may be called by many goroutines at once. The gateway has at most
// one Push in flight per channel, in order, and calls Join for different topics side by side.
//
// The context of a call ends when its answer is no longer wanted: the client left, joined again, or is gone.
//
// An error that is a [*Refusal] is a "no" that the client is told. Any other error means that the backend could not be
// asked: a connect is answered with 503, a join with "join crashed", a push with "backend unavailable".
type Backend interface {
	// Connect is asked before a connection is accepted, when its answer runs out, and when the client renews its token.
	Connect(ctx context.Context, c *Client) (*ConnectAnswer, error)
	// Join is asked for topics whose rule says join: webhook.
	Join(ctx context.Context, r *JoinRequest) (*Answer, error)
	// Push is asked for topics whose rule says push: webhook.
	Push(ctx context.Context, r *PushRequest) (*Answer, error)
	// Leave tells that a channel whose join was answered ok has ended. It must not block.
	Leave(n *LeaveNotice)
	// Disconnect tells that an accepted connection has ended. It must not block.
	Disconnect(n *DisconnectNotice)
}

// A Forgetter is a Backend that remembers answers to joins, by socket id.
type Forgetter interface {
	// Forget drops what is remembered of id: a connection or a channel of it was ended by the backend's word. It must not
	// block.
	Forget(id string)
}

// Client is one connection, as a backend sees it. It is shared by all calls of that connection until its token is renewed: do not
// change it.
type Client struct {
	Connection string          // connection id, unique in the cluster: "<pod id>.<something>"
	ID         string          // socket id the backend gave when it accepted the connection, or ""
	Transport  string          // "websocket" or "longpoll"
	VSN        string          // as the client sent it, "1.0.0" if it did not
	RemoteIP   string          // of the peer
	Params     json.RawMessage // object: the query, decoded as Plug does
	Headers    json.RawMessage // object: the request headers that the gateway is set to pass on, names in lower case
	AuthToken  *string         // phoenix.js's authToken, or the token that came over the connection last, or nil
	Assigns    json.RawMessage // object: what Connect answered last, the start of every channel's assigns
}

// JoinRequest asks whether Client may join Topic.
type JoinRequest struct {
	Client  *Client
	Topic   string
	JoinRef phoenix.Ref
	Ref     phoenix.Ref
	Payload []byte          // JSON, or data if Binary
	Binary  bool            // Payload is data
	Assigns json.RawMessage // object
	Fresh   bool            // what was answered before has run out, and does not count
}

// PushRequest hands over an event that Client sent to a topic it has joined.
type PushRequest struct {
	Client  *Client
	Topic   string
	JoinRef phoenix.Ref
	Ref     phoenix.Ref
	Event   string
	Payload []byte          // JSON, or data if Binary
	Binary  bool            // Payload is data
	Assigns json.RawMessage // object: the channel's, as the last answer set them
}

// ConnectAnswer accepts a connection.
type ConnectAnswer struct {
	ID      string          // socket id, or ""
	Assigns json.RawMessage // object; nil means {}, or the token's claims if there is one
	// Expires is when Connect is asked again, unless it is zero. It counts instead of a token's.
	Expires time.Time
}

// Answer accepts a join, or answers a push. Its order of effects is, for a join: reply, presence, pushes, broadcasts; for a
// push: broadcasts, presence, reply, pushes, stop.
type Answer struct {
	// Status is "ok" or "error" for a join. A push may have any status, and none means that it gets no reply.
	Status string
	// Response is any JSON, nil means {}; or data if Binary.
	Response []byte
	Binary   bool
	// Assigns replaces the channel's assigns, unless it is nil. It is a JSON object.
	Assigns json.RawMessage
	// Pushes go to this member.
	Pushes []Push
	// Broadcasts go to all members of a topic.
	Broadcasts []Broadcast
	// Presence says what the member shows of itself where the topic's rule keeps presence; nil changes nothing.
	Presence *Presence
	// Expires is when Join is asked again, unless it is zero.
	Expires time.Time
	// Stop ends the channel: StopClose or StopError. Push only.
	Stop Stop
}

// Presence is what a member shows of itself to its topic.
type Presence struct {
	Key  string // who it is; several members may have the same. Another key replaces the first
	Meta []byte // JSON object, nil means {}
	None bool   // it shows nothing any more
}

// Push is one event for one member.
type Push struct {
	Event   string
	Payload []byte      // JSON object, nil means {}; or data if Binary
	Binary  bool        // Payload is data
	Ref     phoenix.Ref // null unless given
}

// Broadcast is one event for all members of a topic.
type Broadcast struct {
	Topic   string // the channel's own if ""
	Event   string
	Payload []byte // JSON object, nil means {}; or data if Binary
	Binary  bool   // Payload is data
	From    bool   // leave out the member that was answered, as broadcast_from does
}

// Stop says how a channel ends after the answer to a push.
type Stop uint8

const (
	StopNot   Stop = iota
	StopClose      // phx_close: the client stays away
	StopError      // phx_error: the client joins again
)

// Reason says why a channel or a connection ended.
type Reason string

// The reasons of docs/webhook.md.
const (
	ReasonLeft          Reason = "left"           // the client left the channel
	ReasonClosed        Reason = "closed"         // the client or the network closed the connection
	ReasonDisconnected  Reason = "disconnected"   // the backend disconnected the socket id or the connection
	ReasonDuplicateJoin Reason = "duplicate_join" // the client joined the topic again
	ReasonKicked        Reason = "kicked"         // the backend sent phx_close or phx_error
	ReasonInactive      Reason = "inactive"       // nothing was heard of the client for too long
	ReasonSlow          Reason = "slow"           // the client did not read what it was sent
	ReasonDrained       Reason = "drained"        // the pod stops
	ReasonExpired       Reason = "expired"        // the authorisation ran out
	ReasonError         Reason = "error"          // the client broke the protocol, or the channel crashed
	ReasonPodLost       Reason = "pod_lost"       // the pod died; a surviving pod says so
)

// LeaveNotice tells the end of a channel.
type LeaveNotice struct {
	Client  *Client
	Topic   string
	JoinRef phoenix.Ref
	Number  uint32 // of the join among all of its connection, from 1
	Assigns json.RawMessage
	Reason  Reason
}

// DisconnectNotice tells the end of a connection.
type DisconnectNotice struct {
	Client *Client
	Reason Reason
}

// ErrLate is what the error of a Join is, too, if the question left but its answer did not come in time or was no longer
// wanted: the backend may have said ok. It is then sent a Leave.
var ErrLate = errors.New("auth: the answer is too late")

// Refusal is a backend's "no". Code is an HTTP status: 4xx, or 5xx if a connect was refused with it. Response is what the
// client is told: any JSON, or nil for the default, {"reason":"unauthorized"} for 401 and {"reason":"forbidden"} otherwise;
// or data if Binary. A refused connect answers with Code and Response (a JSON string is sent as plain text), and with an
// empty body if Response is nil.
type Refusal struct {
	Code     int
	Response []byte
	Binary   bool
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("refused: %d %s", r.Code, http.StatusText(r.Code))
}

// Reply returns what the client is told.
func (r *Refusal) Reply() []byte {
	switch {
	case r.Response != nil:
		return r.Response
	case r.Code == http.StatusUnauthorized:
		return []byte(`{"reason":"unauthorized"}`)
	default:
		return []byte(`{"reason":"forbidden"}`)
	}
}
