package hub

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

// Config says how a [Hub] behaves. PodID, Broker and Roster are required.
type Config struct {
	PodID  string // unique in the cluster; connection ids begin with it and a dot
	Broker Broker
	Roster Roster
	Stream Stream // needed by rules that say push: stream

	Linger       time.Duration // how long a topic without members stays subscribed. Default: 2s
	Workers      int           // fan-out workers. Default: GOMAXPROCS
	BacklogLimit int           // bytes of broadcasts waiting for one worker. Default: 64 MiB
	ResyncSpread time.Duration // when messages may have been missed, channels get phx_error within this time; negative: never. Default: 10s
	// PresenceLimit is how many may be shown in a topic; above it members are told only how many there are. Default: 10000
	PresenceLimit int
	// PresenceGrace is how long a member whose connection ended is still shown: if the same key is shown again meanwhile, on any
	// pod, nobody notices. Default: 0
	PresenceGrace time.Duration

	MaxMessage int                   // bytes of one published message. Default: 1 MiB
	Logger     *slog.Logger          // Default: slog.Default
	Registerer prometheus.Registerer // where metrics go. Default: nowhere
}

// Hub connects the members of one pod with the messages of all pods.
type Hub struct {
	cfg     Config
	metrics *metrics
	workers []*worker
	seed    maphash.Seed
	ready   atomic.Bool
	gap     gap // what messages may have been missed for

	returned chan struct{} // told when other pods had taken this one for dead

	mu     sync.RWMutex
	topics map[Address]*topic
	empty  map[*topic]time.Time // topics without members, and since when

	tracker   Tracker // the Roster, if it keeps presence
	reads     presenceReads
	lingering lingering

	peersMu sync.RWMutex
	peers   map[string]Peer
	ids     map[string]*identity

	waitersMu sync.Mutex
	waiters   map[uint64]*waiter
	waiterSeq uint64
}

// New returns a hub. It works once Run does.
func New(cfg Config) *Hub {
	if cfg.Linger == 0 {
		cfg.Linger = 2 * time.Second
	}
	if cfg.Workers == 0 {
		cfg.Workers = runtime.GOMAXPROCS(0)
	}
	if cfg.ResyncSpread == 0 {
		cfg.ResyncSpread = 10 * time.Second
	}
	if cfg.BacklogLimit == 0 {
		cfg.BacklogLimit = 64 << 20
	}
	if cfg.PresenceLimit == 0 {
		cfg.PresenceLimit = 10_000
	}
	if cfg.MaxMessage == 0 {
		cfg.MaxMessage = 1 << 20
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	h := &Hub{
		cfg:      cfg,
		seed:     maphash.MakeSeed(),
		gap:      gap{wake: make(chan struct{}, 1)},
		returned: make(chan struct{}, 1),
		topics:   map[Address]*topic{},
		empty:    map[*topic]time.Time{},
		peers:    map[string]Peer{},
		ids:      map[string]*identity{},
		waiters:  map[uint64]*waiter{},
	}
	h.tracker, _ = cfg.Roster.(Tracker)
	h.reads.wake = make(chan struct{}, 1)
	h.metrics = newMetrics(cfg.Registerer, h)
	for range cfg.Workers {
		h.workers = append(h.workers, newWorker(h))
	}
	return h
}

// PodID returns the id of the pod.
func (h *Hub) PodID() string { return h.cfg.PodID }

// Ready tells whether the link to the other pods stands.
func (h *Hub) Ready() bool { return h.ready.Load() }

// Takes tells whether the Broker can carry topic.
func (h *Hub) Takes(topic string) bool {
	c, ok := h.cfg.Broker.(Chooser)
	return !ok || c.Takes(topic)
}

// Run carries messages until ctx ends, and then as long as the Broker takes to stop. It blocks.
func (h *Hub) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, w := range h.workers {
		g.Go(func() error { w.run(ctx); return nil })
	}
	g.Go(func() error { h.linger(ctx); return nil })
	g.Go(func() error { h.resync(ctx); return nil })
	g.Go(func() error { h.comeBack(ctx); return nil })
	if h.tracker != nil {
		for range presenceReaders {
			g.Go(func() error { h.reads.run(ctx, h.tracker); return nil })
		}
	}
	g.Go(func() error { return h.cfg.Broker.Run(ctx, (*sink)(h)) })
	err := g.Wait()
	h.ready.Store(false)
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// sink takes what the Broker receives, and answers what it asks.
type sink Hub

var (
	_ Sink   = (*sink)(nil)
	_ Census = (*sink)(nil)

	_ Returner = (*sink)(nil)
	_ Follower = (*sink)(nil)
)

func (s *sink) LinkUp(lost bool) {
	if lost {
		(*Hub)(s).tellAllWatchers() // before joins work again
	}
	s.ready.Store(true)
	if lost {
		(*Hub)(s).missedPresence("")
	}
	if lost && s.cfg.ResyncSpread > 0 {
		s.gap.note("", true)
	}
}

func (s *sink) Gap(addr Address) {
	if strings.HasPrefix(string(addr), idPrefix) {
		(*Hub)(s).tellWatchers(addr)
	}
	(*Hub)(s).missedPresence(addr)
	if s.cfg.ResyncSpread > 0 {
		s.gap.note(addr, false)
	}
}

func (s *sink) Reread() { (*Hub)(s).missedPresence("") }

func (s *sink) LinkDown(error) { s.ready.Store(false) }

func (s *sink) Oversize(addr Address, size int64) {
	(*Hub)(s).malformed(addr, "too_large", "size", size)
}

func (s *sink) Message(addr Address, body []byte) {
	h := (*Hub)(s)
	h.metrics.received.Inc()
	if name, found := strings.CutPrefix(string(addr), topicPrefix); found {
		h.broadcast(addr, name, body)
		return
	}
	h.address(addr, body)
}

// malformed counts a message that means nothing, and logs it.
func (h *Hub) malformed(addr Address, reason string, more ...any) {
	h.metrics.malformed.WithLabelValues(reason).Inc()
	h.cfg.Logger.Warn("dropped a malformed publish", append([]any{"channel", string(addr), "reason", reason}, more...)...)
}

// Members implements [Census].
func (s *sink) Members(yield func(Member) bool) {
	s.peersMu.RLock()
	peers := slices.Collect(maps.Values(s.peers))
	s.peersMu.RUnlock()
	for _, p := range peers {
		if !p.Members(yield) {
			return
		}
	}
	for _, m := range s.lingering.all() {
		if !yield(m) {
			return
		}
	}
}
