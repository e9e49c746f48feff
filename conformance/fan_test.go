package conformance_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/phoenix/phoenixtest"
)

// fan is a client that behaves as phoenix.js does: it sends heartbeats, and joins again what ends with phx_error or could not
// be joined. It keeps a record of everything.
type fan struct {
	*client
	topics []string
	quit   chan struct{}
	ended  chan error
	refs   int

	mu       sync.Mutex
	channels map[string]*fanChannel
	asked    int // heartbeats
	answered int
}

// fanChannel is what a fan knows about one of its channels.
type fanChannel struct {
	ref     string
	joined  bool
	crashes int      // phx_error
	refused int      // joins that were answered with an error
	got     []string // payloads of the event "e", and "crash"
}

// newFan joins topics on a pod, and behaves until the test ends.
func newFan(t *testing.T, p *pod, topics ...string) *fan {
	t.Helper()
	f := &fan{client: dial(t, p, "vsn=2.0.0"), topics: topics, quit: make(chan struct{}), ended: make(chan error, 1), channels: map[string]*fanChannel{}}
	for _, topic := range topics {
		f.channels[topic] = &fanChannel{}
		if err := f.join(topic); err != nil {
			t.Fatal(err)
		}
	}
	go func() { f.ended <- f.run() }()
	stop := sync.OnceValue(func() error {
		close(f.quit)
		return <-f.ended
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("a client on %s: %v", p.addr, err)
		}
	})
	eventually(t, func() error { return f.allJoined() })
	return f
}

// join sends a join. It is for the goroutine that writes.
func (f *fan) join(topic string) error {
	f.refs++
	ref := quote(fmt.Sprint(f.refs))
	f.mu.Lock()
	c := f.channels[topic]
	c.ref, c.joined = ref, false
	f.mu.Unlock()
	return f.Write(`[` + ref + `,` + ref + `,` + quote(topic) + `,"phx_join",{}]`)
}

// run reads and answers until quit. An error is what no client should see.
func (f *fan) run() error {
	heartbeat := time.NewTicker(500 * time.Millisecond)
	defer heartbeat.Stop()
	var rejoin []string
	var since time.Time
	for {
		select {
		case <-f.quit:
			return nil
		case <-heartbeat.C:
			f.mu.Lock()
			f.asked++
			f.mu.Unlock()
			if err := f.Write(`[null,"hb","phoenix","heartbeat",{}]`); err != nil {
				return err
			}
		default:
		}
		if len(rejoin) > 0 && time.Since(since) > 100*time.Millisecond {
			for _, topic := range rejoin {
				if err := f.join(topic); err != nil {
					return err
				}
			}
			rejoin = nil
		}
		m, err := f.Receive(20 * time.Millisecond)
		if errors.Is(err, phoenixtest.ErrTimeout) {
			continue
		}
		if err != nil {
			return fmt.Errorf("the socket ended: %w", err)
		}
		topic, err := f.take(m.Data)
		if err != nil {
			return err
		}
		if topic != "" {
			if len(rejoin) == 0 {
				since = time.Now()
			}
			rejoin = append(rejoin, topic)
		}
	}
}

// take notes one frame, and returns the topic that has to be joined again, if one has.
func (f *fan) take(data []byte) (again string, err error) {
	var frame [5]json.RawMessage
	if err := json.Unmarshal(data, &frame); err != nil {
		return "", fmt.Errorf("%w in %s", err, data)
	}
	var topic, event string
	_ = json.Unmarshal(frame[2], &topic)
	_ = json.Unmarshal(frame[3], &event)
	f.mu.Lock()
	defer f.mu.Unlock()
	if topic == "phoenix" {
		f.answered++
		return "", nil
	}
	c := f.channels[topic]
	if c == nil {
		return "", fmt.Errorf("got %s for a topic that was never joined", data)
	}
	switch event {
	case "e":
		c.got = append(c.got, string(frame[4]))
	case "phx_error":
		if string(frame[0]) != c.ref || !c.joined {
			return "", fmt.Errorf("got %s for a channel that is not joined", data)
		}
		c.joined = false
		c.crashes++
		c.got = append(c.got, "crash")
		return topic, nil
	case "phx_reply":
		if string(frame[1]) != c.ref {
			return "", fmt.Errorf("got %s, want the answer to %s", data, c.ref)
		}
		if c.joined = strings.Contains(string(frame[4]), `"ok"`); c.joined {
			return "", nil
		}
		if !strings.Contains(string(frame[4]), `{"reason":"join crashed"}`) {
			return "", fmt.Errorf("a join was answered %s", data)
		}
		c.refused++
		return topic, nil
	default:
		return "", fmt.Errorf("got %s", data)
	}
	return "", nil
}

func (f *fan) allJoined() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for topic, c := range f.channels {
		if !c.joined {
			return fmt.Errorf("%s is not joined: %d times phx_error, %d joins refused", topic, c.crashes, c.refused)
		}
	}
	return nil
}

// crashes returns how often a channel ended with phx_error.
func (f *fan) crashes(topic string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.channels[topic].crashes
}

// got returns a copy of what came for a topic.
func (f *fan) got(topic string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.channels[topic].got)
}

// forget empties the record of messages.
func (f *fan) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.channels {
		c.got = nil
	}
}

// heartbeats returns how many were sent and how many were answered.
func (f *fan) heartbeats() (asked, answered int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked, f.answered
}
