package webhook

import (
	"errors"

	"roost/auth"
	"roost/internal/rawjson"
)

// decodePresence reads {"key","meta"}, or null for no presence. A key that is a number counts as its text.
func decodePresence(value []byte) (*auth.Presence, error) {
	if string(value) == "null" {
		return &auth.Presence{None: true}, nil
	}
	if !rawjson.IsObject(value) {
		return nil, errors.New("neither an object nor null")
	}
	var p auth.Presence
	found := false
	err := fields(value, func(key string, value []byte) (err error) {
		switch key {
		case "key":
			found = true
			p.Key, err = decodeKey(value)
		case "meta":
			if p.Meta, err = decodeObject(value); err == nil {
				p.Meta, err = withoutRefs(value)
			}
		}
		return err
	})
	if err == nil && !found {
		err = errors.New("key: missing")
	}
	return &p, err
}

func decodeKey(value []byte) (string, error) {
	if value[0] == '-' || value[0] >= '0' && value[0] <= '9' {
		return string(value), nil
	}
	return decodeText(value)
}

// withoutRefs returns a meta without the fields that are the gateway's, as it stands if there are none.
func withoutRefs(meta []byte) ([]byte, error) {
	out, dropped := []byte{'{'}, false
	err := rawjson.Object(meta, func(key, value []byte) error {
		if string(key) == "phx_ref" || string(key) == "phx_ref_prev" {
			dropped = true
			return nil
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(rawjson.AppendString(out, key), ':')
		out = append(out, value...)
		return nil
	})
	if !dropped {
		return meta, err
	}
	return append(out, '}'), err
}
