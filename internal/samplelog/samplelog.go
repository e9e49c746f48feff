// Package samplelog keeps a log readable when the same thing happens ten thousand times.
package samplelog

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Per message text, so many warnings pass in a window; the rest are counted.
const (
	burst  = 10
	window = 10 * time.Second
)

// Handler passes on what is logged, but of warnings with the same text only the first ten in ten seconds. The next one
// that passes says how many did not, as "suppressed". Other levels are not sampled.
type Handler struct {
	slog.Handler
	shared *shared
}

type shared struct {
	mu   sync.Mutex
	seen map[string]*count
}

// count is what happened to one message text in its present window.
type count struct {
	since              time.Time
	passed, suppressed int
}

// New returns a handler that samples what it passes on to next.
func New(next slog.Handler) *Handler {
	return &Handler{next, &shared{seen: map[string]*count{}}}
}

// Handle implements [slog.Handler].
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level != slog.LevelWarn {
		return h.Handler.Handle(ctx, r)
	}
	suppressed, pass := h.shared.pass(r.Message, r.Time)
	if !pass {
		return nil
	}
	if suppressed > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("suppressed", suppressed))
	}
	return h.Handler.Handle(ctx, r)
}

// pass tells whether a warning may pass, and how many before it did not.
func (s *shared) pass(message string, now time.Time) (suppressed int, pass bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.seen[message]
	if c == nil {
		c = &count{since: now} // texts are constants, so there are few
		s.seen[message] = c
	}
	if now.Sub(c.since) >= window {
		suppressed = c.suppressed
		*c = count{since: now}
	}
	if c.passed >= burst {
		c.suppressed++
		return 0, false
	}
	c.passed++
	return suppressed, true
}

// WithAttrs implements [slog.Handler].
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Handler{h.Handler.WithAttrs(attrs), h.shared}
}

// WithGroup implements [slog.Handler].
func (h *Handler) WithGroup(name string) slog.Handler {
	return &Handler{h.Handler.WithGroup(name), h.shared}
}
