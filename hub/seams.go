package hub

import (
	"context"
	"crypto/rand"
	"time"
)

// Address names one publish channel, without the prefix of the installation: "topic:<topic>", "id:<socket id>" or
// "conn:<connection id>".
type Address string

// Kinds of addresses.
const (
	topicPrefix = "topic:"
	idPrefix    = "id:"
	connPrefix  = "conn:"
)

// TopicAddress is where broadcasts for topic are published.
func TopicAddress(topic string) Address { return Address(topicPrefix + topic) }

// IDAddress is where messages for all connections of a socket id are published.
func IDAddress(id string) Address { return Address(idPrefix + id) }

// ConnAddress is where messages for one connection are published.
func ConnAddress(connection string) Address { return Address(connPrefix + connection) }

// A Broker carries messages between the pods and from the backend.
type Broker interface {
	// Run keeps the link and hands what arrives to sink, one message at a time and in the broker's order, until ctx ends.
	// Once the link has been up, it is restored for ever.
	Run(ctx context.Context, sink Sink) error

	// Subscribe asks for the messages of addr. It does not block. done, unless it is nil, is called once, from any goroutine and maybe
	// before Subscribe returns, when the broker has confirmed that all that is published from now on will be delivered;
	// if the link is down, not before it is up again. An address stays subscribed, over every loss of the link, until
	// Unsubscribe. Subscribing to one that is subscribed already is cheap and confirms the subscription as it is now.
	// Messages for the connections of this pod (their ids begin with its id and a dot) come without a subscription.
	Subscribe(addr Address, done func(error))

	// Unsubscribe ends subscriptions. It does not block.
	Unsubscribe(addrs ...Address)

	// Publish sends body to addr. It does not block. done is called once: with nil when the broker has taken it, which
	// includes this pod's own subscription, or with an error when it did not or is not known to have done so. Messages
	// to one address published one after the other, each after the done of the one before, arrive in that order.
	Publish(addr Address, body []byte, done func(error))
}

// A Chooser is a Broker that cannot carry every topic.
type Chooser interface {
	// Takes tells whether topic can be joined. It does not block.
	Takes(topic string) bool
}

// A Sink takes what a Broker receives. Its methods are called one at a time and do not block.
type Sink interface {
	// Message hands over body, which the sink may keep.
	Message(addr Address, body []byte)
	// Oversize tells that a message of size bytes came, which was too large to be kept.
	Oversize(addr Address, size int64)
	// LinkUp tells that the link stands, and all subscriptions on it. lost is true if messages to any address may have been
	// missed since it last stood.
	LinkUp(lost bool)
	// Gap tells that messages to addr may have been missed, while others were not. The subscription stands again.
	Gap(addr Address)
	// LinkDown tells that the link broke.
	LinkDown(err error)
}

// Member is one entry of the roster: a member, or a connection whose end the backend wants to know.
type Member struct {
	Topic      string
	Connection string
	JoinRef    string // JSON
	Bare       bool   // it is a connection, and Topic is empty
	Unlisted   bool   // it is in no membership set; so is every Bare one
	Notice     Notice // what the backend is told of its end

	Tracked  bool      // its topic keeps presence
	Presence *Presence // what it shows, or nil
	Lingers  bool      // its connection has ended, and it is shown for Config.PresenceGrace all the same
}

// Notice is what a backend is told of the end of a member or a connection.
type Notice struct {
	// Record is what there is to tell but for the reason, or "" if nobody is to be told. It begins with the id of the notice and
	// a space; the rest is known to who wrote it.
	Record string
	Reason string    // "" if it has not ended, or nobody knows
	At     time.Time // of the end
}

// A Roster keeps the membership sets that backends read. Entries are written in the order of the calls.
type Roster interface {
	// Add enters m. It does not block. done is called once: with nil when everyone can see m, or with an error.
	Add(m Member, done func(error))
	// Remove takes m back. It does not block. done, unless it is nil, is called once: with nil when nobody sees m any more,
	// or with an error; then the Remove is made good when Redis is back. It may be called for what was never added. If m has
	// a notice, the backend is told, whatever becomes of this pod.
	Remove(m Member, done func(error))
}

// A Courier takes notices to the backend.
type Courier interface {
	// Offer hands over a notice. It does not block. It returns false if there is no room. taken is called once, maybe
	// before Offer returns, when the notice need not be kept any more; it does not block.
	Offer(record, reason string, at time.Time, taken func()) bool
}

// A Returner is a Sink that wants to know when the other pods had taken this one for dead and told the backend so.
type Returner interface {
	// Returned does not block.
	Returned()
}

// A Census is a Sink that can name all members that should be in the roster: those for which Add was called, or is about
// to be, and Remove was not. After a failed Add, call Remove. With a Census, a Broker that is a Roster too makes the sets
// right again after Redis was away.
type Census interface {
	// Members calls yield for each, in any order, until it returns false. It is called from a goroutine of the Broker's, and
	// may wait for locks that are not held while a method of the Broker or the Roster is called.
	Members(yield func(Member) bool)
}

// A Directory tells pods where to find each other.
type Directory interface {
	// Key returns a secret of 32 bytes that all pods share and nobody else knows. It blocks until it is known, or ctx ends.
	Key(ctx context.Context) ([]byte, error)
	// URL returns the base URL of a pod's client port as other pods reach it, or "" if the pod is gone or has none. It
	// blocks until that is known, or ctx ends.
	URL(ctx context.Context, pod string) (string, error)
}

// A BanList says which socket ids may not connect.
type BanList interface {
	// Banned tells whether id is on the list. It blocks until that is known, or ctx ends.
	Banned(ctx context.Context, id string) (bool, error)
}

// Alone is the Directory of a pod that has no others, with a secret of its own.
func Alone() Directory {
	var a alone
	_, _ = rand.Read(a[:]) // never fails
	return a
}

type alone [32]byte

func (a alone) Key(context.Context) ([]byte, error) { return a[:], nil }

func (alone) URL(context.Context, string) (string, error) { return "", nil }

// Stream keeps what clients push where a rule says push: stream.
type Stream interface {
	// Append blocks until e is stored or ctx ends.
	Append(ctx context.Context, e StreamEntry) error
}

// StreamEntry is one client's push.
type StreamEntry struct {
	Connection, ID, Topic, JoinRef, Ref, Event string
	Payload                                    []byte // JSON, or data if Binary
	Binary                                     bool
}
