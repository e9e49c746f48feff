package auth_test

import (
	"fmt"

	"roost/auth"
)

func ExampleParseRules() {
	rules, err := auth.ParseRules("topics.yaml", []byte(`
topics:
  - topic: "rooms:lobby"
    join: allow
    push: broadcast
  - topic: "rooms:*"
`))
	fmt.Println(err)
	fmt.Println(rules.Match("rooms:lobby").Push == auth.PushBroadcast)
	fmt.Println(rules.Match("rooms:7").Join == auth.JoinWebhook)
	fmt.Println(rules.Match("games:1"))
	// Output:
	// <nil>
	// true
	// true
	// <nil>
}

func ExampleParseRules_errors() {
	_, err := auth.ParseRules("topics.yaml", []byte(`
topics:
  - topic: "rooms:*"
    join: everyone
  - topic: "rooms:lobby"
`))
	fmt.Println(err)
	// Output:
	// topics.yaml:4: join: "everyone" is not known: write one of allow, deny, token, webhook
	// topics.yaml:5: the rule for "rooms:lobby" can never match, because the rule for "rooms:*" in line 3 matches first: write it above that line, or delete it
}
