package hub

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"roost/internal/rawjson"
)

// Presence is what a member shows of itself to the others of its topic.
type Presence struct {
	Key  string // who it is; several members may have the same
	Meta []byte // JSON object
	Ref  string // phx_ref: changes whenever Key or Meta does
	Prev string // phx_ref of what an update replaced, or ""
	// Adopt is a connection that shows the same key and has left, but whose leave nobody has been told of yet. If that still
	// holds when it is written, this member takes over its place and, if Meta is the same, its Ref. Default: none.
	Adopt string
}

// Shown is a member's presence as the broker keeps it.
type Shown struct {
	Connection string
	Order      uint64 // of joins: the less, the longer it is there
	Presence
	Leaving bool // it has left, and may come back without anybody noticing
}

// PresenceChange is one change of the presence of a topic, or several, as it travels. From and Version are those before and
// after it: changes that follow each other fit together.
type PresenceChange struct {
	From, Version uint64
	Count         int      // how many are shown afterwards
	Fresh         bool     // nobody was shown before
	Set           []Shown  // shown anew, or in another way
	Del           []string // connections that are shown no more
}

// A Tracker is a Roster that keeps presence, too. What members show is told to all pods that listen to their topic, as a
// message to its address ([AppendPresenceChange]). Calls keep their order with those of Add and Remove; Remove takes back what
// the member shows.
type Tracker interface {
	// Track shows what m.Presence says, or nothing if it is nil. It does not block, and comes behind an Add of m that
	// succeeded. done is called once: with the version of the topic that has it, or with an error; then it is made good when
	// Redis is back. ref is the Ref that it has, which is another one's after an adoption.
	Track(m Member, done func(ref string, version uint64, err error))
	// ReadPresence returns who is shown in topic, in any order, and the version that has it at least; later changes may be in it.
	// It blocks until then, or until ctx ends.
	ReadPresence(ctx context.Context, topic string) ([]Shown, uint64, error)
	// Distrust tells that what is kept may not be what this pod has entered. It does not block.
	Distrust()
}

// A Follower is a Sink that keeps copies of who is shown.
type Follower interface {
	// Reread tells that changes which were told may be undone, and their versions used again: the copies are to be read anew.
	// It does not block.
	Reread()
}

// refCount makes refs of one process different.
var refCount atomic.Uint32

// NewRef returns a phx_ref: 16 characters that nobody else has.
func NewRef() string {
	var b [12]byte
	binary.BigEndian.PutUint64(b[:], uint64(time.Now().UnixNano()))
	_, _ = rand.Read(b[8:10]) // never fails
	binary.BigEndian.PutUint16(b[10:], uint16(refCount.Add(1)))
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// presenceKey is the field of an envelope that holds a change.
const presenceKey = `,"presence":`

// AppendPresenceChange writes c as it is published.
func AppendPresenceChange(dst []byte, c *PresenceChange) []byte {
	dst = append(dst, `{"event":"presence_diff"`+presenceKey+`{"from":`...)
	dst = strconv.AppendUint(dst, c.From, 10)
	dst = append(dst, `,"v":`...)
	dst = strconv.AppendUint(dst, c.Version, 10)
	dst = append(dst, `,"n":`...)
	dst = strconv.AppendInt(dst, int64(c.Count), 10)
	if c.Fresh {
		dst = append(dst, `,"fresh":true`...)
	}
	dst = append(dst, `,"set":[`...)
	for i := range c.Set {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"c":`...)
		dst = rawjson.AppendString(dst, c.Set[i].Connection)
		dst = append(dst, ',')
		dst = append(dst, AppendShown(nil, &c.Set[i])[1:]...)
	}
	dst = append(dst, `],"del":[`...)
	for i, connection := range c.Del {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = rawjson.AppendString(dst, connection)
	}
	return append(dst, `]}}`...)
}

// AppendShown writes s as it is kept, without its connection. The order and the ref come first.
func AppendShown(dst []byte, s *Shown) []byte {
	dst = append(dst, `{"order":`...)
	dst = strconv.AppendUint(dst, s.Order, 10)
	dst = append(dst, `,"phx_ref":`...)
	dst = rawjson.AppendString(dst, s.Ref)
	dst = append(dst, ',')
	if s.Leaving {
		dst = append(dst, `"leaving":true,`...)
	}
	if s.Prev != "" {
		dst = append(dst, `"phx_ref_prev":`...)
		dst = rawjson.AppendString(dst, s.Prev)
		dst = append(dst, ',')
	}
	return s.AppendBody(dst)
}

// AppendBody writes the last fields of what is kept, the key and the meta, and the closing brace.
func (p *Presence) AppendBody(dst []byte) []byte {
	dst = append(dst, `"key":`...)
	dst = rawjson.AppendString(dst, p.Key)
	dst = append(dst, `,"meta":`...)
	if len(p.Meta) == 0 {
		dst = append(dst, '{', '}')
	}
	return append(append(dst, p.Meta...), '}')
}

var errShown = errors.New("hub: this is no presence")

// ParseShown reads what [AppendShown] wrote, and the connection if it stands there as "c". It keeps parts of b.
func ParseShown(b []byte) (s Shown, err error) {
	err = rawjson.Object(b, func(key, value []byte) error {
		var text *string
		switch string(key) {
		case "c":
			text = &s.Connection
		case "key":
			text = &s.Key
		case "phx_ref":
			text = &s.Ref
		case "phx_ref_prev":
			text = &s.Prev
		case "meta":
			s.Meta = value
		case "leaving":
			s.Leaving = string(value) == "true"
		case "order":
			var err error
			s.Order, err = strconv.ParseUint(string(value), 10, 64)
			return err
		}
		if text == nil {
			return nil
		}
		unquoted, err := rawjson.Unquote(value)
		*text = string(unquoted)
		return err
	})
	if err == nil && (s.Ref == "" || !rawjson.IsObject(s.Meta)) {
		err = errShown
	}
	return s, err
}

// parsePresenceChange reads the object that [AppendPresenceChange] wrote as the field presence. It keeps parts of b.
func parsePresenceChange(b []byte) (c PresenceChange, err error) {
	err = rawjson.Object(b, func(key, value []byte) (err error) {
		switch string(key) {
		case "from":
			c.From, err = strconv.ParseUint(string(value), 10, 64)
		case "v":
			c.Version, err = strconv.ParseUint(string(value), 10, 64)
		case "n":
			c.Count, err = strconv.Atoi(string(value))
		case "fresh":
			c.Fresh = string(value) == "true"
		case "set":
			err = rawjson.Array(value, func(entry []byte) error {
				s, err := ParseShown(entry)
				c.Set = append(c.Set, s)
				return err
			})
		case "del":
			err = rawjson.Array(value, func(entry []byte) error {
				connection, err := rawjson.Unquote(entry)
				c.Del = append(c.Del, string(connection))
				return err
			})
		}
		return err
	})
	return c, err
}
