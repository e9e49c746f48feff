package conformance_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"roost/internal/redistest"
)

// olderCommit is of the version that TestOldBesideNew runs beside this one: it has leases, notices and presence.
const olderCommit = "1d19d730c5a1"

// buildOlder builds the gateway of that commit.
func buildOlder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	archive := exec.Command("git", "archive", olderCommit)
	archive.Dir = ".."
	source, err := archive.Output()
	if err != nil {
		t.Skipf("the history has no commit %s: %v", olderCommit, err)
	}
	unpack := exec.Command("tar", "-x", "-C", dir)
	unpack.Stdin = bytes.NewReader(source)
	if out, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "older"), "./cmd/gateway")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return filepath.Join(dir, "older")
}

// TestOldBesideNew: pods of an older version and of this one on one Redis are one installation, and take back what the other leaves.
func TestOldBesideNew(t *testing.T) {
	t.Parallel()
	older := buildOlder(t)
	s := redistest.Start(t)
	server := &redisServer{}
	l := newLedger(t)
	start := func(id, binary string) *pod {
		return l.pod(server, id, settings{"REDIS_URL": s.URL, "-binary": binary})
	}
	pods := map[string]*pod{"old": start("old-1", older), "new": start("new-1", lab.binary)}
	topic := newTopic("pres")
	members := func(want int) {
		t.Helper()
		eventually(t, func() error {
			if n := s.Client.SCard(t.Context(), "roost:{"+topic+"}:members").Val(); n != int64(want) {
				return fmt.Errorf("got %d members, want %d", n, want)
			}
			return nil
		})
	}
	watch := map[string]*observer{}
	for name, p := range pods {
		watch[name] = present(t, p, topic, name, "1")
	}
	both := map[string]string{"old": "1", "new": "1"}
	for _, o := range watch {
		o.until(both)
	}
	members(2)
	if err := s.Client.Publish(t.Context(), "roost:topic:"+topic, `{"event":"e","payload":{}}`).Err(); err != nil {
		t.Fatal(err)
	}
	for _, o := range watch {
		o.want(`[null,null,$T,"e",{}]`)
	}
	for name, other := range map[string]string{"old": "new", "new": "old"} {
		p := pods[name]
		p.signal(t, syscall.SIGKILL)
		p.cmd.Wait()
		watch[other].until(map[string]string{other: "1"}) // told by the other's sweep
		members(1)
		binary := lab.binary
		if name == "old" {
			binary = older
		}
		pods[name] = start(name+"-2", binary)
		watch[name] = present(t, pods[name], topic, name, "1")
		watch[other].until(both)
		members(2)
	}
	l.wantEnds(2, leaves)
	for _, p := range pods {
		p.signal(t, syscall.SIGTERM)
	}
	for _, p := range pods {
		p.ended(t)
	}
	members(0)
	wantReasons(t, l.wantEnds(4, leaves), map[string]int{"pod_lost": 2, "drained": 2})
}
