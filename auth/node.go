package auth

import "github.com/goccy/go-yaml/ast"

// line returns where n stands.
func line(n ast.Node) int {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 {
		n = m.Values[0].Key // the token of a mapping is its first colon
	}
	if n == nil || n.GetToken() == nil {
		return 1
	}
	return n.GetToken().Position.Line
}

// mapping calls field for each key of n. It reports keys that stand twice or are not plain text, and, if n is not a
// mapping, that it is not what.
func (p *ruleParser) mapping(n ast.Node, what string, field func(key string, at int, value ast.Node)) bool {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		p.fail(line(n), "this is not %s", what)
		return false
	}
	first := make(map[string]int)
	for _, pair := range m.Values {
		at := line(pair.Key)
		key, ok := pair.Key.(*ast.StringNode)
		if !ok {
			p.fail(at, "%q is not a key: write plain words, without anchors, tags and merges", pair.Key.String())
			continue
		}
		if before, found := first[key.Value]; found {
			p.fail(at, "%s stands here again: it is in line %d already, delete one of them", key.Value, before)
			continue
		}
		first[key.Value] = at
		field(key.Value, at, pair.Value)
	}
	return true
}

// text returns the text of n, or reports that key is not what.
func (p *ruleParser) text(n ast.Node, at int, key, what string) (string, bool) {
	if s, ok := n.(*ast.StringNode); ok {
		return s.Value, true
	}
	p.fail(at, "%s is not a text: write %s", key, what)
	return "", false
}
