package redisbroker

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Sizes of what the writer sends.
const (
	channelsPerCommand = 512
	bytesPerWrite      = 64 << 10
)

// pace is the least time between two batches while there is work: the first one leaves at once, and what comes in a hurry
// behind it travels together.
const pace = time.Millisecond

// upToken is the ping that follows the first subscriptions of a link: its answer means that all of them stand.
const upToken = "up"

// writer tells Redis what to subscribe, and asks now and then whether it is still there.
type writer struct {
	conn    *watchedConn
	keys    keys
	subs    *subscriptions
	lane    *lane
	pattern bool
	probe   *probe
	seen    *seen

	buf                    []byte
	subscribe, unsubscribe []*subscription
}

// run writes until ctx ends or the connection is of no use any more.
func (w *writer) run(ctx context.Context) error {
	if w.pattern {
		w.buf = appendWords(w.buf, "PSUBSCRIBE", w.keys.conns())
	}
	w.aim(ctx)
	if err := w.changes(); err != nil {
		return err
	}
	w.buf = appendWords(w.buf, "PING", upToken)
	if err := w.flush(0); err != nil {
		return err
	}
	ticker := time.NewTicker(pingInterval)
	defer ticker.Stop()
	var reads uint32
	quiet := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.lane.wake:
			if err := w.changes(); err != nil {
				return err
			}
			if err := w.flush(0); err != nil {
				return err
			}
			time.Sleep(pace)
		case <-ticker.C:
			if now := w.conn.reads.Load(); now != reads {
				reads, quiet = now, 0
			} else if quiet++; quiet >= quietPings {
				return errQuiet
			}
			w.seen.look()
			w.aim(ctx)
			w.buf = appendWords(w.buf, "PING", w.probe.ping())
			if err := w.flush(0); err != nil {
				return err
			}
		}
	}
}

// aim subscribes the channel of the probes, if that is a new one.
func (w *writer) aim(ctx context.Context) {
	if channel, found := w.probe.choose(ctx); found {
		w.buf = appendWords(w.buf, "SSUBSCRIBE", channel)
	}
}

// changes writes all that Redis has to be told, as few commands as possible.
func (w *writer) changes() error {
	var calls callbacks
	w.subscribe, w.unsubscribe, calls = w.subs.take(w.lane, w.subscribe[:0], w.unsubscribe[:0])
	defer calls.call()
	subscribe, unsubscribe := "SUBSCRIBE", "UNSUBSCRIBE"
	if w.lane.sharded {
		subscribe, unsubscribe = "SSUBSCRIBE", "SUNSUBSCRIBE"
	}
	if err := w.commands(unsubscribe, w.unsubscribe); err != nil {
		return err
	}
	if err := w.commands(subscribe, w.subscribe); err != nil {
		return err
	}
	w.subscribe, w.unsubscribe = smaller(w.subscribe), smaller(w.unsubscribe)
	return nil
}

// commands writes commands for all of list. In a cluster a command of shards may name channels of one slot only.
func (w *writer) commands(name string, list []*subscription) error {
	if w.lane.partial {
		slices.SortFunc(list, func(a, b *subscription) int { return cmp.Compare(a.slot, b.slot) })
	}
	for len(list) > 0 {
		n := 1
		for n < min(len(list), channelsPerCommand) && list[n].slot == list[0].slot {
			n++
		}
		w.buf = appendArg(appendCommand(w.buf, n+1), "", name)
		for _, s := range list[:n] {
			w.buf = appendArg(w.buf, w.keys.prefix, string(s.addr))
		}
		list = list[n:]
		if err := w.flush(bytesPerWrite); err != nil {
			return err
		}
	}
	return nil
}

// flush writes what is in the buffer, if it is at least so many bytes.
func (w *writer) flush(least int) error {
	if len(w.buf) == 0 || len(w.buf) < least {
		return nil
	}
	if err := w.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := w.conn.Write(w.buf)
	if w.buf = w.buf[:0]; cap(w.buf) > 4*bytesPerWrite {
		w.buf = nil
	}
	return err
}

// smaller keeps a slice for the next time, unless it is large, and nothing that was in it.
func smaller(list []*subscription) []*subscription {
	if cap(list) > 8*channelsPerCommand {
		return nil
	}
	clear(list)
	return list[:0]
}
