package hub

import (
	"context"
	"errors"
	"time"
)

// An Operator answers what the people who run an installation ask about all of it, and publishes for them. Its methods block
// until Redis has answered or ctx ends; they ask Redis only, never another pod.
type Operator interface {
	// Send publishes messages, and tells for each what became of it.
	Send(ctx context.Context, messages []Message) []Sent

	// ListTopics returns topics that have members, those with the prefix (or that very topic), some at a time, in no order. next
	// is where to go on, "" at the end. There may be none on a page, and one may come twice.
	ListTopics(ctx context.Context, match TopicMatch, cursor string, limit int) (topics []TopicCount, next string, err error)
	// CountTopic counts one topic's.
	CountTopic(ctx context.Context, topic string) (TopicCount, error)
	// ListMembers returns the connections of a topic's members, likewise.
	ListMembers(ctx context.Context, topic, cursor string, limit int) (connections []string, next string, err error)
	// ListPresence returns who is shown in a topic, likewise.
	ListPresence(ctx context.Context, topic, cursor string, limit int) (list []Shown, next string, err error)

	// FindConnection returns what is known of a connection, or ErrUnknown.
	FindConnection(ctx context.Context, connection string) (ConnectionState, error)
	// ListPods returns all pods, also those whose lease is over, and what they said last.
	ListPods(ctx context.Context) ([]PodState, error)

	// Remember takes a key for a request, for as long as pending. The first caller gets a mark; later ones what Conclude kept, or
	// ErrPending while that is not known. It is ErrOther if the fingerprint is not the first one's.
	Remember(ctx context.Context, key, fingerprint string, pending time.Duration) (mark string, result []byte, err error)
	// Conclude keeps what became of the request for as long as keep, or with nil frees the key: nothing has been done. It leaves a
	// key alone that is no longer the mark's.
	Conclude(ctx context.Context, key, mark string, result []byte, keep time.Duration) error

	// Tap hands what is published to topics to each, until ctx ends, the link breaks or the topic's slot moves. each must not block.
	Tap(ctx context.Context, match TopicMatch, ready func(), each func(topic string, body []byte)) error
}

// Errors of an Operator.
var (
	ErrUnknown  = errors.New("hub: there is no such thing")
	ErrPending  = errors.New("hub: the first request of this key is under way")
	ErrOther    = errors.New("hub: the key was used for another request")
	ErrNoTapFor = errors.New("hub: with sharded pub/sub only whole topics can be listened to")
	ErrCursor   = errors.New("hub: this cursor is not one of ours")
)

// Message is what is published to an address.
type Message struct {
	Addr Address
	Body []byte
}

// Sent is what became of a message.
type Sent struct {
	Receivers int64 // pods, and taps, that listen; -1 in a Cluster, where no server knows
	Err       error
}

// TopicMatch is a topic, or what topics begin with.
type TopicMatch struct {
	Text   string
	Prefix bool
}

// TopicCount is how many are in a topic.
type TopicCount struct {
	Topic   string
	Members int64
	Present int64 // metas that are shown
}

// ConnectionState is what Redis knows of a connection. ID, Transport and RemoteIP are known where the backend wants to be told of
// leaves or disconnects.
type ConnectionState struct {
	Connection, Pod         string
	ID, Transport, RemoteIP string
	Topics                  []string
}

// PodState is a pod's lease, and what it said of itself last.
type PodState struct {
	ID      string
	Left    time.Duration // of its lease; below 0 it is dead, and about to be swept
	Said    time.Time     // zero: nothing
	Reports PodReport
}

// PodReport is what a pod says of itself every some seconds, and when it begins or ends to shed connections or to stop.
type PodReport struct {
	Version     string    `json:"version"`
	Started     time.Time `json:"started"`
	Connections int       `json:"connections"`
	LongPoll    int       `json:"longpoll"` // of them
	Channels    int       `json:"channels"`
	Topics      int       `json:"topics"` // that have members on this pod
	Draining    bool      `json:"draining"`
	Shedding    bool      `json:"shedding"` // it closes a share of its connections
}

// ControlAddress is where a pod is told to do something. Its events are pushes to a [Peer] whose connection id is
// [ControlConnection].
func ControlAddress(pod string) Address { return ConnAddress(ControlConnection(pod)) }

// ControlConnection is the connection id under which a pod listens for what it is told. Connection ids have no dash behind the dot.
func ControlConnection(pod string) string { return pod + ".-control" }

// AddressedBody is what is published to a socket id or a connection: an event of a topic, or, without a topic, "disconnect". It
// is ErrMalformed if the payload is no object, or the event is missing.
func AddressedBody(topic string, b Broadcast) ([]byte, error) {
	if !b.wellFormed() {
		return nil, ErrMalformed
	}
	e := b.envelope()
	e.topic = topic
	return e.append(nil), nil
}
