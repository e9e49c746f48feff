package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"roost/admin"
	"roost/hub"
)

// minAPIToken is the least length of ROOST_API_TOKEN: it opens everything that a backend may do.
const minAPIToken = 16

func (c *config) checkAPIToken() error {
	if n := len(c.APIToken); n > 0 && n < minAPIToken || strings.ContainsAny(c.APIToken, " \t\r\n") {
		return fmt.Errorf("has spaces, or fewer than %d characters: use those of: openssl rand -hex 32", minAPIToken)
	}
	return nil
}

// operators is what answers on the admin port.
func (p *pod) operators() http.Handler {
	return admin.Handler(admin.Config{
		Metrics: p.metrics, Ready: p.health(),
		API: &admin.APIConfig{Operator: p.broker, Token: p.cfg.APIToken, MaxMessage: int(p.cfg.OutboxLimit), Registerer: p.metrics},
	})
}

// report says of the pod what operators may ask about, until ctx ends.
func (p *pod) report(ctx context.Context) error {
	started := time.Now().UTC()
	p.broker.Report(ctx, func() hub.PodReport {
		channels, topics := p.hub.Counts()
		return hub.PodReport{
			Version: build().Version, Started: started, Connections: p.gateway.Connections(), LongPoll: p.gateway.LongPolls(),
			Channels: channels, Topics: topics, Draining: p.stopping.Load(), Shedding: p.gateway.Shedding(),
		}
	}, p.changed)
	return nil
}

// reportNow has the pod report at once.
func (p *pod) reportNow() {
	select {
	case p.changed <- struct{}{}:
	default: // it will anyway
	}
}

// control is who is told what to do at the pod's control address.
type control struct{ pod *pod }

var _ hub.Peer = control{}

// Connection implements [hub.Peer].
func (c control) Connection() string { return hub.ControlConnection(string(c.pod.cfg.PodID)) }

// Push implements [hub.Peer].
func (c control) Push(_, event string, payload []byte, _ bool) {
	var r admin.Rebalance
	if event != admin.EventRebalance || json.Unmarshal(payload, &r) != nil {
		c.pod.log.Warn("unknown order", "event", event)
		return
	}
	within := time.Duration(r.WithinMS) * time.Millisecond
	n, err := c.pod.gateway.Shed(r.Share, within, c.pod.reportNow)
	if err != nil {
		c.pod.log.Warn("not rebalanced", "err", err)
		return
	}
	c.pod.reportNow()
	c.pod.log.Info("rebalancing", "connections", n, "within", within.String())
}

// EndChannel implements [hub.Peer]. There is none.
func (c control) EndChannel(string, bool) {}

// Disconnect implements [hub.Peer]. It is nobody's connection.
func (c control) Disconnect() {}

// Members implements [hub.Peer]. It is in no topic.
func (c control) Members(func(hub.Member) bool) bool { return true }
