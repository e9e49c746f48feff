package auth

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// ParseRules reads topic rules in YAML. Without join or push a rule asks the webhook; without members it keeps the
// membership set. The error joins all that is wrong, each as "file:line: sentence"; the rules are nil then.
func ParseRules(file string, data []byte) (Rules, error) {
	p := ruleParser{file: file}
	rules := p.document(data)
	if len(p.faults) == 0 {
		return rules, nil
	}
	return nil, p.err()
}

// ruleParser collects what is wrong with one file of rules.
type ruleParser struct {
	file   string
	faults []fault
}

// fault is one thing that is wrong.
type fault struct {
	line int
	text string
}

func (p *ruleParser) fail(line int, format string, args ...any) {
	p.faults = append(p.faults, fault{line, fmt.Sprintf(format, args...)})
}

// err joins the faults in the order of their lines.
func (p *ruleParser) err() error {
	slices.SortStableFunc(p.faults, func(a, b fault) int { return cmp.Compare(a.line, b.line) })
	errs := make([]error, len(p.faults))
	for i, f := range p.faults {
		errs[i] = fmt.Errorf("%s:%d: %s", p.file, f.line, f.text)
	}
	return errors.Join(errs...)
}

// document reads the whole file.
func (p *ruleParser) document(data []byte) Rules {
	if !utf8.Valid(data) {
		p.fail(invalidLine(data), "this is not UTF-8: save the file as UTF-8")
		return nil
	}
	parsed, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey()) // duplicates are ours to report, with all else
	if err != nil {
		p.syntax(err)
		return nil
	}
	var bodies []ast.Node
	for _, d := range parsed.Docs {
		if d.Body != nil {
			bodies = append(bodies, d.Body)
		}
	}
	if len(bodies) == 0 {
		p.fail(1, `there is nothing here: write "topics:" and a list of rules below it`)
		return nil
	}
	for _, b := range bodies[1:] {
		p.fail(line(b), `a second document begins here: keep all rules in one, without "---" between them`)
	}
	return p.root(bodies[0])
}

// root reads the mapping with the key topics.
func (p *ruleParser) root(n ast.Node) Rules {
	var rules Rules
	found := false
	p.mapping(n, `the file: write "topics:" and a list of rules below it`, func(key string, at int, value ast.Node) {
		if key != "topics" {
			p.fail(at, "unknown key %q: the only key here is topics", key)
			return
		}
		found = true
		rules = p.rules(value, at)
	})
	if !found && len(p.faults) == 0 {
		p.fail(line(n), `there are no rules: write "topics:" and a list of rules below it`)
	}
	return rules
}

// rules reads the list of rules.
func (p *ruleParser) rules(n ast.Node, at int) Rules {
	list, ok := n.(*ast.SequenceNode)
	if !ok || len(list.Values) == 0 {
		p.fail(at, `topics is not a list of rules: write lines like "- topic: rooms:*" below it`)
		return nil
	}
	var rules Rules
	for _, entry := range list.Values {
		rule := p.rule(entry)
		for i := range rules {
			if rule.Pattern != "" && rules[i].Pattern != "" && rules[i].covers(&rule) {
				p.impossible(rule, rules[i])
				break
			}
		}
		rules = append(rules, rule)
	}
	return rules
}

// impossible reports a rule that an earlier one covers.
func (p *ruleParser) impossible(rule, earlier Rule) {
	instead := "write it above that line, or delete it"
	if rule.Pattern == earlier.Pattern {
		instead = "delete one of them"
	}
	p.fail(rule.Line, "the rule for %q can never match, because the rule for %q in line %d matches first: %s",
		rule.Pattern, earlier.Pattern, earlier.Line, instead)
}

// rule reads one rule. Its pattern is empty if it has none that could be read.
func (p *ruleParser) rule(n ast.Node) Rule {
	rule := Rule{Join: JoinWebhook, Push: PushWebhook, Members: true, Line: line(n)}
	found := false
	ok := p.mapping(n, `a rule: write "- topic: rooms:*", and join, push and members below it`, func(key string, at int, value ast.Node) {
		switch key {
		case "topic":
			found = true
			rule.Pattern = p.pattern(value, at)
		case "join":
			p.word(value, at, key, map[string]func(){
				"webhook": func() { rule.Join = JoinWebhook },
				"allow":   func() { rule.Join = JoinAllow },
				"deny":    func() { rule.Join = JoinDeny },
				"token":   func() { rule.Join = JoinToken },
			})
		case "push":
			p.word(value, at, key, map[string]func(){
				"webhook":        func() { rule.Push = PushWebhook },
				"broadcast":      func() { rule.Push = PushBroadcast },
				"broadcast_from": func() { rule.Push = PushBroadcastFrom },
				"stream":         func() { rule.Push = PushStream },
				"deny":           func() { rule.Push = PushDeny },
			})
		case "members":
			rule.Members = p.truth(value, at, key, rule.Members)
		case "presence":
			rule.Presence = p.truth(value, at, key, false)
		case "stale":
			rule.Stale = p.span(value, at, key)
		case "webhook":
			rule.Webhook = p.webhook(value, at)
		case "history":
			p.fail(at, "%s is not in this version yet: delete it", key)
		default:
			p.fail(at, "unknown key %q: the keys of a rule are topic, join, push, members, presence, stale and webhook", key)
		}
	})
	if ok && !found {
		p.fail(rule.Line, `this rule has no topic: write "topic: rooms:*", or a whole topic`)
	}
	return rule
}

// truth reads true or false, and returns other if it is neither.
func (p *ruleParser) truth(n ast.Node, at int, key string, other bool) bool {
	b, ok := n.(*ast.BoolNode)
	if !ok {
		p.fail(at, "%s is not true or false: write one of them, without quotes", key)
		return other
	}
	return b.Value
}

// pattern reads the topic of a rule, and returns "" if it cannot be one.
func (p *ruleParser) pattern(n ast.Node, at int) string {
	text, ok := p.text(n, at, "topic", `a topic, or the beginning of one and a *, in quotes`)
	if !ok {
		return ""
	}
	if text == "" {
		p.fail(at, `topic is empty: write a whole topic, "rooms:*" for all that begin with rooms:, or "*" for all`)
		return ""
	}
	if i := strings.IndexByte(text, '*'); i >= 0 && i < len(text)-1 {
		p.fail(at, "topic %q has a * that is not at its end: write %q, or a topic without *", text, text[:i+1])
		return ""
	}
	return text
}

// word reads one of a few words and calls what belongs to it.
func (p *ruleParser) word(n ast.Node, at int, key string, words map[string]func()) {
	known := slices.Sorted(maps.Keys(words))
	choice := "one of " + strings.Join(known, ", ")
	text, ok := p.text(n, at, key, choice)
	if !ok {
		return
	}
	set, ok := words[text]
	if !ok {
		p.fail(at, "%s: %q is not known: write %s", key, text, choice)
		return
	}
	set()
}

// invalidLine returns the line of the first byte that is not UTF-8.
func invalidLine(data []byte) int {
	at := 0
	for at < len(data) {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return 1 + bytes.Count(data[:at], []byte("\n"))
}

// syntax reports what the YAML parser found.
func (p *ruleParser) syntax(err error) {
	var located yaml.Error
	if !errors.As(err, &located) || located.GetToken() == nil {
		p.fail(1, "this is not YAML: %v", err)
		return
	}
	p.fail(located.GetToken().Position.Line, `this is not YAML: %s (a text that begins with * needs quotes)`, located.GetMessage())
}
