//go:build !linux

package gateway

import (
	"errors"
)

// poller is there on Linux only. Elsewhere each connection has a goroutine that reads.
type poller struct{}

func newPoller(*tasks) *poller { return &poller{} }

func (p *poller) add(watched) error { return errors.ErrUnsupported }

func (p *poller) remove(watched) {}
