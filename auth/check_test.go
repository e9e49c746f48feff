package auth_test

import (
	"strings"
	"testing"

	"roost/auth"
)

func TestCheck(t *testing.T) {
	rules, err := auth.ParseRules("f", []byte(`topics:
  - topic: both
  - {topic: joins, push: broadcast}
  - {topic: pushes, join: allow}
  - {topic: none, join: allow, push: deny}
  - {topic: nobody, join: deny}
`))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		rules   auth.Rules
		webhook bool
		events  string
		want    []string
	}{
		"all is there": {rules, true, "join push leave", nil},
		"no URL": {rules, false, "join push", []string{
			`f:2: the rule for "both" asks the webhook (join, push), but ROOST_WEBHOOK_URL is not set: set it, or write join: token, allow or deny, and push: broadcast`,
			`f:3: the rule for "joins" asks the webhook (join), but ROOST_WEBHOOK_URL is not set: set it, or write join: token, allow`,
			`f:4: the rule for "pushes" asks the webhook (push), but ROOST_WEBHOOK_URL is not set: set it, or write push: broadcast`,
		}},
		"joins are off": {rules, true, "push", []string{
			`f:2: the rule for "both" asks the webhook (join, push), but ROOST_WEBHOOK_EVENTS does not list join: add it`,
			`f:3: the rule for "joins" asks`,
		}},
		"pushes are off": {rules, true, "join", []string{`f:2: `, `f:4: the rule for "pushes" asks the webhook (push), but ROOST_WEBHOOK_EVENTS does not list push`}},
		"both are off":   {rules[:1], true, "", []string{`f:2: the rule for "both" asks the webhook (join, push), but ROOST_WEBHOOK_EVENTS does not list join and push`}},
		"no file, no URL": {auth.DefaultRules, false, "join push", []string{
			`the rule for "*" asks the webhook (join, push), but ROOST_WEBHOOK_URL is not set: set it, or write`,
		}},
		"no file": {auth.DefaultRules, true, "join push", nil},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.rules.Check("f", c.webhook, strings.Fields(c.events))
			if len(c.want) == 0 {
				if err != nil {
					t.Errorf("got %v, want nil", err)
				}
				return
			}
			wantErrors(t, c.want)(nil, err)
		})
	}
}
