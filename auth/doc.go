// Package auth says who may connect, join and push: topic rules, and the question put to a backend.
//
// A [Backend] is the application. The webhook (roost/auth/webhook) is one; a Go program that mounts the gateway in its
// own process writes another. [Rules] say which topics exist and which questions the backend is asked about them.
//
// # Rules
// A file of rules is taken whole or refused whole, with everything that is wrong in it, each with its line
// (TestParseRulesErrors). A rule that could never match is an error, too (TestImpossibleRules).
package auth
