package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// front is what else gateway dev does with a pod.
type front struct {
	// handler goes in front of the sockets on the client port, and may tell where the admin port is.
	handler func(sockets http.Handler, admin net.Addr) http.Handler
	// ready is called once clients are welcome, with where.
	ready func(client, admin net.Addr)
}

// run serves until ctx ends or a part fails, and then stops front to back: clients first, what they lean on last.
func (p *pod) run(ctx context.Context, dev *front) error {
	clients, err := listen(ctx, "PORT", p.cfg.host, p.cfg.Port)
	if err != nil {
		return err
	}
	admins, err := listen(ctx, "ROOST_ADMIN_PORT", p.cfg.AdminHost, p.cfg.AdminPort)
	if err != nil {
		return errors.Join(err, clients.Close())
	}
	var sockets http.Handler = p.gateway
	if dev != nil {
		sockets = dev.handler(sockets, admins.Addr())
	}
	clientServer := p.server(sockets)
	adminServer := p.server(p.operators())

	hurry := hurried(ctx)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serveUntilClosed(clientServer, clients) })
	group.Go(func() error { return serveUntilClosed(adminServer, admins) })
	layers := p.start(ctx, group)
	group.Go(func() error {
		<-ctx.Done()
		p.drain(clientServer, hurry)
		for _, layer := range slices.Backward(layers) {
			layer.stop()
		}
		return adminServer.Close()
	})
	if p.awaitReady(ctx) {
		p.log.Info("ready", "pod", string(p.cfg.PodID), "clients", clients.Addr().String(), "admin", admins.Addr().String())
		if dev != nil {
			dev.ready(clients.Addr(), admins.Addr())
		}
	}
	err = group.Wait()
	p.tracing.stop()
	p.log.Info("stopped", "pod", string(p.cfg.PodID))
	return err
}

// start runs the parts of the pod, those in the back first.
func (p *pod) start(ctx context.Context, group *errgroup.Group) []layer {
	layers := []layer{startLayer(ctx, group, p.hub.Run)}
	if p.backend != nil {
		layers = append(layers, startLayer(ctx, group, p.backend.Run))
	}
	if p.tokens != nil {
		layers = append(layers, startLayer(ctx, group, p.tokens.Run))
	}
	p.hub.Attach(ctx, control{p}, "")
	return append(layers, startLayer(ctx, group, p.report), startLayer(ctx, group, p.gateway.Run))
}

// readyPoll is how often the pod asks itself whether it is ready.
const readyPoll = 20 * time.Millisecond

// awaitReady waits until the pod can serve, and returns false if ctx ends before.
func (p *pod) awaitReady(ctx context.Context) bool {
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for !p.hub.Ready() {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
	return true
}

func serveUntilClosed(s *http.Server, l net.Listener) error {
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
