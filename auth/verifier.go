package auth

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// A Verifier reads the tokens that clients connect with.
type Verifier interface {
	// Verify returns what a token says. The error is a [*Refusal] if the token is no good; any other means that this cannot be
	// said now. It blocks while keys are fetched, until ctx ends at most.
	Verify(ctx context.Context, text string) (*Token, error)
}

// Token is what a token says that is good.
type Token struct {
	Subject string
	ID      string          // socket id, or ""
	Claims  json.RawMessage // object: all claims, as the token has them
	Topics  []TopicPattern  // which topics may be joined where the rule says join: token
	Expires time.Time       // zero: never
}

// TopicPattern is a topic, or what topics begin with. A topic itself may end in *.
type TopicPattern struct {
	Text   string
	Prefix bool
}

// Allows tells whether the token lets its holder join topic.
func (t *Token) Allows(topic string) bool {
	return slices.ContainsFunc(t.Topics, func(p TopicPattern) bool {
		return p.Text == topic || p.Prefix && strings.HasPrefix(topic, p.Text)
	})
}
