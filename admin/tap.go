package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"roost/internal/rawjson"
)

// Bounds of a tap.
const (
	maxTaps    = 4
	tapBacklog = 256      // messages that wait for whoever listens
	tapBody    = 16 << 10 // bytes that are shown of one
	tapBeat    = 15 * time.Second
	tapWrite   = 10 * time.Second
)

// tapped is a message that a tap shows.
type tapped struct {
	Topic   string          `json:"topic"`
	Message json.RawMessage `json:"message"` // as it was published; a string if it is no JSON, or cut short
	Cut     bool            `json:"cut,omitempty"`
}

// tap streams what is published to topics, as server-sent events: message, and now and then dropped, with how many were not shown. It
// costs nothing when nobody listens, and never holds up anybody else.
func (a *api) tap(w http.ResponseWriter, r *http.Request) error {
	values, err := query(r, "topic", "sample")
	if err != nil {
		return err
	}
	if values["topic"] == "" {
		return problem("invalid_request", "topic: missing")
	}
	match, err := matchOf(values["topic"])
	if err != nil {
		return err
	}
	sample := 1.0
	if text, found := values["sample"]; found {
		if sample, err = strconv.ParseFloat(text, 64); err != nil || !(sample > 0 && sample <= 1) {
			return problem("invalid_request", "sample: not a number above 0, up to 1")
		}
	}
	if a.taps.Add(1) > maxTaps {
		a.taps.Add(-1)
		return problem("too_many_taps", "")
	}
	defer a.taps.Add(-1)

	ctx, stop := context.WithCancel(r.Context())
	defer stop()
	var dropped atomic.Int64
	waiting := make(chan tapped, tapBacklog)
	ready := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- a.op.Tap(ctx, match, func() { close(ready) }, func(topic string, body []byte) {
			if sample < 1 && rand.Float64() >= sample {
				return
			}
			select {
			case waiting <- shownAs(topic, body):
			default:
				dropped.Add(1)
			}
		})
	}()
	select {
	case <-ready:
	case err := <-ended:
		return err
	case <-time.After(callTimeout):
		stop()
		<-ended
		return problem("unavailable", "")
	}
	stream(ctx, w, waiting, &dropped, ended)
	stop()
	return nil
}

// shownAs is how a message is shown.
func shownAs(topic string, body []byte) tapped {
	if len(body) <= tapBody && rawjson.Valid(body) {
		return tapped{Topic: topic, Message: body}
	}
	cut := len(body) > tapBody
	text, _ := json.Marshal(string(body[:min(len(body), tapBody)]))
	return tapped{Topic: topic, Message: text, Cut: cut}
}

// stream writes events until whoever listens is gone, or the tap has ended.
func stream(ctx context.Context, w http.ResponseWriter, waiting <-chan tapped, dropped *atomic.Int64, ended <-chan error) {
	control := http.NewResponseController(w)
	event := func(format string, args ...any) bool {
		_ = control.SetWriteDeadline(time.Now().Add(tapWrite)) // where that cannot be set, it blocks longer
		_, err := fmt.Fprintf(w, format, args...)
		return err == nil && control.Flush() == nil
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	if !event(": listening\n\n") {
		return
	}
	beat := time.NewTicker(tapBeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ended:
			event("event: end\ndata: {}\n\n")
			return
		case <-beat.C:
			if !event(": still here\n\n") {
				return
			}
		case m := <-waiting:
			if n := dropped.Swap(0); n > 0 && !event("event: dropped\ndata: {\"count\":%d}\n\n", n) {
				return
			}
			data, err := json.Marshal(m)
			if err == nil && !event("event: message\ndata: %s\n\n", data) {
				return
			}
		}
	}
}
