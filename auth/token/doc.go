// Package token verifies JSON Web Tokens (RFC 7519, with the advice of RFC 8725): by keys that are given, by a JWK Set that is
// fetched, and by algorithms from a list. docs/tokens.md says what operators and clients need to know of it.
package token
