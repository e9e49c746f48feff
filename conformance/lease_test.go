package conformance_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// leaseTime is the shortest lease a pod may have.
const leaseTime = 3 * time.Second

// leasedPod starts a pod with a short lease, which may be killed.
func leasedPod(t *testing.T, server *redisServer, id string, more ...settings) *pod {
	t.Helper()
	all := settings{"ROOST_POD_LEASE": leaseTime.String(), "ROOST_POD_ID": id}
	for _, m := range more {
		maps.Copy(all, m)
	}
	p, err := startPod("socket", all, server.url())
	if err != nil {
		t.Fatalf("pod: %v", err)
	}
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		p.log.Close()
	})
	return p
}

// signal sends s to the pod's process.
func (p *pod) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// crowd joins n clients of p to topic and returns their connection ids.
func crowd(t *testing.T, p *pod, topic string, n int) (clients []*client, connections []string) {
	t.Helper()
	for range n {
		c := dial(t, p, "vsn=2.0.0").named(topic).joined()
		clients, connections = append(clients, c), append(connections, c.connection("1"))
	}
	return clients, connections
}

// pods returns who holds a lease.
func (s *redisServer) pods(t testing.TB) []string {
	t.Helper()
	pods, err := s.client.ZRange(context.Background(), "roost:pods", 0, -1).Result()
	if err != nil {
		t.Errorf("pods: %v", err)
	}
	slices.Sort(pods)
	return pods
}

// wantPods waits until exactly these pods hold a lease.
func wantPods(t *testing.T, server *redisServer, want ...string) {
	t.Helper()
	eventually(t, func() error {
		if got := server.pods(t); !slices.Equal(got, want) {
			return fmt.Errorf("got pods %q, want %q", got, want)
		}
		return nil
	})
}

// wantKeys waits until exactly these keys match pattern.
func wantKeys(t *testing.T, server *redisServer, pattern string, want ...string) {
	t.Helper()
	eventually(t, func() error {
		got, err := server.client.Keys(context.Background(), pattern).Result()
		if slices.Sort(got); err != nil || !slices.Equal(got, want) {
			return fmt.Errorf("got keys %.500q like %s, error %v, want %q", got, pattern, err, want)
		}
		return nil
	})
}

func TestPodKilled(t *testing.T) {
	t.Parallel()
	server := ownRedis(t)
	a, b := leasedPod(t, server, "pod-a"), leasedPod(t, server, "pod-b")
	topic := newTopic("lease")
	_, _ = crowd(t, a, topic, 5)
	_, staying := crowd(t, b, topic, 3)
	wantPods(t, server, "pod-a", "pod-b")
	a.signal(t, syscall.SIGKILL)
	killed := time.Now()
	wantMembers(t, server, topic, staying...)
	if took, most := time.Since(killed), leaseTime+2*time.Second; took > most {
		t.Errorf("the members of a killed pod were gone after %v, want %v at most", took, most)
	}
	wantPods(t, server, "pod-b")
	wantKeys(t, server, "roost:pod:pod-a:[ms]*")
}

// TestPodFrozen: a pod that was taken for dead enters its members again, in silence where the backend is not told of leaves.
// Where it is, see TestNoticesOfAFrozenPod.
func TestPodFrozen(t *testing.T) {
	t.Parallel()
	server := ownRedis(t)
	silent := settings{"ROOST_WEBHOOK_EVENTS": "connect,join,push"}
	a, b := leasedPod(t, server, "pod-a", silent), leasedPod(t, server, "pod-b", silent)
	topic := newTopic("lease")
	frozen, gone := crowd(t, a, topic, 5)
	_, staying := crowd(t, b, topic, 3)
	for range 2 {
		a.signal(t, syscall.SIGSTOP)
		wantMembers(t, server, topic, staying...)
		wantPods(t, server, "pod-b")
		a.signal(t, syscall.SIGCONT)
		wantMembers(t, server, topic, slices.Concat(gone, staying)...)
		wantPods(t, server, "pod-a", "pod-b")
		if n := server.client.HLen(context.Background(), "roost:pod:pod-a:members").Val(); n != int64(len(gone)) {
			t.Errorf("got %d entries in the index, want %d", n, len(gone))
		}
	}
	frozen[0].send(`["1","9",$T,"bcast",{}]`)
	for _, c := range frozen[1:] {
		c.want(`[null,null,$T,"bcast",{}]`)
	}
}

func TestRedisFlushed(t *testing.T) {
	t.Parallel()
	server := ownRedis(t)
	topic := newTopic("lease")
	_, first := crowd(t, leasedPod(t, server, "pod-a"), topic, 3)
	_, second := crowd(t, leasedPod(t, server, "pod-b"), topic, 3)
	if err := server.client.FlushAll(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	wantMembers(t, server, topic, slices.Concat(first, second)...)
	wantPods(t, server, "pod-a", "pod-b")
}

func TestPodStopped(t *testing.T) {
	t.Parallel()
	server := ownRedis(t)
	a := leasedPod(t, server, "pod-a")
	topic := newTopic("lease")
	crowd(t, a, topic, 5)
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	wantMembers(t, server, topic)
	wantKeys(t, server, "roost:*", "roost:secret")
}

// TestSweeperKilled: a pod that dies while it sweeps another leaves the rest to a third.
func TestSweeperKilled(t *testing.T) {
	t.Parallel()
	server := ownRedis(t)
	ctx := context.Background()
	survivors := map[string]*pod{}
	for _, id := range []string{"pod-a", "pod-b", "pod-c"} {
		survivors[id] = leasedPod(t, server, id)
	}
	const many, index = 20_000, "roost:pod:pod-x:members"
	pipe := server.client.Pipeline()
	for i := range many {
		pipe.HSet(ctx, index, fmt.Sprintf("pod-x.%d room:dead-%d", i, i), `"1"`)
		pipe.SAdd(ctx, fmt.Sprintf("roost:{room:dead-%d}:members", i), fmt.Sprint("pod-x.", i))
	}
	pipe.Do(ctx, "ZADD", "roost:pods", 1, "pod-x")
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	sweeper := awaitSweeper(t, server, index, many)
	survivors[sweeper].signal(t, syscall.SIGKILL)
	survivors[sweeper].cmd.Wait()
	if n := server.client.HLen(ctx, index).Val(); n == 0 {
		t.Fatal("the sweep was over before its sweeper was killed")
	}
	delete(survivors, sweeper)
	var want []string
	for id := range survivors {
		want = append(want, id)
	}
	slices.Sort(want)
	wantPods(t, server, want...)
	wantKeys(t, server, "roost:{room:dead-*")
	wantKeys(t, server, index)
}

// awaitSweeper waits until the sweep of pod-x has begun, whose index had so many entries, and returns who sweeps.
func awaitSweeper(t *testing.T, server *redisServer, index string, many int64) string {
	t.Helper()
	ctx := context.Background()
	eventually(t, func() error {
		if n := server.client.HLen(ctx, index).Val(); n == many {
			return fmt.Errorf("nobody sweeps pod-x")
		}
		return nil
	})
	words := strings.Fields(server.client.Get(ctx, "roost:pod:pod-x:sweep").Val()) // until when, who, token
	if len(words) != 3 {
		t.Fatalf("got claim %q, want one that says until when and who", words)
	}
	return words[1]
}
