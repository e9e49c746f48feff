package redisbroker_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

// courier takes as many notices as it has room for, and keeps them until they are delivered.
type courier struct {
	mu     sync.Mutex
	room   int
	got    []string // id and reason, in order
	taken  []func()
	waits  map[string]bool // ids it has
	copies int
}

func (c *courier) Offer(record, reason string, _ time.Time, taken func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	id, _, _ := strings.Cut(record, " ")
	switch {
	case c.waits[id]:
		c.copies++
	case len(c.waits) >= c.room:
		return false
	default:
		if c.waits == nil {
			c.waits = map[string]bool{}
		}
		c.waits[id] = true
		c.got = append(c.got, strings.TrimSpace(id+" "+reason))
	}
	c.taken = append(c.taken, taken)
	return true
}

// deliver has the backend take all that waits.
func (c *courier) deliver() {
	c.mu.Lock()
	taken := c.taken
	c.taken, c.waits = nil, nil
	c.mu.Unlock()
	for _, t := range taken {
		t()
	}
}

func (c *courier) offered() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got)
}

// telling is member(topic, i) with a record.
func telling(topic string, i int) hub.Member {
	m := member(topic, i)
	m.Notice.Record = fmt.Sprint("msg_", i, " the rest")
	return m
}

// startTelling starts a pod whose notices go to c.
func startTelling(t testing.TB, s *redistest.Server, id string, c *courier) *pod {
	t.Helper()
	b := open(t, redisbroker.Config{URL: s.URL, PodID: id, Lease: shortLease})
	b.Deliver(c)
	p := run(t, b)
	p.awaitUps(t, 1)
	return p
}

// part leaves with a reason, as a hub does.
func (p *pod) part(m hub.Member) {
	p.mu.Lock()
	delete(p.members, m)
	p.mu.Unlock()
	m.Notice.Reason, m.Notice.At = "left", time.Now()
	p.Remove(m, nil)
}

func waiting(t testing.TB, s *redistest.Server, pod string) int64 {
	t.Helper()
	return s.Client.XLen(t.Context(), "roost:pod:"+pod+":notices").Val()
}

// TestNoticeIsKept: a notice is in the stream from the moment that its member is out of the index until it was taken, also when
// there is no room for it; they are offered in order, and a clean end leaves nothing.
func TestNoticeIsKept(t *testing.T) {
	onEach(t, func(t *testing.T, s *redistest.Server) {
		c := &courier{room: 3}
		p := startTelling(t, s, "pod-a", c)
		const many = 700
		var want []string
		var all []hub.Member
		for i := range many {
			all = append(all, telling("t", i))
			want = append(want, fmt.Sprint("msg_", i, " left"))
		}
		joinAll(t, p, all...)
		if got := inIndex(t, s)["pod-a.5 t"]; got != "notice msg_5 the rest" {
			t.Errorf("got %q in the index, want the record", got)
		}
		for _, m := range all {
			p.part(m)
		}
		redistest.Eventually(t, "all in the stream", func() bool { return waiting(t, s, "pod-a") == many })
		redistest.Eventually(t, "an empty index", func() bool { return len(inIndex(t, s)) == 0 })
		redistest.Eventually(t, "all offered and taken", func() bool {
			c.deliver()
			return len(c.offered()) == many && waiting(t, s, "pod-a") == 0
		})
		if got := c.offered(); !slices.Equal(got, want) {
			t.Errorf("got notices %.300q, want them in order", got)
		}
		p.Settle(t.Context())
		p.stop()
		for _, key := range []string{"roost:pods", "roost:pod:pod-a:notices"} {
			if exists(t, s, key) {
				t.Errorf("got %s after a clean end, want no such key", key)
			}
		}
	})
}

// TestSweepTells: what a pod left when it died is told by one of the others: first what it had not got rid of, then its members, then
// its connections; of those without a record nothing.
func TestSweepTells(t *testing.T) {
	onEach(t, func(t *testing.T, s *redistest.Server) {
		couriers := []*courier{{room: 1e6}, {room: 1e6}}
		for i, c := range couriers {
			startTelling(t, s, fmt.Sprint("pod-", i), c)
		}
		ctx := t.Context()
		const many = 1500
		for i := range 3 {
			s.Client.Do(ctx, "XADD", "roost:pod:pod-x:notices", "*", "record", fmt.Sprint("msg_old", i, " x"), "reason", "left", "at", "1000")
		}
		pipe := s.Client.Pipeline()
		for i := range many {
			pipe.HSet(ctx, "roost:pod:pod-x:members", fmt.Sprint("pod-x.", i, " t"), fmt.Sprint("notice msg_", i, " x"))
			pipe.HSet(ctx, "roost:pod:pod-x:members", fmt.Sprint("pod-x.", i), fmt.Sprint("notice msg_c", i, " x"))
			pipe.HSet(ctx, "roost:pod:pod-x:members", fmt.Sprint("pod-x.", i, " u"), `"1"`)
			pipe.SAdd(ctx, "roost:{t}:members", fmt.Sprint("pod-x.", i))
		}
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
		announce(t, s, "pod-x", 1)
		redistest.Eventually(t, "end of the sweep", func() bool { return lease(t, s, "pod-x") == 0 })
		redistest.Eventually(t, "all offered", func() bool { return len(couriers[0].offered())+len(couriers[1].offered()) >= 2*many+3 })
		got := slices.Concat(couriers[0].offered(), couriers[1].offered())
		if want := []string{"msg_old0 left", "msg_old1 left", "msg_old2 left"}; !slices.Equal(got[:3], want) {
			t.Errorf("got first notices %q, want %q", got[:3], want)
		}
		if i := slices.IndexFunc(got, func(n string) bool { return strings.HasPrefix(n, "msg_c") }); i != many+3 {
			t.Errorf("got the first connection as notice %d, want it behind the members, as %d", i, many+3)
		}
		slices.Sort(got)
		if distinct := slices.Compact(slices.Clone(got)); len(got) != 2*many+3 || len(distinct) != len(got) {
			t.Errorf("got %d notices, %d distinct ones, want %d", len(got), len(distinct), 2*many+3)
		}
		if !exists(t, s, "roost:pod:pod-x:told") || exists(t, s, "roost:pod:pod-x:notices") || exists(t, s, "roost:pod:pod-x:members") {
			t.Error("got the wrong keys of pod-x, want the mark that its ends were told, and nothing else")
		}
	})
}

// TestNoticesWithoutRedis: what ends while Redis is away is offered meanwhile, once, and stored when it is back unless it has been
// taken.
func TestNoticesWithoutRedis(t *testing.T) {
	redistest.Each(t, func(t *testing.T, s *redistest.Server) {
		c := &courier{room: 1e6}
		p := startTelling(t, s, "pod-a", c)
		var all []hub.Member
		for i := range 10 {
			all = append(all, telling("t", i))
		}
		joinAll(t, p, all...)
		p.Settle(t.Context()) // what has not been read when Redis goes away comes first, and so when it is back
		s.Stop(t)
		p.awaitDown(t)
		for _, m := range all[:4] {
			p.part(m)
		}
		redistest.Eventually(t, "four offered", func() bool { return len(c.offered()) == 4 })
		c.deliver()
		for _, m := range all[4:8] {
			p.part(m)
		}
		redistest.Eventually(t, "eight offered", func() bool { return len(c.offered()) == 8 })
		s.Restart(t)
		redistest.Eventually(t, "index as it should be", func() bool { return len(inIndex(t, s)) == 2 })
		redistest.Eventually(t, "what was not taken in the stream", func() bool { return waiting(t, s, "pod-a") == 4 })
		c.deliver()
		redistest.Eventually(t, "an empty stream", func() bool { c.deliver(); return waiting(t, s, "pod-a") == 0 })
		got := c.offered() // one that is delivered just when it has been stored is offered again, under its id
		for i, m := range got {
			if i < 8 && m != fmt.Sprintf("msg_%d left", i) || i >= 8 && !slices.Contains(got[4:8], m) {
				t.Errorf("got notices %q, want each of eight in order, and of those that were stored no more than once again", got)
				break
			}
		}
		if len(got) < 8 || len(got) > 12 {
			t.Errorf("got %d notices, want eight, and those that were stored once again at most", len(got))
		}
	})
}

// TestNoticesOfWhatWasNeverEntered: of joins that Redis could not enter nothing is kept once the backend was told of their ends; of
// others it is, so that they are not told again when Redis is back.
func TestNoticesOfWhatWasNeverEntered(t *testing.T) {
	redistest.Each(t, func(t *testing.T, s *redistest.Server) {
		c := &courier{room: 1e6}
		p := startTelling(t, s, "pod-a", c)
		entered := []hub.Member{telling("t", 0), telling("t", 1)}
		joinAll(t, p, entered...)
		p.Settle(t.Context())
		s.Stop(t)
		p.awaitDown(t)
		p.part(entered[0]) // what is written together with it may have been written
		redistest.Eventually(t, "first notice", func() bool { return len(c.offered()) == 1 })
		const many = 3000
		refused := make(chan error, many)
		for i := range many {
			p.join(telling("t", 10+i), func(err error) { refused <- err })
		}
		for range many {
			if err := await(t, refused); err == nil {
				t.Fatal("Add without Redis: got nil, want an error")
			}
		}
		for i := range many {
			p.part(telling("t", 10+i))
		}
		redistest.Eventually(t, "all offered", func() bool { return len(c.offered()) == 1+many })
		if got, _ := p.Spilled(); got != 1+many {
			t.Errorf("got %d notices in memory before they were taken, want %d", got, 1+many)
		}
		c.deliver()
		if got, bytes := p.Spilled(); got != 1 || bytes > 1000 {
			t.Errorf("got %d notices of %d bytes in memory when all were taken, want the one of a member that was entered", got, bytes)
		}
		s.Restart(t)
		redistest.Eventually(t, "index as it should be", func() bool { return len(inIndex(t, s)) == 1 })
		redistest.Eventually(t, "empty memory", func() bool { got, bytes := p.Spilled(); return got == 0 && bytes == 0 })
		p.part(entered[1])
		redistest.Eventually(t, "last notice", func() bool { return len(c.offered()) == 2+many })
		c.deliver()
	})
}

// hasty is a courier that gets rid of all it has just when it says that there is no room.
type hasty struct{ courier }

func (h *hasty) Offer(record, reason string, at time.Time, taken func()) bool {
	ok := h.courier.Offer(record, reason, at, taken)
	if !ok {
		h.deliver()
	}
	return ok
}

// TestNoticeBehindTheLastOne: a notice for which there is room again before the courier has said that there is none is offered again.
func TestNoticeBehindTheLastOne(t *testing.T) {
	s := redistest.Start(t)
	c := &hasty{courier{room: 1}}
	b := open(t, redisbroker.Config{URL: s.URL, PodID: "pod-a"})
	b.Deliver(c)
	p := run(t, b)
	p.awaitUps(t, 1)
	joinAll(t, p, telling("t", 1), telling("t", 2))
	p.part(telling("t", 1))
	p.part(telling("t", 2))
	redistest.Eventually(t, "second notice", func() bool { return len(c.offered()) == 2 })
	c.deliver()
}

// TestReturn: a pod that was taken for dead, and whose ends were told, tells its hub.
func TestReturn(t *testing.T) {
	onEach(t, func(t *testing.T, s *redistest.Server) {
		p := startTelling(t, s, "pod-a", &courier{})
		joinAll(t, p, telling("t", 1))
		if got := p.returned.Load(); got != 0 {
			t.Errorf("got %d returns of a pod that was not away, want none", got)
		}
		if err := s.Client.Set(t.Context(), "roost:pod:pod-a:told", 1, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if err := s.Client.Do(t.Context(), "ZREM", "roost:pods", "pod-a").Err(); err != nil {
			t.Fatal(err)
		}
		redistest.Eventually(t, "return", func() bool { return p.returned.Load() == 1 && !exists(t, s, "roost:pod:pod-a:told") })
	})
}
