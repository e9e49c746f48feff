package auth

import (
	"slices"
	"strings"
	"time"
)

// JoinRule says who decides on a join.
type JoinRule uint8

const (
	JoinWebhook JoinRule = iota // the Backend
	JoinAllow                   // nobody: all are let in
	JoinDeny                    // nobody: all are refused
	JoinToken                   // the claim topics of the connection's token
)

// PushRule says what becomes of a client's event.
type PushRule uint8

const (
	PushWebhook       PushRule = iota // the Backend answers it
	PushBroadcast                     // it goes to all members
	PushBroadcastFrom                 // it goes to all members but the sender
	PushStream                        // it is appended to a stream that a consumer reads
	PushDeny                          // it is refused
)

// Rule is one entry of the topic rules.
type Rule struct {
	Pattern string // exact, or a prefix that ends in *
	Join    JoinRule
	Push    PushRule
	Members bool // keep the membership set
	// Presence keeps who is present, by what the Backend's answers say, and tells members.
	Presence bool
	Stale    time.Duration // a join that the backend allowed is allowed again for so long while it is down; 0: not at all
	Webhook  *Webhook      // the backend of these topics; nil: the one of all topics
	Line     int           // where it stands in its file, 0 if in none
}

// Webhook is a backend of its own for the topics of a rule.
type Webhook struct {
	URL        string
	Secret     string        // as ROOST_WEBHOOK_SECRET
	SecretFile string        // holds the secret; instead of Secret
	Timeout    time.Duration // 0: as for all
}

// Matches tells whether topic is one of the rule's.
func (r *Rule) Matches(topic string) bool {
	if prefix, found := strings.CutSuffix(r.Pattern, "*"); found {
		return strings.HasPrefix(topic, prefix)
	}
	return topic == r.Pattern
}

// Rules are tried in order; the first that matches counts.
type Rules []Rule

// DefaultRules asks the backend about everything.
var DefaultRules = Rules{{Pattern: "*", Join: JoinWebhook, Push: PushWebhook, Members: true}}

// Match returns the rule for topic, or nil if there is none. The result points into rs.
func (rs Rules) Match(topic string) *Rule {
	for i := range rs {
		if rs[i].Matches(topic) {
			return &rs[i]
		}
	}
	return nil
}

// AskBackend tells whether any rule asks the backend.
func (rs Rules) AskBackend() bool {
	for i := range rs {
		if rs[i].asksJoin() || rs[i].asksPush() {
			return true
		}
	}
	return false
}

// NeedTokens tells whether any rule asks the connection's token.
func (rs Rules) NeedTokens() bool {
	return slices.ContainsFunc(rs, func(r Rule) bool { return r.Join == JoinToken })
}

// HaveBackends tells whether any rule has a backend of its own.
func (rs Rules) HaveBackends() bool {
	return slices.ContainsFunc(rs, func(r Rule) bool { return r.Webhook != nil })
}

// asksJoin tells whether joins go to the backend.
func (r *Rule) asksJoin() bool { return r.Join == JoinWebhook }

// asksPush tells whether pushes go to the backend. Where nobody may join, nobody pushes.
func (r *Rule) asksPush() bool { return r.Push == PushWebhook && r.Join != JoinDeny }

// covers tells whether r matches every topic that o matches.
func (r *Rule) covers(o *Rule) bool {
	prefix, wildcard := strings.CutSuffix(r.Pattern, "*")
	return r.Pattern == o.Pattern || wildcard && strings.HasPrefix(strings.TrimSuffix(o.Pattern, "*"), prefix)
}
