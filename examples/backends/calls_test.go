package backends_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	secret      = "whsec_YmFja2VuZHMgdG8gY29weSBmcm9tLCB0ZXN0"
	otherSecret = "whsec_c29tZWJvZHkgZWxzZSBpcyBzaWduaW5nIHRo"
)

// sign returns the headers of a call.
func sign(t *testing.T, secret, id string, at time.Time, body string) http.Header {
	t.Helper()
	signer, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := signer.Sign(id, at, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {fmt.Sprint(at.Unix())}, "Webhook-Signature": {signature}}
}

// post makes a call and returns the answer.
func (b *backend) post(t *testing.T, header http.Header, body string) (status int, answer []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header.Clone()
	request.Header.Set("Content-Type", "application/json")
	request.Close = true // a server may close a connection that is not used, and POSTs are not sent twice
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if answer, err = io.ReadAll(response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer
}

// connection is what the data of every call has.
const connection = `"connection":"pod-a.81f3","id":null,"transport":"websocket","vsn":"2.0.0","remote_ip":"192.0.2.7","headers":{},"auth_token":null`

// request returns a call's body.
func request(kind, data string) string {
	return `{"type":"` + kind + `","timestamp":"2026-11-21T10:00:00.000Z","data":{` + connection + `,` + data + `}}`
}

// annWould is ann's join of a room, or what she pushes there.
func annWould(topic, more string) string {
	return `"params":{},"assigns":{"nick":"ann"},"topic":"` + topic + `","join_ref":"1","ref":"1",` + more
}

// What Roost did not sign just now is refused with 401, whatever it is.
func (b *backend) checkSignatures(t *testing.T) {
	body := request("channel.join", annWould("rooms:lobby", `"payload":{}`))
	other := request("channel.join", annWould("rooms:other", `"payload":{}`))
	now := time.Now()
	good := func() http.Header { return sign(t, secret, "msg_1", now, body) }
	with := func(name, value string) http.Header {
		h := good()
		h.Set(name, value)
		return h
	}
	for name, c := range map[string]struct {
		header http.Header
		body   string
		want   int
	}{
		"signed":                         {good(), body, 200},
		"signed with text beyond ASCII":  {sign(t, secret, "msg_2", now, request("channel.join", annWould("rooms:ö", `"payload":{"a":"👋"}`))), request("channel.join", annWould("rooms:ö", `"payload":{"a":"👋"}`)), 200},
		"four minutes old":               {sign(t, secret, "msg_3", now.Add(-4*time.Minute), body), body, 200},
		"signed by two, one of them":     {with("Webhook-Signature", "v1,bm8= v1a,bm8= "+good().Get("Webhook-Signature")), body, 200},
		"nothing signed":                 {http.Header{}, body, 401},
		"signed by another":              {sign(t, otherSecret, "msg_1", now, body), body, 401},
		"ten minutes old":                {sign(t, secret, "msg_1", now.Add(-10*time.Minute), body), body, 401},
		"ten minutes ahead":              {sign(t, secret, "msg_1", now.Add(10*time.Minute), body), body, 401},
		"replayed with another body":     {good(), other, 401},
		"replayed with a space more":     {good(), body + " ", 401},
		"replayed with another id":       {with("Webhook-Id", "msg_9"), body, 401},
		"replayed with another time":     {with("Webhook-Timestamp", fmt.Sprint(now.Unix()+1)), body, 401},
		"a time that is none":            {with("Webhook-Timestamp", "soon"), body, 401},
		"a signature of another version": {with("Webhook-Signature", strings.Replace(good().Get("Webhook-Signature"), "v1,", "v2,", 1)), body, 401},
		"a signature without a version":  {with("Webhook-Signature", "c2lnbmVk"), body, 401},
		"a signature that is no base64":  {with("Webhook-Signature", "v1,é"), body, 401},
		"an empty signature":             {with("Webhook-Signature", "v1,"), body, 401},
		"an empty call":                  {http.Header{}, "", 401},
	} {
		if got, answer := b.post(t, c.header, c.body); got != c.want {
			t.Errorf("%s: got status %d %.300s, want %d", name, got, answer, c.want)
		}
	}
}

// Answers are what docs/webhook.md says, also to what no client should send.
func (b *backend) checkAnswers(t *testing.T) {
	const no = `"error"`
	for name, c := range map[string]struct{ kind, data, want string }{ // want is an answer, or its status
		"connect":              {"socket.connect", `"params":{"nick":"ann"},"assigns":{}`, `{"status":"ok","id":"user:ann","assigns":{"nick":"ann"}}`},
		"connect, no nick":     {"socket.connect", `"params":{},"assigns":{}`, no},
		"connect, a list":      {"socket.connect", `"params":{"nick":["ann"]},"assigns":{}`, no},
		"join":                 {"channel.join", annWould("rooms:lobby", `"payload":{}`), `{"status":"ok","presence":{"key":"ann"}}`},
		"join, odd payload":    {"channel.join", annWould("rooms:lobby", `"payload":[1]`), `{"status":"ok","presence":{"key":"ann"}}`},
		"join, bytes":          {"channel.join", annWould("rooms:lobby", `"payload_base64":"AAE="`), `{"status":"ok","presence":{"key":"ann"}}`},
		"join, secret":         {"channel.join", annWould("rooms:secret", `"payload":{}`), no},
		"join, never asked":    {"channel.join", `"params":{},"assigns":{},"topic":"rooms:lobby","join_ref":"1","ref":"1","payload":{}`, no},
		"push":                 {"channel.push", annWould("rooms:lobby", `"event":"new_msg","payload":{"body":"hi","x":1}`), `{"status":"ok","broadcast":[{"event":"new_msg","payload":{"nick":"ann","body":"hi"}}]}`},
		"push, another event":  {"channel.push", annWould("rooms:lobby", `"event":"delete","payload":{"body":"hi"}`), no},
		"push, text":           {"channel.push", annWould("rooms:lobby", `"event":"new_msg","payload":"hi"`), no},
		"push, null":           {"channel.push", annWould("rooms:lobby", `"event":"new_msg","payload":null`), no},
		"push, list":           {"channel.push", annWould("rooms:lobby", `"event":"new_msg","payload":["body"]`), no},
		"push, no body":        {"channel.push", annWould("rooms:lobby", `"event":"new_msg","payload":{}`), no},
		"push, body not text":  {"channel.push", annWould("rooms:lobby", `"event":"new_msg","payload":{"body":{"a":1}}`), no},
		"push, bytes":          {"channel.push", annWould("rooms:lobby", `"event":"new_msg","payload_base64":"AAE="`), no},
		"leave":                {"channel.leave", `"params":{},"assigns":{"nick":"ann"},"topic":"rooms:x","join_ref":"1","reason":"left"`, ""},
		"leave, never allowed": {"channel.leave", `"params":{},"assigns":{},"topic":"rooms:x","join_ref":"1","reason":"left"`, ""},
		"disconnect":           {"socket.disconnect", `"params":{},"assigns":{"nick":"ann"},"reason":"closed"`, ""},
	} {
		body := request(c.kind, c.data)
		validate(t, name, "request", []byte(body))
		status, answer := b.post(t, sign(t, secret, "msg_"+c.kind, time.Now(), body), body)
		if status != http.StatusOK {
			t.Errorf("%s: got status %d %.300s, want 200", name, status, answer)
			continue
		}
		if c.want == "" {
			continue
		}
		validate(t, name, strings.TrimPrefix(strings.TrimPrefix(c.kind, "socket."), "channel.")+"_answer", answer)
		var got struct{ Status json.RawMessage }
		if err := json.Unmarshal(answer, &got); err != nil || string(got.Status) != c.want && !same(answer, c.want) {
			t.Errorf("%s: got %s, want %s", name, answer, c.want)
		}
	}
	ping := `{"type":"roost.ping","timestamp":"2026-11-21T10:00:00.000Z","data":{}}` // gateway doctor
	if status, answer := b.post(t, sign(t, secret, "msg_ping", time.Now(), ping), ping); status != http.StatusOK {
		t.Errorf("roost.ping: got status %d %.300s, want 200", status, answer)
	}
}

// validate checks JSON against a part of the webhook's schema.
func validate(t *testing.T, name, part string, text []byte) {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile("../../docs/schemas/webhook.json#/$defs/" + part)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		t.Errorf("%s: %s %s: %v", name, part, text, err)
	}
}

// same tells whether two texts are the same JSON.
func same(a []byte, b string) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}
