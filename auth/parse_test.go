package auth_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"roost/auth"
)

func TestParseRules(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		want auth.Rules
	}{
		"a topic alone asks the webhook": {
			"topics:\n  - topic: rooms:*\n",
			auth.Rules{{Pattern: "rooms:*", Members: true, Line: 2}},
		},
		"every word": {
			`# who may do what
topics:
  - topic: "a"
    join: webhook
    push: webhook
    members: true
  - {topic: b:*, join: allow, push: broadcast, members: false}
  - push: broadcast_from
    join: deny
    topic: 'c'
  - topic: d
    push: stream
  - topic: "*"
    push: deny
`,
			auth.Rules{
				{Pattern: "a", Join: auth.JoinWebhook, Push: auth.PushWebhook, Members: true, Line: 3},
				{Pattern: "b:*", Join: auth.JoinAllow, Push: auth.PushBroadcast, Line: 7},
				{Pattern: "c", Join: auth.JoinDeny, Push: auth.PushBroadcastFrom, Members: true, Line: 8},
				{Pattern: "d", Push: auth.PushStream, Members: true, Line: 11},
				{Pattern: "*", Push: auth.PushDeny, Members: true, Line: 13},
			},
		},
		"document marks, Windows line ends": {
			"---\r\ntopics:\r\n- topic: \"*\"\r\n...\r\n",
			auth.Rules{{Pattern: "*", Members: true, Line: 3}},
		},
		"what is special comes before what is general": {
			"topics:\n- topic: rooms:lobby\n- topic: rooms:l*\n- topic: rooms:*\n- topic: '*'\n",
			auth.Rules{
				{Pattern: "rooms:lobby", Members: true, Line: 2}, {Pattern: "rooms:l*", Members: true, Line: 3},
				{Pattern: "rooms:*", Members: true, Line: 4}, {Pattern: "*", Members: true, Line: 5},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := auth.ParseRules("topics.yaml", []byte(c.file))
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, c.want)
			}
		})
	}
}

func TestParseRulesErrors(t *testing.T) {
	rule := func(lines string) string { return "topics:\n  - topic: t\n    " + lines + "\n" }
	for name, c := range map[string]struct {
		file string
		want []string // each line of the error: its beginning
	}{
		"nothing":               {"", []string{`f:1: there is nothing here: write "topics:"`}},
		"comments":              {"# later\n", []string{"f:1: there is nothing here"}},
		"a list":                {"- topic: t\n", []string{"f:1: this is not the file"}},
		"no key topics":         {"{}\n", []string{"f:1: there are no rules"}},
		"another key":           {"\ntopic: t\n", []string{`f:2: unknown key "topic": the only key here is topics`}},
		"topics without a list": {"topics:\n", []string{"f:1: topics is not a list of rules"}},
		"topics empty":          {"topics: []\n", []string{"f:1: topics is not a list of rules"}},
		"topics a mapping":      {"topics:\n  topic: t\n", []string{"f:1: topics is not a list of rules"}},
		"topics twice":          {"topics: [{topic: t}]\ntopics: [{topic: u}]\n", []string{"f:2: topics stands here again: it is in line 1 already"}},
		"a rule that is a word": {"topics:\n - rooms\n", []string{"f:2: this is not a rule"}},
		"a rule that is empty":  {"topics:\n - topic: t\n -\n", []string{"f:3: this is not a rule"}},
		"no topic":              {"topics:\n - join: allow\n", []string{"f:2: this rule has no topic"}},
		"topic empty":           {"topics:\n - topic: ''\n", []string{"f:2: topic is empty"}},
		"topic null":            {"topics:\n - topic:\n", []string{"f:2: topic is not a text"}},
		"topic a number":        {"topics:\n - topic: 42\n", []string{"f:2: topic is not a text"}},
		"topic an alias":        {"topics:\n - topic: *foo\n", []string{"f:2: topic is not a text: write a topic, or the beginning of one and a *, in quotes"}},
		"a bare star":           {"topics:\n - topic: *\n", []string{"f:2: this is not YAML: undefined alias name (a text that begins with * needs quotes)"}},
		"a star within":         {"topics:\n - topic: rooms:*:x\n", []string{`f:2: topic "rooms:*:x" has a * that is not at its end: write "rooms:*"`}},
		"two stars":             {"topics:\n - topic: a**\n", []string{`f:2: topic "a**" has a * that is not at its end: write "a*"`}},
		"topic twice":           {rule("topic: u"), []string{"f:3: topic stands here again"}},
		"unknown key":           {rule("joins: allow"), []string{`f:3: unknown key "joins": the keys of a rule are topic, join, push, members, presence, stale and webhook`}},
		"unknown join":          {rule("join: Allow"), []string{`f:3: join: "Allow" is not known: write one of allow, deny, token, webhook`}},
		"unknown push":          {rule("push: allow"), []string{`f:3: push: "allow" is not known: write one of broadcast, broadcast_from, deny, stream, webhook`}},
		"join a list":           {rule("join: [allow]"), []string{"f:3: join is not a text: write one of allow, deny, token, webhook"}},
		"join true":             {rule("join: true"), []string{"f:3: join is not a text"}},
		"members yes":           {rule("members: yes"), []string{"f:3: members is not true or false"}},
		"members in quotes":     {rule("members: 'true'"), []string{"f:3: members is not true or false"}},
		"presence":              {rule("presence: 1"), []string{"f:3: presence is not true or false"}},
		"history":               {rule("history: {size: 100, ttl: 10m}"), []string{"f:3: history is not in this version yet"}},
		"stale":                 {rule("stale: forever"), []string{`f:3: stale: "forever" is not a duration such as 30s or 5m`}},
		"a webhook":             {rule("webhook: {url: 'ftp://u:hunter2@b', secrets: x, timeout: 5}"), []string{"f:3: url is not an http:// or https:// URL with a host", `f:3: unknown key "secrets"`, "f:3: timeout is not a text"}},
		"a webhook without url": {rule("webhook: {secret: whsec_x, secret_file: y}"), []string{"f:3: this webhook has no url"}},
		"two secrets":           {rule("webhook: {url: 'http://b', secret: whsec_x, secret_file: y}"), []string{"f:3: secret and secret_file are both there: delete one"}},
		"no stale":              {rule("stale: 0s"), []string{`f:3: stale: "0s" is not a duration`}},
		"a merge":               {rule("<<: {join: allow}"), []string{`f:3: "<<" is not a key`}},
		"an anchor":             {"topics:\n - topic: &t t\n", []string{"f:2: topic is not a text"}},
		"two documents":         {"topics: [{topic: t}]\n---\ntopics: [{topic: u}]\n", []string{"f:3: a second document begins here"}},
		"not YAML":              {"topics:\n - topic: [\n", []string{"f:2: this is not YAML"}},
		"a tab":                 {"topics:\n\t- topic: t\n", []string{"f:2: this is not YAML"}},
		"not UTF-8":             {"topics:\n - topic: \xff\n", []string{"f:2: this is not UTF-8"}},
		"all at once": {
			"topic: x\ntopics:\n - topic: a*b\n   join: no\n - topic: c\n   members: 1\n   presence: 7\n - push: deny\nmore: 1\n",
			[]string{"f:1: unknown key", "f:3: topic", "f:4: join", "f:6: members", "f:7: presence", "f:8: this rule has no topic", "f:9: unknown key"},
		},
	} {
		t.Run(name, func(t *testing.T) { wantErrors(t, c.want)(auth.ParseRules("f", []byte(c.file))) })
	}
}

// wantErrors returns a check that rules are refused, with errors that begin so.
func wantErrors(t *testing.T, want []string) func(auth.Rules, error) {
	return func(rules auth.Rules, err error) {
		t.Helper()
		if err == nil || rules != nil {
			t.Fatalf("got %v, %v, want errors", rules, err)
		}
		got := strings.Split(err.Error(), "\n")
		if len(got) != len(want) {
			t.Fatalf("got %d errors, want %d:\n%v", len(got), len(want), err)
		}
		for i := range want {
			if !strings.HasPrefix(got[i], want[i]) {
				t.Errorf("error %d: got %q, want it to begin with %q", i+1, got[i], want[i])
			}
		}
	}
}

func TestImpossibleRules(t *testing.T) {
	for name, c := range map[string]struct {
		topics []string
		want   []string
	}{
		"the same twice":           {[]string{"a", "a"}, []string{`f:3: the rule for "a" can never match, because the rule for "a" in line 2 matches first: delete one of them`}},
		"the same prefix twice":    {[]string{"a*", "a*"}, []string{`f:3: the rule for "a*" can never match`}},
		"a topic behind a prefix":  {[]string{"rooms:*", "rooms:lobby"}, []string{`f:3: the rule for "rooms:lobby" can never match`}},
		"a prefix behind a prefix": {[]string{"rooms:*", "b", "rooms:l*"}, []string{`f:4: the rule for "rooms:l*" can never match`}},
		"the prefix itself":        {[]string{"rooms:*", "rooms:"}, []string{`f:3: the rule for "rooms:" can never match`}},
		"behind all":               {[]string{"*", "a", "b*"}, []string{`f:3: the rule for "a"`, `f:4: the rule for "b*"`}},
		"behind two":               {[]string{"a*", "ab", "ab"}, []string{`f:3:`, `f:4: the rule for "ab" can never match, because the rule for "a*" in line 2 matches first`}},
	} {
		t.Run(name, func(t *testing.T) {
			file := "topics:\n"
			for _, topic := range c.topics {
				file += " - topic: '" + topic + "'\n"
			}
			wantErrors(t, c.want)(auth.ParseRules("f", []byte(file)))
		})
	}
}

func TestLoadRules(t *testing.T) {
	path := filepath.Join(t.TempDir(), "topics.yaml")
	if _, err := auth.LoadRules(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("no file: got %v, want an error with its name", err)
	}
	if err := os.WriteFile(path, []byte("topics:\n - topic: t\n   join: no\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := auth.LoadRules(path); err == nil || !strings.HasPrefix(err.Error(), path+":3: ") {
		t.Errorf("bad file: got %v, want an error that begins with %s:3:", err, path)
	}
	if err := os.WriteFile(path, []byte("topics:\n - topic: t\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if rules, err := auth.LoadRules(path); err != nil || len(rules) != 1 {
		t.Errorf("good file: got %v, %v, want one rule", rules, err)
	}
}

func FuzzParseRules(f *testing.F) {
	for _, seed := range []string{
		"topics:\n  - topic: rooms:*\n    join: allow\n    push: stream\n    members: false\n  - topic: '*'\n",
		"topics: [{topic: a}, {topic: b, join: deny}]", "topics:\n - topic: *\n", "topics:\n - <<: &a {topic: *a}\n", "? [a]\n: !!str b\n---\n%",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		rules, err := auth.ParseRules("f", file)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f:") || rules != nil {
				t.Errorf("got %v and %v, want no rules and an error with file and line", rules, err)
			}
			return
		}
		if len(rules) == 0 {
			t.Error("got neither rules nor an error")
		}
		for i := range rules {
			topic, wildcard := strings.CutSuffix(rules[i].Pattern, "*")
			if wildcard {
				topic += "\x00 what no other rule names"
			}
			if got := rules.Match(topic); got != &rules[i] {
				t.Errorf("topic %q: got %+v, want rule %d of %+v", topic, got, i, rules)
			}
		}
	})
}
