package webhook

import (
	"errors"
	"fmt"

	"roost/auth"
	"roost/internal/rawjson"
	"roost/phoenix"
)

// maxBinaryField is the longest event or status, in bytes, that can go with binary data to a client.
const maxBinaryField = 255

var errTooLong = errors.New("longer than the 255 bytes that can go with binary data")

// item is one entry of push or broadcast.
type item struct {
	event   string
	payload content
	ref     phoenix.Ref
	topic   string
	from    bool
}

func decodePushItem(object []byte) (auth.Push, error) {
	it, err := decodeItem(object, func(it *item, key string, value []byte) (err error) {
		if key == "ref" {
			it.ref, err = decodeRef(value)
		}
		return err
	})
	return auth.Push{Event: it.event, Payload: it.payload.bytes, Binary: it.payload.binary, Ref: it.ref}, err
}

func decodeBroadcast(object []byte) (auth.Broadcast, error) {
	it, err := decodeItem(object, func(it *item, key string, value []byte) (err error) {
		switch key {
		case "topic":
			it.topic, err = decodeText(value)
		case "from":
			it.from = string(value) == "true"
			if !it.from && string(value) != "false" {
				err = errors.New("not true or false")
			}
		}
		return err
	})
	return auth.Broadcast{Topic: it.topic, Event: it.event, Payload: it.payload.bytes, Binary: it.payload.binary, From: it.from}, err
}

// decodeItem reads what pushes and broadcasts have in common and calls other for the rest.
func decodeItem(object []byte, other func(it *item, key string, value []byte) error) (item, error) {
	var it item
	if !rawjson.IsObject(object) {
		return it, errors.New("not an object")
	}
	err := fields(object, func(key string, value []byte) (err error) {
		switch key {
		case "event":
			it.event, err = decodeText(value)
		case "payload":
			if value, err = decodeObject(value); err == nil {
				err = it.payload.set(false, value)
			}
		case "payload_base64":
			err = it.payload.set(true, value)
		default:
			err = other(&it, key, value)
		}
		return err
	})
	switch {
	case err != nil:
	case it.event == "":
		err = errors.New("event: missing or empty")
	case it.payload.binary && len(it.event) > maxBinaryField:
		err = fmt.Errorf("event: %w", errTooLong)
	}
	return it, err
}

// decodeRef reads a ref: a string or a number, as clients send them.
func decodeRef(value []byte) (phoenix.Ref, error) {
	if c := value[0]; c != '"' && c != '-' && (c < '0' || c > '9') {
		return "", errors.New("not a string or a number")
	}
	if len(value) > phoenix.MaxRefSize {
		return "", fmt.Errorf("longer than %d bytes", phoenix.MaxRefSize)
	}
	return phoenix.Ref(value), nil
}

// decodeList reads an array of entries.
func decodeList[T any](array []byte, entry func([]byte) (T, error)) ([]T, error) {
	if array[0] != '[' {
		return nil, errors.New("not an array")
	}
	var list []T
	err := rawjson.Array(array, func(value []byte) error {
		one, err := entry(value)
		if err != nil {
			return fmt.Errorf("entry %d: %w", len(list)+1, err)
		}
		list = append(list, one)
		return nil
	})
	return list, err
}
