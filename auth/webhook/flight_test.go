package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"roost/auth"
	"roost/auth/webhook"
)

// joinAs is a join of a connection.
func joinAs(connection, id, topic string) *auth.JoinRequest {
	r := joinOf(topic)
	r.Client.Connection, r.Client.ID = connection, id
	return r
}

// holding is a backend whose joins wait until they are let go.
type holding struct {
	arrived chan seen
	gone    chan seen // the call was not wanted any more
	let     chan struct{}
	calls   atomic.Int64
}

func hold(t *testing.T, answer string) (*holding, string) {
	h := &holding{arrived: make(chan seen, 1000), gone: make(chan seen, 1000), let: make(chan struct{})}
	return h, serve(t, func(w http.ResponseWriter, r *http.Request) {
		s := read(t, r)
		h.calls.Add(1)
		h.arrived <- s
		select {
		case <-h.let:
			io.WriteString(w, answer)
		case <-r.Context().Done():
			h.gone <- s
		}
	})
}

func TestEqualJoinsShareACall(t *testing.T) {
	const total = 50
	h, url := hold(t, `{"status":"ok","response":{"a":1},"assigns":{"b":2},"push":[{"event":"p"}],"broadcast":[{"event":"b"}]}`)
	registry := prometheus.NewRegistry()
	c := newClient(t, webhook.Config{URL: url, Timeout: patience, Registerer: registry})
	answers := make(chan *auth.Answer, total)
	for range total {
		go func() {
			a, err := c.Join(t.Context(), joinAs("c", "user:1", "t"))
			if err != nil {
				t.Errorf("Join: got %v, want nil", err)
			}
			answers <- a
		}()
	}
	receive(t, h.arrived)
	eventually(t, "all others wait for it", func() bool {
		return gauge(t, registry, "roost_webhook_joins_unasked_total", "coalesced") == total-1
	})
	close(h.let)
	broadcasts := 0
	for range total {
		a := receive(t, answers)
		if string(a.Response) != `{"a":1}` || string(a.Assigns) != `{"b":2}` || len(a.Pushes) != 1 {
			t.Errorf("got %+v, want response, assigns and push for everyone", a)
		}
		broadcasts += len(a.Broadcasts)
	}
	if broadcasts != 1 || h.calls.Load() != 1 {
		t.Errorf("got %d broadcasts and %d calls, want one of each", broadcasts, h.calls.Load())
	}
}

func TestJoinsThatAreNotEqual(t *testing.T) {
	base := func() *auth.JoinRequest { return joinAs("c", "user:1", "t") }
	change := func(f func(*auth.JoinRequest)) *auth.JoinRequest { r := base(); f(r); return r }
	for name, pair := range map[string][2]*auth.JoinRequest{
		"socket ids":         {base(), joinAs("c", "user:2", "t")},
		"topics":             {base(), joinAs("c", "user:1", "u")},
		"payloads":           {base(), change(func(r *auth.JoinRequest) { r.Payload = []byte(`{"a":1}`) })},
		"assigns":            {base(), change(func(r *auth.JoinRequest) { r.Assigns = json.RawMessage(`{"a":1}`) })},
		"binary or not":      {base(), change(func(r *auth.JoinRequest) { r.Binary = true })},
		"payload or assigns": {change(func(r *auth.JoinRequest) { r.Assigns = json.RawMessage(`{"a":1}`) }), change(func(r *auth.JoinRequest) { r.Payload = []byte(`{"a":1}`) })},
		"strangers":          {joinAs("a", "", "t"), joinAs("b", "", "t")},
	} {
		t.Run(name, func(t *testing.T) {
			h, url := hold(t, `{"status":"ok"}`)
			c := newClient(t, webhook.Config{URL: url, Timeout: patience})
			var joins sync.WaitGroup
			for _, r := range pair {
				joins.Go(func() { c.Join(t.Context(), r) })
			}
			receive(t, h.arrived)
			receive(t, h.arrived)
			close(h.let)
			joins.Wait()
		})
	}
	t.Run("it is off", func(t *testing.T) {
		h, url := hold(t, `{"status":"ok"}`)
		c := newClient(t, webhook.Config{URL: url, Timeout: patience, NoCoalescing: true})
		var joins sync.WaitGroup
		for range 2 {
			joins.Go(func() { c.Join(t.Context(), base()) })
		}
		receive(t, h.arrived)
		receive(t, h.arrived)
		close(h.let)
		joins.Wait()
	})
}

func TestSharedCallLivesWhileAnybodyWantsIt(t *testing.T) {
	h, url := hold(t, `{"status":"ok","broadcast":[{"event":"b"}]}`)
	registry := prometheus.NewRegistry()
	c := newClient(t, webhook.Config{URL: url, Timeout: patience, Registerer: registry})
	type outcome struct {
		answer *auth.Answer
		err    error
	}
	begin := func(connection string) (context.CancelFunc, chan outcome) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan outcome, 1)
		go func() {
			a, err := c.Join(ctx, joinAs(connection, "user:1", "t"))
			ended <- outcome{a, err}
		}()
		return cancel, ended
	}
	cancelFirst, first := begin("first")
	if got := receive(t, h.arrived).Data.Connection; got != "first" {
		t.Fatalf("asked in the words of %q, want the first", got)
	}
	cancelSecond, second := begin("second")
	_, third := begin("third")
	eventually(t, "they wait", func() bool { return gauge(t, registry, "roost_webhook_joins_unasked_total") == 2 })
	cancelFirst()
	if got := receive(t, first); !errors.Is(got.err, context.Canceled) || !errors.Is(got.err, auth.ErrLate) {
		t.Errorf("the first, cancelled: got %v, want cancelled and late: the backend knows it", got.err)
	}
	cancelSecond()
	if got := receive(t, second); !errors.Is(got.err, context.Canceled) || errors.Is(got.err, auth.ErrLate) {
		t.Errorf("the second, cancelled: got %v, want cancelled and not late: the backend does not know it", got.err)
	}
	close(h.let)
	if got := receive(t, third); got.err != nil || len(got.answer.Broadcasts) != 1 {
		t.Errorf("the third: got %+v, %v, want the answer with its broadcast", got.answer, got.err)
	}
	if got := h.calls.Load(); got != 1 {
		t.Errorf("calls: got %d, want 1", got)
	}
}

func TestSharedCallEndsWithTheLast(t *testing.T) {
	h, url := hold(t, `{"status":"ok"}`)
	registry := prometheus.NewRegistry()
	c := newClient(t, webhook.Config{URL: url, Timeout: patience, Registerer: registry})
	ctx, cancel := context.WithCancel(t.Context())
	var joins sync.WaitGroup
	var late atomic.Int64
	for range 10 {
		joins.Go(func() {
			if _, err := c.Join(ctx, joinAs("c", "user:1", "t")); errors.Is(err, auth.ErrLate) {
				late.Add(1)
			}
		})
	}
	receive(t, h.arrived)
	eventually(t, "they wait", func() bool { return gauge(t, registry, "roost_webhook_joins_unasked_total") == 9 })
	cancel()
	joins.Wait()
	receive(t, h.gone)
	if got := late.Load(); got != 1 {
		t.Errorf("late: got %d, want 1, the one in whose words the backend was asked", got)
	}
	close(h.let)
	if _, err := c.Join(t.Context(), joinAs("c", "user:1", "t")); err != nil {
		t.Errorf("the next join: got %v, want nil", err)
	}
}
