package main

import (
	"context"
	"log/slog"
	"strings"
)

// coded adds a code to every log line, by which machines know it: its text in lower case, words joined by underscores.
// docs/logs.md lists them.
type coded struct{ slog.Handler }

// Handle implements [slog.Handler].
func (h coded) Handle(ctx context.Context, r slog.Record) error {
	r = r.Clone()
	r.AddAttrs(slog.String("code", logCode(r.Message)))
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (h coded) WithAttrs(attrs []slog.Attr) slog.Handler { return coded{h.Handler.WithAttrs(attrs)} }

// WithGroup implements [slog.Handler].
func (h coded) WithGroup(name string) slog.Handler { return coded{h.Handler.WithGroup(name)} }

// logCode makes the code of a line's text, up to the first colon or comma.
func logCode(text string) string {
	if i := strings.IndexAny(text, ":,"); i > 0 {
		text = text[:i]
	}
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	return strings.Join(words, "_")
}
