package admin_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"roost/hub"
)

// installation stands for Redis behind the API.
type installation struct {
	mu         sync.Mutex
	sent       []hub.Message
	more       []hub.PodState
	down       error // what sending fails with
	cluster    bool  // nobody knows how many listen
	part       bool  // only the first message of a batch goes out
	forgets    int   // so many times no answer can be kept
	remembered map[string]string
	tapped     chan func(topic string, body []byte)
	broken     chan struct{} // closed: taps end
}

var _ hub.Operator = (*installation)(nil)

func (i *installation) Send(_ context.Context, messages []hub.Message) []hub.Sent {
	i.mu.Lock()
	defer i.mu.Unlock()
	sent := make([]hub.Sent, len(messages))
	for n := range messages {
		if sent[n] = (hub.Sent{Receivers: int64(n), Err: i.down}); i.part && n > 0 {
			sent[n].Err = errors.New("away")
		}
		if i.cluster {
			sent[n].Receivers = -1
		}
		if sent[n].Err == nil {
			i.sent = append(i.sent, messages[n])
		}
	}
	return sent
}

func (i *installation) ListTopics(context.Context, hub.TopicMatch, string, int) ([]hub.TopicCount, string, error) {
	return []hub.TopicCount{{Topic: "a", Members: 2, Present: 1}}, "7", nil
}

func (i *installation) CountTopic(_ context.Context, topic string) (hub.TopicCount, error) {
	return hub.TopicCount{Topic: topic}, nil
}

func (i *installation) ListMembers(_ context.Context, _, cursor string, _ int) ([]string, string, error) {
	if cursor == "bad" {
		return nil, "", hub.ErrCursor
	}
	return nil, "", nil
}

func (i *installation) ListPresence(context.Context, string, string, int) ([]hub.Shown, string, error) {
	return []hub.Shown{{Connection: "a.1", Presence: hub.Presence{Key: "u", Ref: "r", Meta: []byte(`{"n":1}`)}}}, "", nil
}

func (i *installation) FindConnection(_ context.Context, connection string) (hub.ConnectionState, error) {
	if connection == "a.1" {
		return hub.ConnectionState{Connection: "a.1", Pod: "a", Transport: "websocket"}, nil
	}
	return hub.ConnectionState{}, hub.ErrUnknown
}

func (i *installation) ListPods(context.Context) ([]hub.PodState, error) {
	return append([]hub.PodState{
		{ID: "a", Left: time.Second, Said: time.Now(), Reports: hub.PodReport{Connections: 10}}, {ID: "b", Left: time.Second}, {ID: "c", Left: -1},
	}, i.more...), nil
}

func (i *installation) Remember(_ context.Context, key, fingerprint string, _ time.Duration) (string, []byte, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	was, found := i.remembered[key]
	print, result, _ := strings.Cut(was, " ")
	switch {
	case !found:
		if i.remembered == nil {
			i.remembered = map[string]string{}
		}
		i.remembered[key] = fingerprint + " "
		return fingerprint + " ", nil, nil
	case print != fingerprint:
		return "", nil, hub.ErrOther
	case result == "":
		return "", nil, hub.ErrPending
	}
	return "", []byte(result), nil
}

func (i *installation) Conclude(_ context.Context, key, mark string, result []byte, _ time.Duration) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.forgets > 0 {
		i.forgets--
		return errors.New("away")
	}
	if i.remembered[key] = mark + string(result); result == nil {
		delete(i.remembered, key)
	}
	return nil
}

func (i *installation) Tap(ctx context.Context, _ hub.TopicMatch, ready func(), each func(string, []byte)) error {
	ready()
	if i.tapped != nil {
		i.tapped <- each
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-i.broken:
		return errors.New("away")
	}
}
