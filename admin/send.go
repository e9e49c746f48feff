package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"roost/hub"
	"roost/internal/rawjson"
)

// maxBatch is how many messages one request may have.
const maxBatch = 1000

// result is what became of one message. Receivers is how many pods and taps listened; it is null in a Redis Cluster, where nobody knows.
type result struct {
	Pod       string `json:"pod,omitempty"` // that was told something
	Status    string `json:"status"`        // "ok", or "unavailable"
	Receivers *int64 `json:"receivers"`
}

// send publishes, and returns what became of each message. It is an error if one of them may not have been sent.
func (a *api) send(ctx context.Context, messages []hub.Message) ([]result, error) {
	results, failed := make([]result, len(messages)), 0
	for i, sent := range a.op.Send(ctx, messages) {
		results[i].Status = "ok"
		switch {
		case sent.Err != nil:
			failed++
			results[i].Status = "unavailable"
		case sent.Receivers >= 0:
			results[i].Receivers = &sent.Receivers
		}
	}
	if failed == 0 {
		return results, nil
	}
	p := problem("unavailable", fmt.Sprintf("%d of %d messages may not have been sent", failed, len(messages)))
	if failed < len(messages) {
		p.Results = results
	}
	return nil, p
}

// message makes what is published of a body, or says what is wrong.
func (a *api) message(addr hub.Address, body []byte, err error) (hub.Message, error) {
	switch {
	case errors.Is(err, hub.ErrMalformed):
		return hub.Message{}, errFields("event: missing")
	case err != nil:
		return hub.Message{}, err
	case len(body) > a.maxMessage:
		return hub.Message{}, problem("too_large", fmt.Sprintf("a message has %d bytes, more than %d", len(body), a.maxMessage))
	}
	return hub.Message{Addr: addr, Body: body}, nil
}

// one publishes one message.
func (a *api) one(ctx context.Context, m hub.Message, err error) (int, any, error) {
	if err != nil {
		return 0, nil, invalid(err)
	}
	results, err := a.send(ctx, []hub.Message{m})
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, results[0], nil
}

// broadcast sends an event to all members of a topic, or a batch of such.
func (a *api) broadcast(ctx context.Context, body []byte) (int, any, error) {
	batch, err := messagesIn(body)
	if err != nil {
		return 0, nil, err
	}
	if batch == nil {
		m, err := a.broadcastOf(body)
		return a.one(ctx, m, err)
	}
	var messages []hub.Message
	for i, one := range batch {
		m, err := a.broadcastOf(one)
		if p := new(Problem); errors.As(err, &p) {
			p.Detail = fmt.Sprintf("messages[%d]: %s", i, p.Detail)
			return 0, nil, p
		} else if err != nil {
			return 0, nil, problem("invalid_message", fmt.Sprintf("messages[%d]: %s", i, err))
		}
		messages = append(messages, m)
	}
	results, err := a.send(ctx, messages)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, struct {
		Results []result `json:"results"`
	}{results}, nil
}

// messagesIn returns the messages of a batch, or nil if body is none.
func messagesIn(body []byte) (batch [][]byte, err error) {
	f, err := read(body, false, nil, []string{"messages"})
	if err != nil || f.rest["messages"] == nil {
		return nil, nil // it is one message, or what is wrong will be found there
	}
	batch = [][]byte{}
	err = rawjson.Array(f.rest["messages"], func(one []byte) error {
		if batch = append(batch, one); len(batch) > maxBatch {
			return problem("too_large", fmt.Sprintf("messages: more than %d", maxBatch))
		}
		return nil
	})
	switch p := new(Problem); {
	case errors.As(err, &p):
		return nil, p
	case err != nil || len(batch) == 0:
		return nil, problem("invalid_request", "messages: not a list with messages in it")
	}
	return batch, nil
}

func (a *api) broadcastOf(body []byte) (hub.Message, error) {
	f, err := read(body, true, []string{"topic", "event", "except"}, nil)
	if err == nil {
		err = f.needs("topic", "event")
	}
	if err != nil {
		return hub.Message{}, err
	}
	text, err := hub.Body(f.broadcast())
	return a.message(hub.TopicAddress(f.texts["topic"]), text, err)
}

// push sends an event to one user's, or one connection's, member of a topic.
func (a *api) push(ctx context.Context, body []byte) (int, any, error) {
	f, err := read(body, true, []string{"topic", "event", "id", "connection"}, nil)
	if err == nil {
		err = f.needs("topic", "event")
	}
	return a.addressed(ctx, f, err, func() ([]byte, error) { return hub.AddressedBody(f.texts["topic"], f.broadcast()) })
}

// disconnect closes all connections of a socket id, or one connection.
func (a *api) disconnect(ctx context.Context, body []byte) (int, any, error) {
	f, err := read(body, false, []string{"id", "connection"}, nil)
	return a.addressed(ctx, f, err, func() ([]byte, error) { return hub.AddressedBody("", hub.Broadcast{Event: "disconnect"}) })
}

// kick ends a channel of a user or of a connection.
func (a *api) kick(ctx context.Context, body []byte) (int, any, error) {
	f, err := read(body, false, []string{"topic", "id", "connection", "event"}, nil)
	if err == nil {
		err = f.needs("topic")
	}
	if err == nil {
		switch event, found := f.texts["event"]; {
		case !found:
			f.texts["event"] = "phx_close"
		case event != "phx_close" && event != "phx_error":
			err = errFields("event: neither phx_close nor phx_error")
		}
	}
	return a.addressed(ctx, f, err, func() ([]byte, error) { return hub.AddressedBody(f.texts["topic"], f.broadcast()) })
}

// addressed publishes to whom a body names.
func (a *api) addressed(ctx context.Context, f *fields, err error, text func() ([]byte, error)) (int, any, error) {
	var addr hub.Address
	if err == nil {
		addr, err = f.target()
	}
	if err != nil {
		return 0, nil, invalid(err)
	}
	body, err := text()
	m, err := a.message(addr, body, err)
	return a.one(ctx, m, err)
}
