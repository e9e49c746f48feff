package samplelog_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"roost/internal/samplelog"
)

func TestRepeatedWarningsAreSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(samplelog.New(slog.NewTextHandler(&out, nil))).With("pod", "a")
		for range 1000 {
			log.Warn("junk")
		}
		log.Warn("other")
		log.Info("junk")
		if got, want := strings.Count(out.String(), "msg=junk"), 11; got != want {
			t.Errorf("got %d lines of junk, want %d: ten warnings and an info", got, want)
		}
		if !strings.Contains(out.String(), "msg=other") {
			t.Error("another warning was suppressed, too")
		}
		out.Reset()
		time.Sleep(10 * time.Second)
		log.Warn("junk")
		if got := out.String(); !strings.Contains(got, "suppressed=990") || !strings.Contains(got, "pod=a") {
			t.Errorf("got %q, want it to say suppressed=990", got)
		}
	})
}
