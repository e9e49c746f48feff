package redisbroker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"roost/hub"
	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

// TestRemember: a key is one request's, whose answer all who repeat it get, until it is over; and whoever it was taken from changes nothing.
func TestRemember(t *testing.T) {
	redistest.Each(t, func(t *testing.T, s *redistest.Server) {
		ctx := t.Context()
		frozen := run(t, open(t, redisbroker.Config{URL: s.URL, PodID: "pod-a"}))
		b := run(t, open(t, redisbroker.Config{URL: s.URL, PodID: "pod-b"}))
		wants := func(fingerprint, result string, want error) {
			t.Helper()
			if mark, got, err := b.Remember(ctx, "k", fingerprint, time.Minute); mark != "" || string(got) != result || !errors.Is(err, want) {
				t.Errorf("Remember(%q) = %q, %q, %v, want no mark, %q, %v", fingerprint, mark, got, err, result, want)
			}
		}
		old, _, err := frozen.Remember(ctx, "k", "f", time.Minute)
		if err != nil || old == "" {
			t.Fatalf("the first got the mark %q, error %v, want one", old, err)
		}
		wants("f", "", hub.ErrPending)
		wants("g", "", hub.ErrOther)
		s.Client.Del(ctx, s.Client.Keys(ctx, "roost:request:*").Val()...) // a minute is over

		mark, _, err := b.Remember(ctx, "k", "f", time.Minute)
		if err != nil || mark == "" || mark == old {
			t.Fatalf("the second got the mark %q, error %v, want another than %q", mark, err, old)
		}
		for _, result := range [][]byte{nil, []byte("{}")} {
			if err := frozen.Conclude(ctx, "k", old, result, time.Hour); err != nil {
				t.Error(err)
			}
			wants("f", "", hub.ErrPending)
		}
		if err := b.Conclude(ctx, "k", mark, []byte(`{"a": 1}`), time.Hour); err != nil {
			t.Error(err)
		}
		wants("f", `{"a": 1}`, nil)
		wants("g", "", hub.ErrOther)
		for _, m := range []string{old, mark} { // it is kept
			if err := frozen.Conclude(ctx, "k", m, nil, 0); err != nil {
				t.Error(err)
			}
		}
		wants("f", `{"a": 1}`, nil)
		if left := s.Client.PTTL(ctx, s.Client.Keys(ctx, "roost:request:*").Val()[0]).Val(); left <= time.Minute || left > time.Hour {
			t.Errorf("it is kept for %v, want an hour", left)
		}

		free, _, err := b.Remember(ctx, "k2", "f", time.Minute)
		if err != nil || b.Conclude(ctx, "k2", free, nil, 0) != nil {
			t.Fatalf("got error %v", err)
		}
		if again, _, err := frozen.Remember(ctx, "k2", "g", time.Minute); again == "" || err != nil {
			t.Errorf("a key that was freed: got the mark %q, error %v, want one", again, err)
		}
	})
}

// TestRememberIsNotInItsOwnWay: a key that was taken, though the answer was lost, is free for the repetition.
func TestRememberIsNotInItsOwnWay(t *testing.T) {
	s := redistest.Start(t)
	url := "redis://" + fake(t, func(command []string) string {
		if !strings.Contains(strings.Join(command, " "), "roost:request:") {
			return refused
		}
		var args []any
		for _, word := range command {
			args = append(args, word)
		}
		answer, err := s.Client.Do(context.Background(), args...).Result()
		switch {
		case command[0] == "set": // it is carried out, and the answer is lost
			return ""
		case err != nil:
			return "-" + err.Error() + "\r\n"
		default:
			return fmt.Sprintf(":%d\r\n", answer)
		}
	})
	b := run(t, open(t, redisbroker.Config{URL: url, PodID: "pod-a"}))
	if mark, _, err := b.Remember(t.Context(), "k", "f", time.Hour); err == nil {
		t.Fatalf("got the mark %q without an answer, want an error", mark)
	}
	other := run(t, open(t, redisbroker.Config{URL: s.URL, PodID: "pod-b"}))
	if mark, _, err := other.Remember(t.Context(), "k", "f", time.Hour); mark == "" || err != nil {
		t.Errorf("the repetition got the mark %q, error %v, want one", mark, err)
	}
}

// TestRememberSentAgain: in a cluster a SET whose answer was lost is sent again, and the request is not told of itself.
func TestRememberSentAgain(t *testing.T) {
	value := ""
	var sets atomic.Int32
	url := fakeCluster(t, func(command []string) string {
		if len(command) < 2 || !strings.HasPrefix(command[1], "roost:request:") {
			return refused
		}
		switch command[0] {
		case "set":
			if sets.Add(1) == 1 {
				value = command[2]
				return ""
			}
			return "$-1\r\n"
		case "get":
			return reply(1, value)[len("*1\r\n"):]
		}
		return refused
	})
	b := run(t, open(t, redisbroker.Config{URL: url, PodID: "pod-a"}))
	if mark, _, err := b.Remember(t.Context(), "k", "f", time.Minute); mark == "" || err != nil || sets.Load() < 2 {
		t.Errorf("got the mark %q, error %v after %d times SET, want one after two", mark, err, sets.Load())
	}
}
