package redisbroker_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

var _ hub.Directory = (*redisbroker.Broker)(nil)

func key(t *testing.T, d hub.Directory) []byte {
	t.Helper()
	k, err := d.Key(t.Context())
	if err != nil || len(k) != 32 {
		t.Fatalf("Key: got %d bytes and %v, want 32 and nil", len(k), err)
	}
	return k
}

// awaitURL waits until d gives out want for a pod. Answers may be two seconds old.
func awaitURL(t *testing.T, d hub.Directory, pod, want string) {
	t.Helper()
	redistest.Eventually(t, "URL "+want+" of "+pod, func() bool {
		got, err := d.URL(t.Context(), pod)
		if err != nil {
			t.Fatalf("URL: got %v, want nil", err)
		}
		return got == want
	})
}

func TestDirectory(t *testing.T) {
	redistest.Each(t, func(t *testing.T, s *redistest.Server) {
		a := start(t, redisbroker.Config{URL: s.URL, PodID: "pod-a", AdvertiseURL: "http://10.0.0.7:4000"})
		b := start(t, redisbroker.Config{URL: s.URL, PodID: "pod-b", AdvertiseURL: "http://10.0.0.8:4000/base"})
		silent := start(t, redisbroker.Config{URL: s.URL, PodID: "pod-c"})
		shared := key(t, a)
		for _, p := range []*pod{b, silent} {
			if got := key(t, p); !bytes.Equal(got, shared) {
				t.Errorf("got key %x, want that of the first pod, %x", got, shared)
			}
		}
		for _, p := range []*pod{a, b, silent} {
			awaitURL(t, p, "pod-a", "http://10.0.0.7:4000")
			awaitURL(t, p, "pod-b", "http://10.0.0.8:4000/base")
			awaitURL(t, p, "pod-c", "")
			awaitURL(t, p, "nobody", "")
		}
		if ttl := s.Client.PTTL(t.Context(), "roost:pod:pod-a:url").Val(); ttl <= 0 || ttl > 15*time.Second {
			t.Errorf("got TTL %v of the URL, want one of up to 15s", ttl)
		}
		b.stop()
		if n := s.Client.Exists(t.Context(), "roost:pod:pod-b:url").Val(); n != 0 {
			t.Error("got a URL of a pod that has stopped, want none")
		}
		awaitURL(t, a, "pod-b", "")
	})
}

// The secret and the addresses come back after Redis has lost all it knew, and the tokens of before are still good.
func TestDirectoryAfterFlush(t *testing.T) {
	redistest.Each(t, func(t *testing.T, s *redistest.Server) {
		t.Parallel()
		a := start(t, redisbroker.Config{URL: s.URL, PodID: "pod-a", AdvertiseURL: "http://10.0.0.7:4000"})
		b := start(t, redisbroker.Config{URL: s.URL, PodID: "pod-b", AdvertiseURL: "http://10.0.0.8:4000"})
		shared := key(t, a)
		awaitURL(t, b, "pod-a", "http://10.0.0.7:4000")
		awaitURL(t, a, "pod-b", "http://10.0.0.8:4000")
		if err := s.Client.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		redistest.Eventually(t, "secret and two URLs", func() bool {
			return s.Client.Exists(t.Context(), "roost:secret", "roost:pod:pod-a:url", "roost:pod:pod-b:url").Val() == 3
		})
		if got := s.Client.Get(t.Context(), "roost:secret").Val(); got != base64.StdEncoding.EncodeToString(shared) {
			t.Error("got another secret after FLUSHALL, want the one of before")
		}
		late := start(t, redisbroker.Config{URL: s.URL, PodID: "pod-c"})
		for _, p := range []*pod{a, b, late} {
			if got := key(t, p); !bytes.Equal(got, shared) {
				t.Errorf("got key %x, want %x", got, shared)
			}
		}
		awaitURL(t, late, "pod-a", "http://10.0.0.7:4000")
	})
}

// A pod that crashed is soon nowhere.
func TestDirectoryOfADeadPod(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	a := start(t, redisbroker.Config{URL: "redis://" + m.Addr(), PodID: "pod-a"})
	way := startWay(t, m.Addr())
	dead := open(t, redisbroker.Config{URL: "redis://" + way.addr, PodID: "pod-b", AdvertiseURL: "http://10.0.0.8:4000"})
	p := run(t, dead)
	awaitURL(t, a, "pod-b", "http://10.0.0.8:4000")
	way.cut()
	p.stop() // what it takes back does not arrive
	if !m.Exists("roost:pod:pod-b:url") {
		t.Fatal("got no URL of the dead pod, want the one that has not expired")
	}
	m.FastForward(15 * time.Second)
	if m.Exists("roost:pod:pod-b:url") {
		t.Error("got the URL of a pod that has been dead for 15 s, want none")
	}
	awaitURL(t, a, "pod-b", "")
}

// Without Redis there is an error, which comes in time; what is known is still known.
func TestDirectoryWithoutRedis(t *testing.T) {
	redistest.Each(t, func(t *testing.T, s *redistest.Server) {
		a := start(t, redisbroker.Config{URL: s.URL, PodID: "pod-a"})
		shared := key(t, a)
		s.Stop(t)
		if got := key(t, a); !bytes.Equal(got, shared) {
			t.Errorf("got key %x without Redis, want %x", got, shared)
		}
		if got, err := a.URL(t.Context(), "pod-b"); err == nil {
			t.Errorf("URL: got %q, nil without Redis, want an error", got)
		}
		fresh := open(t, redisbroker.Config{URL: s.URL, PodID: "pod-b"})
		if _, err := fresh.Key(t.Context()); err == nil {
			t.Error("Key: got nil of a pod that never saw Redis, want an error")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := fresh.URL(ctx, "pod-a"); err == nil {
			t.Error("URL: got nil with a context that has ended, want an error")
		}
		run(t, fresh).stop()
	})
}

// What is in the place of the secret but is none is not signed with.
func TestDirectoryWithABadSecret(t *testing.T) {
	redistest.Each(t, func(t *testing.T, s *redistest.Server) {
		for _, bad := range []string{"", "no base64!", base64.StdEncoding.EncodeToString([]byte("short"))} {
			if err := s.Client.Set(t.Context(), "roost:secret", bad, 0).Err(); err != nil {
				t.Fatal(err)
			}
			p := start(t, redisbroker.Config{URL: s.URL, PodID: "pod-a", AdvertiseURL: "http://10.0.0.7:4000"})
			if k, err := p.Key(t.Context()); err == nil {
				t.Errorf("Key with %q in Redis: got %x, want an error", bad, k)
			}
			p.stop()
		}
	})
}

// way is a way to a server that can be cut for good.
type way struct {
	addr string
	cut  func()
}

func startWay(t *testing.T, to string) *way {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var conns []net.Conn
	var work sync.WaitGroup
	work.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			mu.Lock()
			conns = append(conns, near, far)
			mu.Unlock()
			for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
				work.Go(func() {
					_, _ = io.Copy(pair[0], pair[1])
					pair[0].Close()
				})
			}
		}
	})
	w := &way{addr: listener.Addr().String(), cut: sync.OnceFunc(func() {
		listener.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		work.Wait()
	})}
	t.Cleanup(w.cut)
	return w
}
