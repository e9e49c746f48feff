package main

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Times of a drain beside its settings.
const (
	drainReport  = 5 * time.Second // between two log lines about who is still there
	shutdownTime = time.Second     // for requests that are being answered when the last client is gone
)

// drain lets clients go. First the pod is only no longer ready, for ROOST_DRAIN_DELAY, until load balancers know it; then
// everyone is asked to come again elsewhere, within ROOST_DRAIN_TIMEOUT. Once hurry is closed nothing is waited for that can
// be cut short.
func (p *pod) drain(clients *http.Server, hurry <-chan struct{}) {
	p.stopping.Store(true)
	p.reportNow()
	p.gateway.Retire()
	delay, timeout := time.Duration(p.cfg.DrainDelay), time.Duration(p.cfg.DrainTimeout)
	p.log.Info("stopping", "pod", string(p.cfg.PodID), "connections", p.gateway.Connections(), "delay", p.cfg.DrainDelay.String(), "within", p.cfg.DrainTimeout.String())
	select {
	case <-hurry:
	case <-time.After(delay):
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- p.gateway.Drain(ctx) }()
	report := time.NewTicker(drainReport)
	defer report.Stop()
	for {
		select {
		case <-hurry:
			hurry = nil
			p.log.Info("hurrying", "pod", string(p.cfg.PodID), "connections", p.gateway.Connections())
			p.gateway.Hurry()
		case <-report.C:
			p.log.Info("draining", "pod", string(p.cfg.PodID), "connections", p.gateway.Connections())
		case err := <-drained:
			p.shutDown(clients, err)
			return
		}
	}
}

// shutDown closes the client port. drained is what became of the drain.
func (p *pod) shutDown(clients *http.Server, drained error) {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	// Shutdown closes the listener and waits for requests that are being answered; it does not know sockets.
	if err := errors.Join(drained, clients.Shutdown(ctx), clients.Close()); err != nil {
		p.log.Warn("not all clients left in time", "err", err)
	}
}
