package main

import (
	"context"
	"encoding/json"

	"roost/auth"
)

// lobby is the one room.
const lobby = "rooms:lobby"

// chat is the Phoenix chat example. It answers with Go what a backend elsewhere answers by webhook.
type chat struct{}

type message struct {
	User string `json:"user"`
	Body string `json:"body,omitempty"`
}

// Join lets everybody into the lobby. The reply comes first, then "join" to the one who joined, and then everybody hears
// who entered.
func (chat) Join(_ context.Context, r *auth.JoinRequest) (*auth.Answer, error) {
	if r.Topic != lobby {
		return &auth.Answer{Status: "error", Response: []byte(`{"reason":"unauthorized"}`)}, nil
	}
	var who message
	if err := json.Unmarshal(r.Payload, &who); err != nil {
		return nil, err // the client is told "join crashed"
	}
	return &auth.Answer{
		Status:     "ok",
		Pushes:     []auth.Push{{Event: "join", Payload: []byte(`{"status":"connected"}`)}},
		Broadcasts: []auth.Broadcast{{Event: "user:entered", Payload: encode(message{User: who.User})}},
	}, nil
}

// Push sends a message to everybody and tells its sender what was said.
func (chat) Push(_ context.Context, r *auth.PushRequest) (*auth.Answer, error) {
	var said message
	if err := json.Unmarshal(r.Payload, &said); err != nil || r.Event != "new:msg" {
		return &auth.Answer{Status: "error", Response: []byte(`{"reason":"not a message"}`)}, nil
	}
	return &auth.Answer{
		Status:     "ok",
		Response:   encode(map[string]string{"msg": said.Body}),
		Broadcasts: []auth.Broadcast{{Event: "new:msg", Payload: encode(said)}},
	}, nil
}

// Connect accepts everybody. A real program looks at c.Params or c.AuthToken, and returns an *auth.Refusal for a no.
func (chat) Connect(context.Context, *auth.Client) (*auth.ConnectAnswer, error) {
	return &auth.ConnectAnswer{}, nil
}

func (chat) Leave(*auth.LeaveNotice)           {}
func (chat) Disconnect(*auth.DisconnectNotice) {}

// encode cannot fail for what this chat sends.
func encode(v any) []byte {
	data, _ := json.Marshal(v)
	return data
}
