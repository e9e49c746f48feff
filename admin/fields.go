package admin

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"roost/hub"
	"roost/internal/rawjson"
)

// fields are those of a body: strings as text, payloads as they stand.
type fields struct {
	texts   map[string]string
	payload []byte
	data    []byte // of payload_base64
	binary  bool
	rest    map[string][]byte // as they stand
}

// optional are the fields that a message may leave out.
var optional = []string{"except", "payload", "payload_base64"}

// errFields is what is wrong with the fields of a message.
type errFields string

func (e errFields) Error() string { return string(e) }

// maxBinaryField is the longest topic or event of a binary message, in bytes: clients could not be sent a longer one.
const maxBinaryField = 255

// read reads an object that may have these strings, a payload if payload says so, and others that are handed on as they stand. A string
// that is there is not empty: a script whose variable is not set must not do something else than was meant. null in place of what a
// message may leave out is nothing, as in what is published through Redis.
func read(body []byte, payload bool, texts, others []string) (*fields, error) {
	f := &fields{texts: map[string]string{}, rest: map[string][]byte{}}
	err := rawjson.Object(body, func(k, value []byte) error {
		key := string(k)
		switch {
		case payload && string(value) == "null" && slices.Contains(optional, key):
		case slices.Contains(texts, key):
			text, err := rawjson.Unquote(value)
			if err != nil {
				return errFields(key + ": not a string")
			}
			if len(text) == 0 {
				return errFields(key + ": empty")
			}
			f.texts[key] = string(text)
		case payload && key == "payload":
			if !rawjson.IsObject(value) {
				return errFields("payload: not an object")
			}
			f.payload = value
		case payload && key == "payload_base64":
			text, err := rawjson.Unquote(value)
			if err == nil {
				f.data, err = base64.StdEncoding.DecodeString(string(text))
			}
			if err != nil {
				return errFields("payload_base64: not base64 in a string")
			}
			f.binary = true
		case slices.Contains(others, key):
			f.rest[key] = value
		default:
			return errFields(fmt.Sprintf("%.100q: there is no such field", key))
		}
		return nil
	})
	var wrong errFields
	switch {
	case errors.As(err, &wrong):
		return nil, err
	case err != nil || !rawjson.Valid(body):
		return nil, problem("invalid_request", "the body is not a JSON object")
	case f.binary && f.payload != nil:
		return nil, errFields("payload and payload_base64: only one of them can be")
	}
	return f, nil
}

// needs returns an error if one of the strings is not there, or longer than clients can be sent.
func (f *fields) needs(names ...string) error {
	for _, name := range names {
		switch n := len(f.texts[name]); {
		case n == 0:
			return errFields(name + ": missing")
		case f.binary && n > maxBinaryField:
			return errFields(fmt.Sprintf("%s: longer than %d bytes, which a binary message cannot have", name, maxBinaryField))
		}
	}
	return nil
}

// broadcast is the event and payload of a message.
func (f *fields) broadcast() hub.Broadcast {
	b := hub.Broadcast{Event: f.texts["event"], Payload: f.payload, Except: f.texts["except"]}
	if f.binary {
		b.Payload, b.Binary = f.data, true
	}
	return b
}

// invalid makes a problem of what is wrong with a message.
func invalid(err error) error {
	var wrong errFields
	if errors.As(err, &wrong) {
		return problem("invalid_message", string(wrong))
	}
	return err
}

// target is the address that id or connection names.
func (f *fields) target() (hub.Address, error) {
	id, connection := f.texts["id"], f.texts["connection"]
	switch {
	case id != "" && connection != "":
		return "", errFields("id and connection: only one of them can be")
	case id != "":
		return hub.IDAddress(id), nil
	case connection != "":
		return hub.ConnAddress(connection), nil
	}
	return "", errFields("id or connection: missing")
}
