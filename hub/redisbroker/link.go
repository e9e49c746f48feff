package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"roost/hub"
)

// Times of a link.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 2 * time.Second

	pingInterval  = 800 * time.Millisecond
	quietPings    = 4 // so many pings without a byte coming back mean that nobody is there
	writeTimeout  = 4 * time.Second
	handshakeTime = 3 * time.Second
)

var errQuiet = errors.New("redis: no answer")

// link is a connection over which this pod is subscribed.
type link struct {
	keys    keys
	client  *client
	subs    *subscriptions
	lane    *lane
	node    string // the one server it goes to, "" for any
	pattern bool   // it brings the messages for this pod's connections
	limit   int    // bytes of a body
	metrics *metrics
	log     *slog.Logger
	seen    seen

	probes hub.Address // how the addresses of the probes begin
	lost   func()      // called when the link stands again after it was lost
	everUp bool
	up     bool
}

// run keeps the link until ctx ends. Only the link that brings the messages for connections says that it is up.
func (l *link) run(ctx context.Context, sink hub.Sink) {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = firstRetry, lastRetry
	outage := outage{log: l.log, what: "redis link"}
	if l.node != "" {
		outage.what, outage.log = "redis shard link", l.log.With("node", l.node)
	}
	up := func() {
		retry.Reset()
		outage.end()
		l.metrics.linkUp(l.lane.partial, l.everUp)
		l.seen.begin()
		if l.pattern {
			sink.LinkUp(l.everUp)
		}
		if l.everUp {
			l.lost()
		}
		l.up, l.everUp = true, true
	}
	for attempt := 0; ctx.Err() == nil; attempt++ {
		err := l.once(ctx, attempt, sink, up)
		l.subs.linkEnds(l.lane).call()
		if l.up {
			l.up = false
			l.metrics.linkDown(l.lane.partial)
			l.seen.end()
			if l.pattern && ctx.Err() == nil {
				sink.LinkDown(err)
			}
		}
		if ctx.Err() != nil {
			return
		}
		outage.note(err)
		l.client.suspect(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(retry.NextBackOff()):
		}
	}
}

// once makes a connection and uses it until it breaks or ctx ends.
func (l *link) once(ctx context.Context, attempt int, sink hub.Sink, up func()) error {
	conn, err := l.connect(ctx, attempt)
	if err != nil {
		return err
	}
	watched := &watchedConn{Conn: conn}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	p := newProbe(l)
	l.subs.linkStarts(l.lane)
	var others sync.WaitGroup
	others.Go(func() {
		w := writer{conn: watched, keys: l.keys, subs: l.subs, lane: l.lane, pattern: l.pattern, probe: p, seen: &l.seen}
		cancel(w.run(ctx))
	})
	others.Go(func() { p.run(ctx) })
	r := receiver{reader: newReader(watched), link: l, probe: p, sink: sink, up: up}
	cancel(r.run())
	others.Wait()
	conn.Close()
	return context.Cause(ctx)
}

// connect dials, and introduces itself.
func (l *link) connect(ctx context.Context, attempt int) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	// The attempt spreads pods over the nodes of a cluster, and leads away from one that is gone.
	conn, options, err := l.client.dial(ctx, l.node, l.keys.pod+strconv.Itoa(attempt))
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })
	err = introduce(conn, options.Username, options.Password, "roost:"+l.keys.pod)
	if !stop() || err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect: %w", errors.Join(err, ctx.Err()))
	}
	return conn, nil
}

// introduce authenticates, and tells the name to be seen in CLIENT LIST. That a server refuses the name does no harm.
func introduce(conn net.Conn, username, password, name string) error {
	var b []byte
	switch {
	case username != "":
		b = appendWords(b, "AUTH", username, password)
	case password != "":
		b = appendWords(b, "AUTH", password)
	}
	authenticate := b != nil
	if _, err := conn.Write(appendWords(b, "CLIENT", "SETNAME", name)); err != nil {
		return err
	}
	// Nothing else comes before the first subscription, so nothing is lost with this reader's buffer.
	r := newReader(conn)
	if authenticate {
		if err := r.status(); err != nil {
			return err
		}
	}
	var refused serverError
	if err := r.status(); err != nil && !errors.As(err, &refused) {
		return err
	}
	return nil
}

// watchedConn counts reads, to tell a quiet connection from a dead one.
type watchedConn struct {
	net.Conn
	reads atomic.Uint32
}

func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.reads.Add(1)
	return n, err
}
