package redisbroker_test

import (
	"testing"
	"time"

	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

func TestBanned(t *testing.T) {
	redistest.Each(t, func(t *testing.T, s *redistest.Server) {
		p := start(t, redisbroker.Config{URL: "redis://" + s.Addr(), PodID: "a", Prefix: "app:"})
		p.awaitUps(t, 1)
		want := func(id string, want bool) {
			t.Helper()
			if got, err := p.Banned(t.Context(), id); got != want || err != nil {
				t.Errorf("Banned(%q) = %t, %v, want %t", id, got, err, want)
			}
		}
		want("user:1", false)
		if err := s.Client.Set(t.Context(), "app:ban:user:1", "spam", time.Hour).Err(); err != nil {
			t.Fatal(err)
		}
		if err := s.Client.Set(t.Context(), "app:ban:", "", time.Hour).Err(); err != nil {
			t.Fatal(err)
		}
		want("user:1", true)
		want("user:10", false)
		want("user", false)
		if err := s.Client.Del(t.Context(), "app:ban:user:1").Err(); err != nil {
			t.Fatal(err)
		}
		want("user:1", false)
		s.Stop(t)
		if banned, err := p.Banned(t.Context(), "user:1"); err == nil {
			t.Errorf("without Redis: got %t, want an error", banned)
		}
	})
}
