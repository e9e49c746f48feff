package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Check returns what keeps rs from working: rules that ask the webhook although neither it nor they have a URL, or although the calls they
// need are not among events, the values of ROOST_WEBHOOK_EVENTS. file is where rs came from, "" if from nowhere. Every
// rule that cannot work is one error of the joined result, as "file:line: sentence". A program whose backend is not the
// webhook has no use for Check.
func (rs Rules) Check(file string, webhook bool, events []string) error {
	var errs []error
	for i := range rs {
		if text := rs[i].trouble(webhook, events); text != "" {
			errs = append(errs, rs[i].errorf(file, text))
		}
	}
	return errors.Join(errs...)
}

// trouble says why r cannot work, or nothing.
func (r *Rule) trouble(webhook bool, events []string) string {
	var asked, missing, instead []string
	ask := func(asks bool, event, other string) {
		if !asks {
			return
		}
		asked = append(asked, event)
		instead = append(instead, other)
		if !slices.Contains(events, event) {
			missing = append(missing, event)
		}
	}
	ask(r.asksJoin(), "join", "join: token, allow or deny")
	ask(r.asksPush(), "push", "push: broadcast, broadcast_from, stream or deny")
	switch {
	case len(asked) > 0 && !webhook && r.Webhook == nil:
		return fmt.Sprintf("asks the webhook (%s), but ROOST_WEBHOOK_URL is not set: set it, or write %s",
			strings.Join(asked, ", "), strings.Join(instead, ", and "))
	case len(missing) > 0:
		return fmt.Sprintf("asks the webhook (%s), but ROOST_WEBHOOK_EVENTS does not list %s: add it there, or write %s",
			strings.Join(asked, ", "), strings.Join(missing, " and "), strings.Join(instead, ", and "))
	default:
		return ""
	}
}

func (r *Rule) errorf(file, text string) error {
	if r.Line == 0 {
		return fmt.Errorf("the rule for %q %s in a file named by ROOST_TOPICS_FILE", r.Pattern, text)
	}
	return fmt.Errorf("%s:%d: the rule for %q %s", file, r.Line, r.Pattern, text)
}
