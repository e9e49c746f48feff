package auth_test

import (
	"testing"

	"roost/auth"
)

func TestMatch(t *testing.T) {
	rules := auth.Rules{{Pattern: "rooms:lobby"}, {Pattern: "rooms:*"}, {Pattern: "user"}}
	for topic, want := range map[string]string{
		"rooms:lobby": "rooms:lobby",
		"rooms:other": "rooms:*",
		"rooms:":      "rooms:*",
		"rooms":       "",
		"user":        "user",
		"user:1":      "",
		"use":         "",
		"*":           "",
		"":            "",
	} {
		got := ""
		if rule := rules.Match(topic); rule != nil {
			got = rule.Pattern
		}
		if got != want {
			t.Errorf("Match(%q): got rule %q, want %q", topic, got, want)
		}
	}
	if rule := auth.DefaultRules.Match("anything"); rule == nil || rule.Join != auth.JoinWebhook || rule.Push != auth.PushWebhook || !rule.Members {
		t.Errorf("the default rule: got %+v, want one that asks the webhook and keeps members", rule)
	}
}

func TestAskBackend(t *testing.T) {
	for name, c := range map[string]struct {
		rule auth.Rule
		want bool
	}{
		"join asks":                     {auth.Rule{Join: auth.JoinWebhook, Push: auth.PushDeny}, true},
		"push asks":                     {auth.Rule{Join: auth.JoinAllow, Push: auth.PushWebhook}, true},
		"nothing asks":                  {auth.Rule{Join: auth.JoinAllow, Push: auth.PushBroadcast}, false},
		"push would, but nobody may in": {auth.Rule{Join: auth.JoinDeny, Push: auth.PushWebhook}, false},
	} {
		if got := (auth.Rules{{Join: auth.JoinDeny}, c.rule}).AskBackend(); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
