// Package rawjson cuts JSON text (RFC 8259) into its pieces without decoding them.
//
// Roost passes payloads and refs through untouched, so it needs to know where a value begins and ends and that it is
// well formed, and nothing more. No function here allocates, except [Unquote] for a string with escapes.
package rawjson

import "errors"

// MaxDepth is how deep arrays and objects may nest.
const MaxDepth = 1024

// ErrSyntax is the answer to everything that is not JSON, or nests deeper than [MaxDepth].
var ErrSyntax = errors.New("rawjson: not valid JSON")

// Space returns the first index from i on that is not JSON white space.
func Space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// Valid tells whether b is exactly one JSON value. UTF-8 inside strings is not checked.
func Valid(b []byte) bool {
	end, err := Value(b, Space(b, 0))
	return err == nil && Space(b, end) == len(b)
}

// Trim returns b without the white space around it.
func Trim(b []byte) []byte {
	b = b[Space(b, 0):]
	for len(b) > 0 {
		switch b[len(b)-1] {
		case ' ', '\n', '\r', '\t':
			b = b[:len(b)-1]
		default:
			return b
		}
	}
	return b
}

// IsObject tells whether the well-formed value b is an object.
func IsObject(b []byte) bool { return len(b) > 0 && b[0] == '{' }

// Value checks the value that begins at b[i] and returns the index behind it.
func Value(b []byte, i int) (int, error) {
	var objects [MaxDepth / 64]uint64 // bit d says whether level d is an object
	depth := 0
	for {
		// A value begins at i.
		if i >= len(b) {
			return i, ErrSyntax
		}
		switch c := b[i]; {
		case c == '{' || c == '[':
			if depth == MaxDepth {
				return i, ErrSyntax
			}
			bit := uint64(1) << (depth & 63)
			i = Space(b, i+1)
			if c == '{' {
				objects[depth>>6] |= bit
			} else {
				objects[depth>>6] &^= bit
			}
			depth++
			if i < len(b) && b[i] == c+2 { // '}' is '{'+2, ']' is '['+2
				i++
				depth--
				break
			}
			if c == '{' {
				var err error
				if i, err = key(b, i); err != nil {
					return i, err
				}
			}
			continue
		case c == '"':
			end, err := String(b, i)
			if err != nil {
				return i, err
			}
			i = end
		case c == '-' || '0' <= c && c <= '9':
			end, err := number(b, i)
			if err != nil {
				return i, err
			}
			i = end
		case c == 't' && len(b)-i >= 4 && string(b[i:i+4]) == "true":
			i += 4
		case c == 'f' && len(b)-i >= 5 && string(b[i:i+5]) == "false":
			i += 5
		case c == 'n' && len(b)-i >= 4 && string(b[i:i+4]) == "null":
			i += 4
		default:
			return i, ErrSyntax
		}
		// A value ended at i: close levels until one goes on.
		for {
			if depth == 0 {
				return i, nil
			}
			i = Space(b, i)
			if i >= len(b) {
				return i, ErrSyntax
			}
			object := objects[(depth-1)>>6]&(1<<((depth-1)&63)) != 0
			if b[i] == ',' {
				i = Space(b, i+1)
				if object {
					var err error
					if i, err = key(b, i); err != nil {
						return i, err
					}
				}
				break
			}
			if object && b[i] != '}' || !object && b[i] != ']' {
				return i, ErrSyntax
			}
			i++
			depth--
		}
	}
}

// key checks `"key" :` at b[i] and returns the index of the value behind it.
func key(b []byte, i int) (int, error) {
	i, err := String(b, i)
	if err != nil {
		return i, err
	}
	i = Space(b, i)
	if i >= len(b) || b[i] != ':' {
		return i, ErrSyntax
	}
	return Space(b, i+1), nil
}

func number(b []byte, i int) (int, error) {
	digits := func() bool {
		start := i
		for i < len(b) && '0' <= b[i] && b[i] <= '9' {
			i++
		}
		return i > start
	}
	if b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if !digits() {
		return i, ErrSyntax
	}
	if i < len(b) && b[i] == '.' {
		i++
		if !digits() {
			return i, ErrSyntax
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !digits() {
			return i, ErrSyntax
		}
	}
	return i, nil
}

// Object calls field for each member of the object b, in order, with the key's text and the value's bytes as they
// stand. It checks all of b. An error of field ends the walk and is returned.
func Object(b []byte, field func(key, value []byte) error) error {
	i := Space(b, 0)
	if i >= len(b) || b[i] != '{' {
		return ErrSyntax
	}
	i = Space(b, i+1)
	if i < len(b) && b[i] == '}' {
		return tail(b, i+1)
	}
	for {
		start := i
		end, err := String(b, i)
		if err != nil {
			return err
		}
		name, err := Unquote(b[start:end])
		if err != nil {
			return err
		}
		if i, err = key(b, start); err != nil {
			return err
		}
		if end, err = Value(b, i); err != nil {
			return err
		}
		if err = field(name, b[i:end]); err != nil {
			return err
		}
		i = Space(b, end)
		switch {
		case i < len(b) && b[i] == ',':
			i = Space(b, i+1)
		case i < len(b) && b[i] == '}':
			return tail(b, i+1)
		default:
			return ErrSyntax
		}
	}
}

// Array calls element for each element of the array b, in order, and checks all of b.
func Array(b []byte, element func(value []byte) error) error {
	i := Space(b, 0)
	if i >= len(b) || b[i] != '[' {
		return ErrSyntax
	}
	i = Space(b, i+1)
	if i < len(b) && b[i] == ']' {
		return tail(b, i+1)
	}
	for {
		end, err := Value(b, i)
		if err != nil {
			return err
		}
		if err = element(b[i:end]); err != nil {
			return err
		}
		i = Space(b, end)
		switch {
		case i < len(b) && b[i] == ',':
			i = Space(b, i+1)
		case i < len(b) && b[i] == ']':
			return tail(b, i+1)
		default:
			return ErrSyntax
		}
	}
}

// tail checks that only white space stands from i on.
func tail(b []byte, i int) error {
	if Space(b, i) != len(b) {
		return ErrSyntax
	}
	return nil
}
