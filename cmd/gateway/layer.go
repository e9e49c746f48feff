package main

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// layer is a part of the pod that runs. It outlives the end of the pod's context until it is stopped, because those in
// front of it still lean on it.
type layer struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// startLayer runs a part in group. If it fails, the group's context ends.
func startLayer(ctx context.Context, group *errgroup.Group, run func(context.Context) error) layer {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := layer{cancel, make(chan struct{})}
	group.Go(func() error {
		defer close(l.done)
		return run(own)
	})
	return l
}

// stop ends the layer and waits for it.
func (l layer) stop() {
	l.cancel()
	<-l.done
}
