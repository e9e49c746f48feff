package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// lobby is the one room of the demo.
const lobby = "rooms:lobby"

// call is a webhook call, as far as a chat needs it.
type call struct {
	Type string `json:"type"`
	Data struct {
		Topic   string `json:"topic"`
		Event   string `json:"event"`
		Payload struct {
			User json.RawMessage `json:"user"`
			Body json.RawMessage `json:"body"`
		} `json:"payload"`
	} `json:"data"`
}

type object map[string]any

// event is an entry of an answer's push and broadcast.
type event struct {
	Event   string `json:"event"`
	Payload object `json:"payload"`
}

// answer is a webhook answer, as far as a chat needs it.
type answer struct {
	Status    string  `json:"status,omitempty"`
	Response  object  `json:"response,omitempty"`
	Push      []event `json:"push,omitempty"`
	Broadcast []event `json:"broadcast,omitempty"`
}

// chat is the Phoenix chat example as a backend in any language would write it: it knows the gateway only by its calls.
type chat struct {
	url    *url.URL
	server *http.Server
	failed chan error
}

// startChat starts the backend on a loopback port. Its caller closes it.
func startChat(ctx context.Context, secret string, log *slog.Logger) (*chat, error) {
	// During a rotation there are several secrets, and each of them signs.
	first, _, _ := strings.Cut(secret, " ")
	verifier, err := standardwebhooks.NewWebhook(first)
	if err != nil {
		return nil, errors.New("ROOST_WEBHOOK_SECRET: not whsec_<base64>")
	}
	listener, err := listen(ctx, "the demo backend's port", loopback, 0)
	if err != nil {
		return nil, err
	}
	c := &chat{
		url:    &url.URL{Scheme: "http", Host: listener.Addr().String(), Path: "/"},
		server: &http.Server{Handler: chatHandler(verifier, log), ReadHeaderTimeout: headerTimeout},
		failed: make(chan error, 1),
	}
	go func() { c.failed <- serveUntilClosed(c.server, listener) }()
	return c, nil
}

// close ends the backend and waits for it.
func (c *chat) close() error {
	return errors.Join(c.server.Close(), <-c.failed)
}

// maxCall is far more than the gateway sends, unless its limits were raised.
const maxCall = 16 << 20

// chatHandler checks who calls and answers.
func chatHandler(verifier *standardwebhooks.Webhook, log *slog.Logger) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCall))
		if err == nil {
			err = verifier.Verify(body, r.Header)
		}
		if err != nil {
			log.Warn("demo backend: refused a call", "err", err)
			http.Error(w, "not signed", http.StatusUnauthorized)
			return
		}
		var c call
		if err := json.Unmarshal(body, &c); err != nil {
			// A payload of another shape than a chat message.
			writeAnswer(w, answer{Status: "error", Response: object{"reason": "not a chat message"}})
			return
		}
		log.Debug("demo backend: called", "type", c.Type, "topic", c.Data.Topic, "event", c.Data.Event)
		writeAnswer(w, c.answer())
	}
}

// answer is the chat.
func (c *call) answer() answer {
	user, body := orNull(c.Data.Payload.User), orNull(c.Data.Payload.Body)
	switch {
	case c.Type == "socket.connect":
		return answer{Status: "ok"}
	case c.Type == "channel.join" && c.Data.Topic == lobby:
		return answer{
			Status:    "ok",
			Push:      []event{{"join", object{"status": "connected"}}},
			Broadcast: []event{{"user:entered", object{"user": user}}},
		}
	case c.Type == "channel.join":
		return answer{Status: "error", Response: object{"reason": "unauthorized"}}
	case c.Type == "channel.push" && c.Data.Event == "new:msg":
		return answer{
			Status:    "ok",
			Response:  object{"msg": body},
			Broadcast: []event{{"new:msg", object{"user": user, "body": body}}},
		}
	case c.Type == "channel.push":
		return answer{Status: "error", Response: object{"reason": fmt.Sprintf("the demo does not know the event %q", c.Data.Event)}}
	}
	return answer{} // a notice needs no more than a 200
}

// orNull is raw, or null where there is none.
func orNull(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return json.RawMessage("null")
	}
	return raw
}

func writeAnswer(w http.ResponseWriter, a answer) {
	w.Header().Set("content-type", "application/json")
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	_ = out.Encode(a) // the gateway sees a broken answer itself
}
