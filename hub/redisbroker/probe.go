package redisbroker

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// errDeaf means that Redis answers over the link, but does not bring what is published.
var errDeaf = errors.New("redis: messages do not come back")

const (
	probeInterval = time.Second
	lostProbes    = 2   // so many may be on their way through a cluster when Redis answers a ping
	probeTries    = 500 // so many channels are tried to find one in a slot of a node
)

// probe sends messages to the pod itself through a command connection, to see them come back over the link. It proves what a
// ping does not: that what is published arrives. Where Redis has taken several, and has then answered a ping over the link,
// and none of them came, the link is deaf.
type probe struct {
	link    *link
	nonce   string        // tells the probes of this connection from others
	begin   chan struct{} // closed once the link stands
	started sync.Once

	taken   atomic.Uint64 // the last one that Redis has taken
	arrived atomic.Uint64 // the last one that came back

	mu      sync.Mutex
	channel string // "" for none
}

func newProbe(l *link) *probe {
	p := &probe{link: l, nonce: rand.Text(), begin: make(chan struct{})}
	if !l.lane.partial {
		p.channel = l.keys.probe(0) // the pattern brings it
	}
	return p
}

// start lets the probes begin.
func (p *probe) start() { p.started.Do(func() { close(p.begin) }) }

// run sends one a second until ctx ends.
func (p *probe) run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-p.begin:
	}
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	for n := uint64(1); ; {
		if channel := p.target(); channel != "" && p.send(ctx, channel, n) == nil {
			p.taken.Store(n)
			n++
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// send publishes the nth probe.
func (p *probe) send(ctx context.Context, channel string, n uint64) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	node, err := p.link.client.node(ctx, channel)
	if err != nil {
		return err
	}
	body := fmt.Appendf(nil, "%s %d %d", p.nonce, n, time.Now().UnixNano())
	_, err = p.link.client.publish(ctx, node, channel, p.link.lane.partial, body)
	return err
}

// came takes a probe that came back.
func (p *probe) came(body []byte) {
	words := bytes.Fields(body)
	if len(words) != 3 || string(words[0]) != p.nonce {
		return
	}
	n, err1 := strconv.ParseUint(string(words[1]), 10, 64)
	sent, err2 := strconv.ParseInt(string(words[2]), 10, 64)
	if err1 != nil || err2 != nil || n <= p.arrived.Load() {
		return
	}
	p.arrived.Store(n)
	p.link.seen.probed()
	p.link.metrics.probed(time.Since(time.Unix(0, sent)))
}

// ping is what the next ping over the link says.
func (p *probe) ping() string { return "p" + strconv.FormatUint(p.taken.Load(), 10) }

// pong takes the answer to a ping.
func (p *probe) pong(token []byte) error {
	n, err := strconv.ParseUint(strings.TrimPrefix(string(token), "p"), 10, 64)
	if err == nil && n > p.arrived.Load()+lostProbes {
		return errDeaf
	}
	return nil
}

// target is where the next probe goes.
func (p *probe) target() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.channel
}

// choose finds a channel in a slot of the link's node, and tells whether it has to be subscribed now. Where there is none
// the node is no master, as far as the others know.
func (p *probe) choose(ctx context.Context) (channel string, found bool) {
	if !p.link.lane.partial || p.target() != "" {
		return "", false
	}
	for n := 1; n <= probeTries; n++ {
		channel = p.link.keys.probe(n)
		if node, err := p.link.client.node(ctx, channel); err == nil && node.Options().Addr == p.link.node {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.channel = channel
			p.taken.Store(p.arrived.Load()) // what went to another channel does not count
			return channel, true
		}
	}
	return "", false
}

// left notes that a slot is not to be had over the link any more.
func (p *probe) left(slot uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link.lane.partial && p.channel != "" && slotOf(p.channel) == slot {
		p.channel = ""
	}
}
