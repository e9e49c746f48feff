package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"roost/hub"
)

// Times of a link.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 2 * time.Second

	pingInterval  = time.Second
	quietPings    = 4 // so many pings without a byte coming back mean that nobody is there
	writeTimeout  = 4 * time.Second
	handshakeTime = 3 * time.Second
)

var errQuiet = errors.New("redis: no answer")

// link is the connection over which this pod is subscribed.
type link struct {
	keys    keys
	client  *client
	subs    *subscriptions
	limit   int // bytes of a body
	metrics *metrics
	log     *slog.Logger

	regained func() // called when the link stands again after it was lost
	everUp   bool
	up       bool
}

// run keeps the link until ctx ends.
func (l *link) run(ctx context.Context, sink hub.Sink) {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = firstRetry, lastRetry
	outage := outage{log: l.log, what: "redis link"}
	up := func() {
		retry.Reset()
		outage.end()
		l.metrics.linkUp(l.everUp)
		sink.LinkUp(l.everUp)
		if l.everUp {
			l.regained()
		}
		l.up, l.everUp = true, true
	}
	for attempt := 0; ctx.Err() == nil; attempt++ {
		err := l.once(ctx, attempt, sink, up)
		l.subs.linkEnds().call()
		if ctx.Err() != nil {
			break
		}
		if l.up {
			l.up = false
			l.metrics.linkDown()
			sink.LinkDown(err)
		}
		outage.note(err)
		select {
		case <-ctx.Done():
		case <-time.After(retry.NextBackOff()):
		}
	}
	l.metrics.linkDown()
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

	l.subs.linkStarts()
	written := make(chan struct{})
	go func() {
		defer close(written)
		w := writer{conn: watched, keys: l.keys, subs: l.subs}
		cancel(w.run(ctx))
	}()
	r := receiver{reader: newReader(watched), prefix: l.keys.prefix, limit: l.limit, subs: l.subs, sink: sink, metrics: l.metrics, up: up}
	cancel(r.run())
	<-written
	conn.Close()
	return context.Cause(ctx)
}

// connect dials, and introduces itself.
func (l *link) connect(ctx context.Context, attempt int) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	// The attempt spreads pods over the nodes of a cluster, and leads away from one that is gone.
	conn, options, err := l.client.dial(ctx, l.keys.pod+strconv.Itoa(attempt))
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
