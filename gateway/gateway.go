package gateway

import (
	"context"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"roost/auth"
	"roost/phoenix"
)

// Gateway serves Phoenix sockets. It is an http.Handler for the paths below its socket path.
type Gateway struct {
	cfg       Config
	websocket path
	longPoll  path // nil if it is off
	sessions  sessions
	garages   garages
	door      *door
	refusals  *refusals // nil if they are not remembered
	unproven  unproven
	transport *http.Transport // between pods
	forgetter auth.Forgetter  // the backend, if it remembers answers
	metrics   *metrics
	encodings [2][framings]*encoding // by version
	pollers   []*poller              // by descriptor

	messages, joins meter // of one connection

	clock    atomic.Int64 // milliseconds that Run has seen pass: a pod that was stopped does not blame its clients
	lastConn atomic.Uint64
	work     tasks // all goroutines of connections

	retiring atomic.Bool     // see Retire
	leaving  context.Context // ends when the gateway begins to drain
	leave    context.CancelFunc
	hurried  chan struct{} // closed by Hurry
	hurry    sync.Once

	mu       sync.Mutex
	conns    []*conn
	draining bool
	shedding bool // Shed is at work
}

// New returns a gateway. It serves at once; idle connections are closed while Run runs.
func New(cfg Config) (*Gateway, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	g := &Gateway{cfg: cfg, websocket: parsePath(cfg.SocketPath + "/websocket"), hurried: make(chan struct{})}
	g.metrics = newMetrics(cfg.Registerer, g)
	g.door, g.refusals = newDoor(cfg.Limits), newRefusals(cfg.Limits.RefusalMemory)
	g.messages, g.joins = cfg.Limits.Messages.meter(cfg.MaxChannels), cfg.Limits.Joins.meter(cfg.MaxChannels)
	g.forgetter, _ = cfg.Backend.(auth.Forgetter)
	g.leaving, g.leave = context.WithCancel(context.Background())
	if cfg.LongPollWindow > 0 {
		g.longPoll = parsePath(cfg.SocketPath + "/longpoll")
		g.transport = newTransport(cfg.LongPollWindow)
	}
	for _, v := range []phoenix.Version{phoenix.V1, phoenix.V2} {
		for f := range framings {
			g.encodings[v][f] = &encoding{version: v, framing: f, metrics: g.metrics}
		}
	}
	for range runtime.GOMAXPROCS(0) {
		g.pollers = append(g.pollers, newPoller(&g.work))
	}
	// Connection ids do not repeat when a pod comes back with the same pod id.
	g.lastConn.Store(uint64(time.Now().UnixMicro()))
	return g, nil
}

// ServeHTTP serves {socket path}/websocket and {socket path}/longpoll, and answers 404 to every other path.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.retiring.Load() {
		w.Header().Set("Connection", "close")
	}
	if vars, found := g.websocket.match(r.URL.Path); found {
		g.serveWebSocket(w, r, vars)
		return
	}
	if vars, found := g.longPoll.match(r.URL.Path); found {
		g.serveLongPoll(w, r, vars)
		return
	}
	http.Error(w, "There is nothing here. Phoenix clients connect to "+g.cfg.SocketPath+"/websocket (phoenix.js appends /websocket itself).", http.StatusNotFound)
}

// Run closes idle connections until ctx ends. It blocks.
func (g *Gateway) Run(ctx context.Context) error {
	shortest := g.cfg.IdleTimeout
	if g.longPoll != nil {
		shortest = min(shortest, 3*g.cfg.LongPollWindow)
	}
	pause := min(max(shortest/64, 10*time.Millisecond), time.Second)
	tick := time.NewTicker(pause)
	defer tick.Stop()
	last := time.Now()
	var polling []*session
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			g.clock.Add(min(now.Sub(last), 4*pause).Milliseconds())
			last = now
			polling = g.sessions.all(polling[:0])
			for _, s := range polling {
				s.overdue(now.Add(-g.cfg.LongPollWindow).UnixMilli())
			}
			clear(polling)
			if n%4 == 0 { // looking at every connection costs more than the time
				g.closeIdle()
				g.prove()
				g.garages.sweep(now, false)
			}
		}
	}
}

// closeIdle closes the connections that were not heard for too long, asks those that are old enough to come again, and has
// those looked at whose authorisation has run out.
func (g *Gateway) closeIdle() {
	var idle, old, due []*conn
	now, wall := g.clock.Load(), time.Now()
	g.mu.Lock()
	for _, c := range g.conns {
		switch {
		case now-c.heard.Load() > c.patience.Milliseconds():
			idle = append(idle, c)
		case c.retires > 0 && now/1000 >= int64(c.retires):
			old = append(old, c)
		case c.overdue(wall):
			due = append(due, c)
		}
	}
	g.mu.Unlock()
	for _, c := range idle {
		c.close(closeProtocolError, auth.ReasonInactive)
	}
	for _, c := range old {
		c.close(closeRestart, auth.ReasonDrained)
	}
	for _, c := range due {
		g.work.start(func() { c.expire(g.leaving) })
	}
}

// retirement returns the second of Gateway.clock in which a connection that begins now has to come again: after
// MaxConnectionAge, plus up to a fifth of it, so that those who came together do not leave together. 0 is never.
func (g *Gateway) retirement() int32 {
	age := g.cfg.MaxConnectionAge
	if age <= 0 {
		return 0
	}
	age += rand.N(age/5 + 1)
	return int32((g.clock.Load()+age.Milliseconds())/1000) + 1
}

// waiting is how many bytes wait to be sent, over all connections.
func (g *Gateway) waiting() (bytes int) {
	g.mu.Lock()
	conns := append([]*conn(nil), g.conns...)
	g.mu.Unlock()
	for _, c := range conns {
		c.mu.Lock()
		bytes += c.out.waiting()
		c.mu.Unlock()
	}
	return bytes
}

// newConnection returns the id of the next connection.
func (g *Gateway) newConnection() string {
	return g.cfg.Hub.PodID() + "." + strconv.FormatUint(g.lastConn.Add(1), 36)
}

// enter adds a connection, unless the gateway is draining. Whoever ends the connection calls work.done.
func (g *Gateway) enter(c *conn) bool {
	c.heard.Store(g.clock.Load())
	c.retires = g.retirement()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.draining {
		return false
	}
	g.work.add()
	c.index = len(g.conns)
	g.conns = append(g.conns, c)
	g.metrics.connections.WithLabelValues(c.client().Transport, c.client().VSN[:1]).Inc()
	return true
}

// forget takes a connection out that has been closed.
func (g *Gateway) forget(c *conn, code uint16, reason auth.Reason) {
	g.mu.Lock()
	last := len(g.conns) - 1
	g.conns[c.index] = g.conns[last]
	g.conns[c.index].index = c.index
	g.conns[last] = nil
	g.conns = g.conns[:last]
	g.mu.Unlock()
	g.metrics.connections.WithLabelValues(c.client().Transport, c.client().VSN[:1]).Dec()
	g.metrics.closed.WithLabelValues(closeLabel(code), string(reason)).Inc()
	g.door.depart(c.client())
	g.cfg.Hub.Detach(c, c.client().ID)
}
