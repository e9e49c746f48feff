package conformance_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/internal/redistest"
)

// Sizes of TestRest: -rest 1m -restpods 10 -restmembers 10000 is what docs/scale.md tells.
var (
	restTime    = flag.Duration("rest", 6*time.Second, "how long TestRest counts commands")
	restPods    = flag.Int("restpods", 2, "pods of TestRest")
	restMembers = flag.Int("restmembers", 400, "members of TestRest, over all pods")
)

// restingCommands is how many commands a pod may send per second while nothing happens: a probe, a ping, a beat, and what comes
// every some seconds.
const restingCommands = 8

// TestRest: while nothing happens, what Redis has to do depends on the number of pods, and not on that of members or topics.
func TestRest(t *testing.T) {
	s := redistest.Start(t)
	var pods []*pod
	for range *restPods {
		pods = append(pods, ownPod(t, s.URL, settings{"ROOST_WEBHOOK_EVENTS": "join,push", "ROOST_IDLE_TIMEOUT": "10m"}))
	}
	empty := commands(t, s, *restTime)
	topics := *restMembers / 10
	for i := range *restMembers {
		dial(t, pods[i%len(pods)], "vsn=2.0.0").named(fmt.Sprint("room:rest-", i%topics)).joined()
	}
	full := commands(t, s, *restTime)
	t.Logf("%d pods, %v: %.2f commands a second without members, %.2f with %d on %d topics", len(pods), *restTime,
		total(empty), total(full), *restMembers, topics)
	for _, name := range slices.Sorted(maps.Keys(full)) {
		t.Logf("%-12s %6.2f", name, full[name])
	}
	if got, most := total(full), float64(restingCommands*len(pods)); got > most {
		t.Errorf("got %v commands a second for %d pods at rest, want %v at most: %v", got, len(pods), most, full)
	}
}

// commands returns how many commands of each kind Redis carries out per second.
func commands(t *testing.T, s *redistest.Server, during time.Duration) map[string]float64 {
	t.Helper()
	time.Sleep(3 * time.Second) // what was done before
	if err := s.Client.(*redis.Client).ConfigResetStat(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(during)
	info, err := s.Client.Info(context.Background(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	rates := map[string]float64{}
	for line := range strings.Lines(info) {
		name, rest, found := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		if !found || name == "info" || strings.HasPrefix(name, "config") {
			continue
		}
		var n float64
		if _, err := fmt.Sscanf(rest, "%g", &n); err != nil {
			t.Fatal(err)
		}
		rates[name] = n / during.Seconds()
	}
	return rates
}

func total(rates map[string]float64) (sum float64) {
	for _, n := range rates {
		sum += n
	}
	return sum
}
