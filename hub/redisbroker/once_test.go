package redisbroker_test

import (
	"testing"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

func TestPublishOnce(t *testing.T) {
	redistest.Each(t, func(t *testing.T, s *redistest.Server) {
		cfg := redisbroker.Config{URL: s.URL, Prefix: "test:"}
		addr := hub.TopicAddress("rooms:lobby")
		if n, err := redisbroker.PublishOnce(t.Context(), cfg, addr, []byte("{}")); n != 0 || err != nil {
			t.Errorf("nobody listens: got %d subscribers, error %v, want 0 and none", n, err)
		}
		sub := s.Client.Subscribe(t.Context(), "test:topic:rooms:lobby")
		defer sub.Close()
		if _, err := sub.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n, err := redisbroker.PublishOnce(t.Context(), cfg, addr, []byte(`{"event":"e"}`)); n != 1 || err != nil {
			t.Errorf("one listens: got %d subscribers, error %v, want 1 and none", n, err)
		}
		if m, err := sub.ReceiveMessage(t.Context()); err != nil || m.Payload != `{"event":"e"}` {
			t.Errorf("got %v, error %v, want the body", m, err)
		}
		if pods := s.Client.Exists(t.Context(), "test:pods").Val(); pods != 0 {
			t.Error("got an entry in the set of pods, want none")
		}
		s.Stop(t)
		if _, err := redisbroker.PublishOnce(t.Context(), cfg, addr, nil); err == nil {
			t.Error("Redis is down: got no error, want one")
		}
	})
}
