//go:build !linux

package gateway

import (
	"errors"
	"sync"
)

// poller is there on Linux only. Elsewhere each connection has a goroutine that reads.
type poller struct{}

func newPoller(*sync.WaitGroup) *poller { return &poller{} }

func (p *poller) add(watched) error { return errors.ErrUnsupported }

func (p *poller) remove(watched) {}
