package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"roost/hub"
)

// flushTimeout bounds how long what is queued may take to leave when Run ends.
const flushTimeout = 3 * time.Second

// Config says how a [Broker] behaves. URL and PodID are required.
type Config struct {
	// URL names the servers: redis:// or rediss:// (verified TLS), several of them separated by commas for a Cluster,
	// redis+sentinel://host,host/master?db=0 for Sentinel. User and password are those of the data nodes; Sentinel's own
	// are parameters, sentinel_username and sentinel_password. An ACL user needs the channels &*: Redis lets nobody use the
	// pattern for this pod's connections whose rule is not that very text.
	URL string
	// PodID is unique in the cluster. Connection ids begin with it and a dot. It has no spaces.
	PodID string
	// Prefix stands in front of every key and channel. Default: "roost:"
	Prefix string
	// MaxMessageSize is the largest body that is received, in bytes. Default: 1 MiB
	MaxMessageSize int
	// StreamLength is about how many entries the stream of pushes keeps. Default: 100000
	StreamLength int64
	// ShardedPubSub publishes to topics and socket ids with SPUBLISH, and listens with SSUBSCRIBE: in a Cluster a message
	// then stays on the servers of its slot, and a pod has a link to every master. Backends must publish likewise; messages
	// for connections stay with PUBLISH. It needs Redis 7. Default: false
	ShardedPubSub bool
	// Lease is how long the other pods wait for a sign of life of this one before they take back what it entered. It counts
	// in milliseconds. Default: 15 s
	Lease time.Duration
	// NoticeMaxAge is how long a notice is kept that the courier has no room for. Default: 24 h
	NoticeMaxAge time.Duration
	// AdvertiseURL is the base URL of this pod's client port as other pods reach it. Default: none, they do not.
	AdvertiseURL string

	Logger     *slog.Logger          // Default: slog.Default
	Registerer prometheus.Registerer // where metrics go. Default: nowhere
}

func (c Config) withDefaults() (Config, error) {
	switch {
	case c.PodID == "":
		return c, errors.New("redisbroker: Config.PodID is missing")
	case strings.ContainsFunc(c.PodID, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return c, fmt.Errorf("redisbroker: pod id %q has spaces or control characters", c.PodID)
	case c.MaxMessageSize < 0 || c.StreamLength < 0 || c.Lease < 0 || c.NoticeMaxAge < 0:
		return c, errors.New("redisbroker: MaxMessageSize, StreamLength, Lease and NoticeMaxAge must not be negative")
	}
	if c.Prefix == "" {
		c.Prefix = "roost:"
	}
	if c.MaxMessageSize == 0 {
		c.MaxMessageSize = 1 << 20
	}
	if c.StreamLength == 0 {
		c.StreamLength = 100_000
	}
	if c.Lease == 0 {
		c.Lease = defaultLease
	}
	if c.NoticeMaxAge == 0 {
		c.NoticeMaxAge = 24 * time.Hour
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c, nil
}

// Broker carries messages, membership and pushes through Redis. All methods may be called by many goroutines at once.
type Broker struct {
	client    *client
	subs      *subscriptions
	link      *link
	shards    *shards // nil unless it is a cluster with sharded pub/sub
	publisher *publisher
	lease     *lease
	outbox    *outbox
	roster    *roster
	sweeper   *sweeper
	appender  *appender
	directory *directory
	masters   *masterWatch // nil unless replicas may become masters
	running   atomic.Bool
}

var (
	_ hub.Broker = (*Broker)(nil)
	_ hub.Roster = (*Broker)(nil)
	_ hub.Stream = (*Broker)(nil)

	_ hub.Chooser   = (*Broker)(nil)
	_ hub.Directory = (*Broker)(nil)
	_ hub.Tracker   = (*Broker)(nil)
)

// Open checks cfg and returns a broker that works once Run does. It does not connect. Its errors hold nothing of the URL.
func Open(cfg Config) (*Broker, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	a, err := parseAddress(cfg.URL)
	if err != nil {
		return nil, err
	}
	b := &Broker{}
	m, err := newMetrics(cfg.Registerer, b.age)
	if err != nil {
		return nil, fmt.Errorf("redisbroker: register metrics: %w", err)
	}
	quietRedis()
	k := keys{prefix: cfg.Prefix, pod: cfg.PodID}
	b.client = newClient(a, cfg.ShardedPubSub)
	b.lease = newLease(k, b.client, cfg.Lease, m, cfg.Logger)
	b.outbox = newOutbox(k, b.client, cfg.NoticeMaxAge, m, cfg.Logger)
	b.roster = newRoster(k, b.client, b.lease, b.outbox, m, cfg.Logger)
	b.lease.lost = b.roster.distrust
	b.addLinks(k, cfg, m)
	b.publisher = newPublisher(k, b.client, m)
	b.roster.publish, b.roster.limit = b.publisher.publish, cfg.MaxMessageSize
	b.sweeper = newSweeper(k, b.client, b.lease, b.roster, m, cfg.Logger)
	b.appender = newAppender(k, b.client, cfg.StreamLength)
	b.directory = newDirectory(k, b.client, cfg.AdvertiseURL, cfg.Logger)
	if b.client.failsOver {
		b.masters = newMasterWatch(k, b.client)
	}
	return b, nil
}

// addLinks makes the link, or what makes one to each master of a cluster.
func (b *Broker) addLinks(k keys, cfg Config, m *metrics) {
	shards := b.client.cluster != nil && b.client.sharded
	home := newLane(b.client.sharded && !shards, false)
	b.subs = newSubscriptions(cfg.Prefix, home, m)
	if shards {
		b.subs.home = nil
	}
	newLink := func(l *lane, node string) *link {
		return &link{
			keys: k, client: b.client, subs: b.subs, lane: l, node: node, pattern: l == home, probes: probeAddress(cfg.PodID),
			limit: cfg.MaxMessageSize, metrics: m, log: cfg.Logger, lost: b.roster.distrust,
		}
	}
	b.link = newLink(home, "")
	if shards {
		b.shards = newShards(b.client, b.subs, newLink)
	}
}

// Run connects, keeps the link and hands what arrives to sink until ctx ends; then it writes what is queued, for 3 s at
// most, takes back what the pod still has in the roster, gives back its lease, and closes. If sink is a [hub.Census], the
// roster is made to agree with it at the start and whenever it may not.
// Run works once; its error is nil when ctx ended.
func (b *Broker) Run(ctx context.Context, sink hub.Sink) error {
	if !b.running.CompareAndSwap(false, true) {
		return errors.New("redisbroker: Run was called twice")
	}
	flush, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	b.roster.census, _ = sink.(hub.Census)
	b.roster.returner, _ = sink.(hub.Returner)

	var parts sync.WaitGroup
	parts.Go(func() { b.listen(ctx, sink) })
	parts.Go(func() { b.directory.run(ctx) })
	parts.Go(func() { b.publisher.queue.run(flush, b.publisher.send) })
	parts.Go(func() { b.appender.queue.run(flush, b.appender.send) })
	parts.Go(func() { b.sweeper.run(ctx, b.lease.dead) })
	parts.Go(func() { b.outbox.run(ctx) })
	var living sync.WaitGroup
	living.Go(func() { b.live(flush) })

	<-ctx.Done()
	defer time.AfterFunc(flushTimeout, cancel).Stop()
	b.roster.queue.close()
	living.Wait() // it may have something to publish
	b.publisher.queue.close()
	b.appender.queue.close()
	parts.Wait()
	b.subs.close()
	return b.client.Close()
}

// listen hands what arrives over all links to sink until ctx ends.
func (b *Broker) listen(ctx context.Context, sink hub.Sink) {
	var links sync.WaitGroup
	follower, _ := sink.(hub.Follower)
	if b.shards != nil {
		sink = &oneByOne{sink: sink}
		links.Go(func() { b.shards.run(ctx, sink) })
	}
	if b.masters != nil {
		links.Go(func() {
			b.masters.run(ctx, func() {
				b.roster.distrust()
				if follower != nil {
					follower.Reread()
				}
			})
		})
	}
	b.subs.gap = sink.Gap
	links.Go(func() { b.link.run(ctx, sink) })
	links.Wait()
}

// Proved tells whether a message that this pod sent to itself came back through Redis not long ago.
func (b *Broker) Proved() error { return b.link.seen.proved() }

// age is how long ago the last message came over the link that has been without one for longest, in seconds.
func (b *Broker) age() float64 {
	oldest, _ := b.link.seen.age()
	if b.shards != nil {
		oldest = max(oldest, b.shards.age())
	}
	return oldest.Seconds()
}

// Takes implements [hub.Chooser]. A cluster refuses topics whose keys are in different slots.
func (b *Broker) Takes(topic string) bool {
	return b.client.cluster == nil || !b.roster.keys.torn(topic)
}

// Subscribe implements [hub.Broker].
func (b *Broker) Subscribe(addr hub.Address, done func(error)) { b.subs.subscribe(addr, done) }

// Unsubscribe implements [hub.Broker]. No message of these addresses is handed over once it has returned, except one that
// is being handed over right then.
func (b *Broker) Unsubscribe(addrs ...hub.Address) { b.subs.unsubscribe(addrs) }

// Publish implements [hub.Broker]. When done is told nil, Redis has put the message in line for all subscribers; this pod's
// own sink may get it before or after. Bodies must not be changed until then. At most 100,000 messages and 64 MiB wait;
// what is more fails with [ErrFull] at once.
func (b *Broker) Publish(addr hub.Address, body []byte, done func(error)) {
	b.publisher.publish(addr, body, done)
}

// Add implements [hub.Roster].
func (b *Broker) Add(m hub.Member, done func(error)) { b.roster.add(m, done) }

// Remove implements [hub.Roster].
func (b *Broker) Remove(m hub.Member, done func(error)) { b.roster.remove(m, done) }

// Append implements [hub.Stream]. At most 100,000 entries and 64 MiB wait; what is more fails with [ErrFull] at once.
func (b *Broker) Append(ctx context.Context, e hub.StreamEntry) error {
	return b.appender.append(ctx, e)
}
