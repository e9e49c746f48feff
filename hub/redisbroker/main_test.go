package redisbroker_test

import (
	"log/slog"
	"testing"

	"go.uber.org/goleak"

	"roost/hub/hubtest"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBroker(t *testing.T) {
	redistest.Each(t, func(t *testing.T, s *redistest.Server) { contract(t, s, false) })
	t.Run("cluster", func(t *testing.T) { contract(t, redistest.Cluster(t), false) })
	t.Run("sentinel", func(t *testing.T) { contract(t, redistest.Sentinel(t), false) })
	t.Run("sharded", func(t *testing.T) { contract(t, redistest.Start(t), true) })
	t.Run("sharded cluster", func(t *testing.T) { contract(t, redistest.Cluster(t), true) })
}

// contract runs hubtest on s.
func contract(t *testing.T, s *redistest.Server, sharded bool) {
	hubtest.TestBroker(t, func(t *testing.T, podID string) hubtest.Pod {
		b := open(t, redisbroker.Config{URL: s.URL, PodID: podID, ShardedPubSub: sharded})
		return hubtest.Pod{Broker: b, Roster: b, Members: func(topic string) []string { return members(t, s, topic) }}
	})
}

// open opens a broker that logs to the test.
func open(t testing.TB, cfg redisbroker.Config) *redisbroker.Broker {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	b, err := redisbroker.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// members reads a membership set as a backend does.
func members(t testing.TB, s *redistest.Server, topic string) []string {
	t.Helper()
	got, err := s.Client.SMembers(t.Context(), "roost:{"+topic+"}:members").Result()
	if err != nil {
		t.Fatal(err)
	}
	return got
}
