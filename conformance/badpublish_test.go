package conformance_test

import (
	"strings"
	"testing"
	"time"
)

// junk is what a backend might publish to a topic by mistake.
var junk = map[string]string{
	"not JSON":            `hello`,
	"nothing":             ``,
	"half an object":      `{"event":"e","payload":{`,
	"two objects":         `{"event":"e"}{"event":"e"}`,
	"an array":            `[{"event":"e"}]`,
	"a number":            `5`,
	"null":                `null`,
	"no event":            `{"payload":{}}`,
	"event is a number":   `{"event":5,"payload":{}}`,
	"event is null":       `{"event":null}`,
	"empty event":         `{"event":""}`,
	"payload is an array": `{"event":"e","payload":[1]}`,
	"payload is a string": `{"event":"e","payload":"x"}`,
	"not UTF-8":           "{\"event\":\"e\",\"payload\":{\"a\":\"\xff\xfe\"}}",
	"event not UTF-8":     "{\"event\":\"\xff\",\"payload\":{}}",
	"bad base64":          `{"event":"e","payload_base64":"!!!"}`,
	"base64 is a number":  `{"event":"e","payload_base64":5}`,
	"both payloads":       `{"event":"e","payload":{},"payload_base64":"AAE="}`,
	"except is a number":  `{"event":"e","except":5}`,
	"bad escape":          `{"event":"e","payload":{"a":"\x"}}`,
	"deep nesting":        strings.Repeat(`[`, 100_000),
}

func TestBadPublish(t *testing.T) {
	t.Parallel()
	bystander(t, sharedPod(t, "socket"), lab.redis)
	for name, body := range junk {
		if name == "both payloads" {
			continue // the contract does not say whether this is wrong
		}
		t.Run("BAD12 topic "+name, func(t *testing.T) {
			c := v2(t, "socket").joined()
			old := c.beside(c.pod, "vsn=1.0.0").joinedV1()
			c.publish(body)
			c.publish(`{"event":"after"}`)
			c.want(`[null,null,$T,"after",{}]`)
			old.want(v1Frame("after", `{}`, `null`))
		})
	}
	for _, to := range []string{"id", "conn"} {
		for name, body := range map[string]string{
			"not JSON":            `hello`,
			"unknown event":       `{"event":"other"}`,
			"unknown phx event":   `{"event":"phx_close"}`,
			"topic is a number":   `{"topic":5,"event":"e","payload":{}}`,
			"payload is an array": `{"topic":$T,"event":"e","payload":[]}`,
			"bad base64":          `{"topic":$T,"event":"e","payload_base64":"!"}`,
			"not UTF-8":           "{\"topic\":$T,\"event\":\"e\",\"payload\":{\"a\":\"\xff\"}}",
			"no event":            `{"topic":$T,"payload":{}}`,
		} {
			t.Run("BAD12 "+to+" "+name, func(t *testing.T) {
				id := newUser()
				c := user(t, sharedPod(t, "socket"), id).joined()
				address := map[string]string{"id": "id:user:" + id, "conn": "conn:" + c.connection("1")}[to]
				lab.redis.publish(t, address, c.expand(body))
				lab.redis.publish(t, address, c.expand(`{"topic":$T,"event":"after"}`))
				c.want(`["1",null,$T,"after",{}]`)
			})
		}
	}
}

// TestHugePublish is BAD13: 50 MB in one PUBLISH are dropped, and nobody notices.
func TestHugePublish(t *testing.T) {
	t.Parallel()
	huge := `{"event":"huge","payload":{"x":"` + strings.Repeat("x", 50<<20) + `"}}`
	// Redis itself ends a pub/sub link that has 32 MB waiting, unless it is told not to.
	t.Run("BAD13 Redis lets it through", func(t *testing.T) {
		server := ownRedis(t, "--client-output-buffer-limit", "pubsub", "0", "0", "0")
		p := ownPod(t, server.url(), nil)
		bystander(t, p, server)
		c := dial(t, p, "vsn=2.0.0").joined()
		for range 2 {
			server.publish(t, "topic:"+c.topic, huge)
			server.publish(t, "topic:"+c.topic, `{"event":"after"}`)
			c.want(`[null,null,$T,"after",{}]`)
		}
	})
	t.Run("BAD13 Redis cuts the link", func(t *testing.T) {
		server := ownRedis(t)
		p := ownPod(t, server.url(), nil)
		c := dial(t, p, "vsn=2.0.0").joined()
		s := survive(t, c)
		server.publish(t, "topic:"+c.topic, huge)
		eventually(t, func() error {
			server.publish(t, "topic:"+c.topic, `{"event":"round","payload":{"n":1}}`)
			time.Sleep(50 * time.Millisecond)
			if s.round.Load() == 0 {
				return errNothingYet
			}
			return nil
		})
		if err := s.stop(); err != nil {
			t.Error(err)
		}
		wantMembers(t, server, c.topic, c.connection("1"))
	})
}
