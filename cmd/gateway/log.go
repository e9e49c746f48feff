package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"roost/internal/samplelog"
)

// level is the least level that is logged.
type level slog.Level

func (l *level) UnmarshalText(text []byte) error {
	for _, known := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if strings.EqualFold(known.String(), string(text)) {
			*l = level(known)
			return nil
		}
	}
	return fmt.Errorf("%q is none of debug, info, warn and error", text)
}

func (l level) String() string { return strings.ToLower(slog.Level(l).String()) }

// format is how a log line is written.
type format string

const (
	formatJSON format = "json"
	formatText format = "text"
)

func (f *format) UnmarshalText(text []byte) error {
	switch format(text) {
	case formatJSON, formatText:
		*f = format(text)
		return nil
	}
	return fmt.Errorf("%q is neither json nor text", text)
}

// newLogger writes to w as the settings say.
func newLogger(w io.Writer, cfg *config) *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.Level(cfg.LogLevel)}
	if cfg.LogFormat == formatText {
		return slog.New(samplelog.New(coded{slog.NewTextHandler(w, options)}))
	}
	return slog.New(samplelog.New(coded{slog.NewJSONHandler(w, options)}))
}

// isTerminal tells whether somebody looks at w.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
