package redisbroker

import (
	"context"
	"io"
	"time"

	"roost/hub"
)

// Address is what a URL comes to.
type Address struct {
	Kind, Master string
	TLS          bool
	DB           int
	Hosts        []string
	User         [4]string // user, password, and those of the sentinels
}

// ParseAddress parses a URL.
func ParseAddress(url string) (Address, error) {
	a, err := parseAddress(url)
	return Address{
		Kind: [...]string{"standalone", "sentinel", "cluster"}[a.kind], Master: a.master, TLS: a.tls, DB: a.db, Hosts: a.hosts,
		User: [4]string{a.username, a.password, a.sentinelUsername, a.sentinelPassword},
	}, err
}

// Receive reads what a link brings from r until it ends or is wrong. addrs are subscribed.
func Receive(r io.Reader, limit int, sink hub.Sink, addrs ...hub.Address) error {
	for next := Receiver(r, limit, sink, addrs...); ; {
		if err := next(); err != nil {
			return err
		}
	}
}

// Receiver returns what reads one reply from r.
func Receiver(r io.Reader, limit int, sink hub.Sink, addrs ...hub.Address) (next func() error) {
	home := newLane(false, false)
	subs := newSubscriptions("roost:", home, nil)
	for _, addr := range addrs {
		subs.subscribe(addr, nil)
	}
	l := &link{keys: keys{prefix: "roost:", pod: "a"}, subs: subs, lane: home, probes: probeAddress("a"), limit: limit}
	return (&receiver{reader: newReader(r), link: l, probe: newProbe(l), sink: sink, up: func() {}}).next
}

// RemoveBefore removes what fields of the index of pod name, from the sets and from the index, as a sweep does whose claim
// ends at till, in ms by Redis's clock. It tells how each ended.
func (b *Broker) RemoveBefore(ctx context.Context, till int64, pod string, fields ...string) (fromSets, fromIndex error) {
	var entries []hub.Member
	for _, f := range fields {
		entries = append(entries, parseEntry(f, ""))
	}
	fromSets = b.sweeper.removeMembers(ctx, till, entries)
	_, fromIndex = b.sweeper.removeFields(ctx, till, pod, fields)
	return fromSets, fromIndex
}

// LookAtMasters sets how often b looks at the masters of its cluster. Call it before Run.
func (b *Broker) LookAtMasters(every time.Duration) { b.masters.every = every }

// Bury ends a sweep of pod.
func (b *Broker) Bury(ctx context.Context, pod string) error { return b.sweeper.bury(ctx, pod) }

// SlotOf is the slot of a key or a shard channel.
var SlotOf = slotOf

// Unplaced is how many subscriptions wait for the router.
func (b *Broker) Unplaced() int {
	b.subs.mu.Lock()
	defer b.subs.mu.Unlock()
	return len(b.subs.unplaced)
}

// Spilled is how many notices wait in memory, or are known still, and how many bytes they count for.
func (b *Broker) Spilled() (notices, bytes int) {
	s := &b.outbox.spill
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byID), s.bytes
}
