package webhook_test

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"roost/auth"
	"roost/auth/webhook"
)

const about = `"connection":"pod-a.81f3","id":"user:42","transport":"websocket","vsn":"2.0.0","remote_ip":"192.0.2.7",` +
	`"params":{"a": 1.0,"b":["<&>"]},"headers":{"user-agent":"x"},"auth_token":"t0k\"en",`

// aboutNotices is about without the token, which notices do not carry.
var aboutNotices = strings.Replace(about, `"t0k\"en"`, "null", 1)

var timestamp = regexp.MustCompile(`"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"`)

func TestRequests(t *testing.T) {
	type call = func(c *webhook.Client)
	bare := &auth.Client{Connection: "c", Transport: "longpoll", VSN: "1.0.0", RemoteIP: "::1"}
	for name, c := range map[string]struct {
		call call
		want string
	}{
		"connect": {
			func(c *webhook.Client) { c.Connect(t.Context(), someone()) },
			`{"type":"socket.connect",TS,"data":{` + about + `"assigns":{"big":12345678901234567890}}}`,
		},
		"a connect that knows little": {
			func(c *webhook.Client) { c.Connect(t.Context(), bare) },
			`{"type":"socket.connect",TS,"data":{"connection":"c","id":null,"transport":"longpoll","vsn":"1.0.0","remote_ip":"::1",` +
				`"params":{},"headers":{},"auth_token":null,"assigns":{}}}`,
		},
		"join": {
			func(c *webhook.Client) {
				c.Join(t.Context(), &auth.JoinRequest{
					Client: someone(), Topic: `rooms:"<ü>`, JoinRef: `"3"`, Ref: `3`,
					Payload: []byte(`{"x" : 1e400, "a":null}`), Assigns: json.RawMessage(`{"n": 1.50}`),
				})
			},
			`{"type":"channel.join",TS,"data":{` + about + `"assigns":{"n": 1.50},"topic":"rooms:\"<ü>","join_ref":"3","ref":3,` +
				`"payload":{"x" : 1e400, "a":null}}}`,
		},
		"binary join": {
			func(c *webhook.Client) {
				c.Join(t.Context(), &auth.JoinRequest{Client: someone(), Topic: "t", JoinRef: `"3"`, Payload: []byte{0, 255, 254}, Binary: true})
			},
			`{"type":"channel.join",TS,"data":{` + about + `"assigns":{},"topic":"t","join_ref":"3","ref":null,"payload_base64":"AP/+"}}`,
		},
		"push": {
			func(c *webhook.Client) {
				c.Push(t.Context(), &auth.PushRequest{
					Client: someone(), Topic: "t", JoinRef: `"3"`, Ref: `"4"`, Event: "new_msg", Payload: []byte(`[ 1]`), Assigns: json.RawMessage(`{}`),
				})
			},
			`{"type":"channel.push",TS,"data":{` + about + `"assigns":{},"topic":"t","join_ref":"3","ref":"4","event":"new_msg","payload":[ 1]}}`,
		},
		"binary push": {
			func(c *webhook.Client) {
				c.Push(t.Context(), &auth.PushRequest{Client: someone(), Topic: "t", JoinRef: `"3"`, Ref: `"4"`, Event: "e", Binary: true})
			},
			`{"type":"channel.push",TS,"data":{` + about + `"assigns":{},"topic":"t","join_ref":"3","ref":"4","event":"e","payload_base64":""}}`,
		},
		"leave": {
			func(c *webhook.Client) {
				c.Leave(&auth.LeaveNotice{Client: someone(), Topic: "t", JoinRef: `"3"`, Assigns: json.RawMessage(`{"k":1}`), Reason: auth.ReasonDuplicateJoin})
			},
			`{"type":"channel.leave",TS,"data":{` + aboutNotices + `"assigns":{"k":1},"topic":"t","join_ref":"3","reason":"duplicate_join"}}`,
		},
		"disconnect": {
			func(c *webhook.Client) {
				c.Disconnect(&auth.DisconnectNotice{Client: someone(), Reason: auth.ReasonSlow})
			},
			`{"type":"socket.disconnect",TS,"data":{` + aboutNotices + `"assigns":{"big":12345678901234567890},"reason":"slow"}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			requests := make(chan string, 1)
			c.call(newClient(t, webhook.Config{URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
				if got, want := r.Method+" "+r.Header.Get("content-type"), "POST application/json"; got != want {
					t.Errorf("method and content type: got %q, want %q", got, want)
				}
				requests <- string(body(t, r))
				io.WriteString(w, `{"status":"ok"}`)
			})}))
			got := receive(t, requests)
			if !timestamp.MatchString(got) {
				t.Fatalf("request: got %s, want a timestamp in UTC with milliseconds", got)
			}
			if got := timestamp.ReplaceAllString(got, "TS"); got != c.want {
				t.Errorf("request:\n got %s\nwant %s", got, c.want)
			}
			wantRequest(t, got)
		})
	}
}

func TestEventsThatAreOffCostNothing(t *testing.T) {
	c := newClient(t, webhook.Config{Events: []string{}, URL: serve(t, func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("got a request, want none: %s", body(t, r))
	})})
	if got, err := c.Connect(t.Context(), someone()); err != nil || got == nil || got.ID != "" || got.Assigns != nil {
		t.Errorf("Connect: got %+v, %v, want an empty yes", got, err)
	}
	c.Leave(leaveOf("a", "t"))
	c.Disconnect(&auth.DisconnectNotice{Client: someone()})
	if got, err := c.Join(t.Context(), joinOf("t")); err == nil {
		t.Errorf("Join: got %+v, want an error", got)
	}
	if got, err := c.Push(t.Context(), pushOf("e")); err == nil {
		t.Errorf("Push: got %+v, want an error", got)
	}
}
