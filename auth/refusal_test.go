package auth_test

import (
	"testing"

	"roost/auth"
)

func TestRefusalReply(t *testing.T) {
	for want, refusal := range map[string]auth.Refusal{
		`{"reason":"unauthorized"}`: {Code: 401},
		`{"reason":"forbidden"}`:    {Code: 404},
		`{"reason":"full"}`:         {Code: 401, Response: []byte(`{"reason":"full"}`)},
	} {
		if got := string(refusal.Reply()); got != want {
			t.Errorf("Reply of %+v: got %s, want %s", refusal, got, want)
		}
	}
}
