package gateway

import (
	"encoding/hex"
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"

	"roost/internal/rawjson"
)

// Bounds of a query: how deep its keys may nest, and how many pairs it may have.
const (
	maxQueryDepth = 32
	maxQueryPairs = 1000
)

var errQuery = errors.New("gateway: malformed query")

// params is a decoded query: a string, a list or a map, as Plug's decoder makes them.
type params struct {
	kind paramKind
	text string
	list []*params
	keys []string // of a map, in order of first use
	vals []*params
}

type paramKind uint8

const (
	paramMap paramKind = iota
	paramList
	paramText
)

// decodeQuery decodes a query string as Plug does: a[b]=c nests, a[]=c makes a list, a[0]=c a map, a key without "=" is
// "", the last duplicate wins, and an empty pair is nothing.
func decodeQuery(query string) (*params, error) {
	root, pairs := &params{}, 0
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		if pairs++; pairs > maxQueryPairs {
			return nil, errQuery
		}
		rawKey, rawValue, _ := strings.Cut(pair, "=")
		key, value := unescape(rawKey), unescape(rawValue)
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			return nil, errQuery
		}
		if err := root.put(key, value); err != nil {
			return nil, err
		}
	}
	return root, nil
}

// unescape decodes a form's text. A percent sign that begins no escape stands for itself.
func unescape(s string) string {
	if text, err := url.QueryUnescape(s); err == nil {
		return text
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if b, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				out = append(out, b[0])
				i += 2
				continue
			}
		}
		if s[i] == '+' {
			out = append(out, ' ')
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}

// put stores value at a key such as a[b][].
func (p *params) put(key, value string) error {
	head, brackets, nested := strings.Cut(key, "[")
	if !nested || head == "" || !strings.HasSuffix(key, "]") {
		p.set(key, &params{kind: paramText, text: value})
		return nil
	}
	path := strings.Split(strings.TrimSuffix(brackets, "]"), "][")
	if len(path) > maxQueryDepth {
		return errQuery
	}
	at, name := p, head
	for _, next := range path {
		kind := paramMap
		if next == "" {
			kind = paramList
		}
		at, name = at.child(name, kind), next
	}
	at.set(name, &params{kind: paramText, text: value})
	return nil
}

// child returns the collection at name, which is made or replaced if it is of another kind. In a list, every use makes a
// new element.
func (p *params) child(name string, kind paramKind) *params {
	if p.kind == paramMap {
		if c := p.get(name); c != nil && c.kind == kind {
			return c
		}
	}
	c := &params{kind: kind}
	p.set(name, c)
	return c
}

func (p *params) get(name string) *params {
	for i, k := range p.keys {
		if k == name {
			return p.vals[i]
		}
	}
	return nil
}

// set puts value under name; in a list, at its end.
func (p *params) set(name string, value *params) {
	if p.kind == paramList {
		p.list = append(p.list, value)
		return
	}
	for i, k := range p.keys {
		if k == name {
			p.vals[i] = value
			return
		}
	}
	p.keys, p.vals = append(p.keys, name), append(p.vals, value)
}

// string returns the text at name. ok is false if there is something else; found is false if there is nothing.
func (p *params) string(name string) (text string, ok, found bool) {
	v := p.get(name)
	if v == nil {
		return "", false, false
	}
	return v.text, v.kind == paramText, true
}

// appendJSON appends p as JSON.
func (p *params) appendJSON(dst []byte) []byte {
	switch p.kind {
	case paramText:
		return rawjson.AppendString(dst, p.text)
	case paramList:
		dst = append(dst, '[')
		for i, v := range p.list {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = v.appendJSON(dst)
		}
		return append(dst, ']')
	default:
		dst = append(dst, '{')
		for i, k := range p.keys {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = rawjson.AppendString(dst, k)
			dst = append(dst, ':')
			dst = p.vals[i].appendJSON(dst)
		}
		return append(dst, '}')
	}
}
