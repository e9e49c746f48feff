package conformance_test

import (
	"testing"

	"roost/phoenix/phoenixtest"
)

func same(m phoenixtest.Message, want string) bool { return phoenixtest.Same(m, want) }

func v1(t testing.TB) *client {
	t.Helper()
	return dial(t, sharedPod(t, "socket"), "vsn=1.0.0")
}

// v1Frame returns a V1 message; more is what follows the ref.
func v1Frame(event, payload, ref string) string {
	return `{"topic":$T,"event":"` + event + `","payload":` + payload + `,"ref":` + ref + `}`
}

// v1Ask returns a V1 message with a join_ref.
func v1Ask(event, payload, ref, joinRef string) string {
	return `{"topic":$T,"event":"` + event + `","payload":` + payload + `,"ref":` + ref + `,"join_ref":` + joinRef + `}`
}

// joinedV1 joins with ref "1" and no join_ref.
func (c *client) joinedV1() *client {
	c.t.Helper()
	c.ask(v1Frame("phx_join", `{}`, `"1"`), v1Frame("phx_reply", `OK({"got":{}})`, `"1"`))
	return c
}

func TestV1(t *testing.T) {
	t.Parallel()
	for id, ref := range map[string]string{"W1": `null`, "W2": `"1"`} {
		t.Run(id+" heartbeat", func(t *testing.T) {
			v1(t).named("phoenix").ask(v1Frame("heartbeat", `{}`, ref), v1Frame("phx_reply", `ok{}`, ref))
		})
	}
	// As in P7, pushes come before broadcasts.
	t.Run("W3 W4 join, event, leave", func(t *testing.T) {
		c := v1(t)
		c.send(v1Frame("phx_join", `{"after":true}`, `"1"`))
		c.want(v1Frame("phx_reply", `OK({"got":{"after":true}})`, `"1"`),
			v1Frame("joined", `{"status":"connected"}`, `null`), v1Frame("user_entered", `{"user":null}`, `null`))
		c.ask(v1Frame("ok", `{}`, `"2"`), v1Frame("phx_reply", `ok{}`, `"2"`))
		c.send(v1Frame("phx_leave", `{}`, `"5"`))
		c.want(v1Frame("phx_reply", `ok{}`, `"5"`), v1Frame("phx_close", `{}`, `null`))
	})
	t.Run("W5 W6 with join_ref", func(t *testing.T) {
		c := v1(t)
		c.ask(v1Ask("phx_join", `{}`, `"7"`, `"7"`), v1Frame("phx_reply", `OK({"got":{}})`, `"7"`))
		c.send(v1Ask("ok", `{}`, `"8"`, `"6"`), v1Frame("ok", `{}`, `"9"`))
		c.want(v1Frame("phx_reply", `ok{}`, `"9"`))
		c.send(v1Ask("phx_leave", `{}`, `"5"`, `"7"`))
		c.want(v1Frame("phx_reply", `ok{}`, `"5"`), v1Frame("phx_close", `{}`, `"7"`))
	})
	// The gateway answers boom with an error reply (P49), so the channel crashes by stop_error here.
	t.Run("W7 crash", func(t *testing.T) {
		c := v1(t).joinedV1()
		c.ask(v1Frame("boom", `{}`, `"2"`), v1Frame("phx_reply", `ERR({"reason":"backend unavailable"})`, `"2"`))
		c.ask(v1Frame("stop_error", `{}`, `"3"`), v1Frame("phx_error", `{"reason":"channel_crash"}`, `null`))
	})
	t.Run("W8 crash with join_ref", func(t *testing.T) {
		c := v1(t)
		c.ask(v1Ask("phx_join", `{}`, `"1"`, `"1"`), v1Frame("phx_reply", `OK({"got":{}})`, `"1"`))
		c.ask(v1Frame("stop_error", `{}`, `"3"`), v1Frame("phx_error", `{"reason":"channel_crash"}`, `"1"`))
	})
	t.Run("W9 join again", func(t *testing.T) {
		c := v1(t).joinedV1()
		c.send(v1Frame("phx_join", `{}`, `"2"`))
		c.want(v1Frame("phx_reply", `OK({"got":{}})`, `"2"`), v1Frame("phx_close", `{}`, `null`))
	})
	t.Run("W10 unmatched", func(t *testing.T) {
		c := v1(t)
		c.ask(v1Frame("ok", `{}`, `"2"`), v1Frame("phx_reply", `UNM`, `"2"`))
		c.named("nope:1").ask(v1Frame("phx_join", `{}`, `"3"`), v1Frame("phx_reply", `UNM`, `"3"`))
	})
	for name, frame := range map[string]string{
		"W11 no ref":     `{"topic":"phoenix","event":"heartbeat","payload":{}}`,
		"W11 no payload": `{"topic":"phoenix","event":"heartbeat","ref":"1"}`,
		"W11 an array":   beat,
	} {
		t.Run(name, func(t *testing.T) {
			c := v1(t)
			c.send(frame)
			c.WantClose(1011)
		})
	}
	t.Run("W12 text in a binary frame", func(t *testing.T) {
		c := v1(t).named("phoenix")
		c.SendBinary([]byte(c.expand(v1Frame("heartbeat", `{}`, `"1"`))))
		c.want(v1Frame("phx_reply", `ok{}`, `"1"`))
	})
	t.Run("W13 broadcast of a V2 client", func(t *testing.T) {
		c := v1(t).joinedV1()
		c.another().joined().send(`["1","2",$T,"bcast",{"n":1}]`)
		c.want(v1Frame("bcast", `{"n":1}`, `null`))
	})
	t.Run("W14 an answer of bytes", func(t *testing.T) {
		c := v1(t).joinedV1()
		c.send(v1Frame("bin", `{}`, `"2"`), v1Frame("ok", `{}`, `"3"`))
		c.wantOnlyText(v1Frame("phx_reply", `ok{}`, `"3"`))
	})
}
