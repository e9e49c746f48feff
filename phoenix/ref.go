package phoenix

import "roost/internal/rawjson"

// MaxRefSize is the longest ref or join_ref a client may send, in bytes of JSON. Longer ones are [ErrMalformed].
const MaxRefSize = 255

// Ref is a ref or join_ref: the bytes of a JSON value as the client wrote them, opaque and echoed as they are. The empty
// Ref is null.
type Ref string

// StringRef returns the Ref whose JSON is the string s.
func StringRef[T string | []byte](s T) Ref { return Ref(rawjson.AppendString(nil, s)) }

// Equal tells whether r and o have the same type and value. Strings are compared by their text, all else by its bytes.
func (r Ref) Equal(o Ref) bool {
	return r == o || len(r) > 0 && len(o) > 0 && r[0] == '"' && o[0] == '"' && r.text() == o.text()
}

// Or returns r, or o if r is null.
func (r Ref) Or(o Ref) Ref {
	if r == "" {
		return o
	}
	return r
}

// JSON returns the bytes of r, "null" for the empty Ref.
func (r Ref) JSON() string {
	if r == "" {
		return "null"
	}
	return string(r)
}

// text returns r as binary frames carry it: the text of a string, the bytes of another value, nothing for null.
func (r Ref) text() string {
	if len(r) < 2 || r[0] != '"' {
		return string(r)
	}
	for i := range len(r) {
		if r[i] == '\\' {
			s, err := rawjson.Unquote([]byte(r))
			if err != nil {
				return string(r)
			}
			return string(s)
		}
	}
	return string(r[1 : len(r)-1])
}
