package redisbroker

import (
	"context"
	"time"

	"roost/hub"
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
	conn *watchedConn
	keys keys
	subs *subscriptions

	buf                    []byte
	subscribe, unsubscribe []hub.Address
}

// run writes until ctx ends or the connection is of no use any more.
func (w *writer) run(ctx context.Context) error {
	w.buf = appendWords(w.buf, "PSUBSCRIBE", w.keys.conns())
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
		case <-w.subs.wake:
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
			w.buf = appendWords(w.buf, "PING", "")
			if err := w.flush(0); err != nil {
				return err
			}
		}
	}
}

// changes writes all that Redis has to be told, as few commands as possible.
func (w *writer) changes() error {
	var calls callbacks
	w.subscribe, w.unsubscribe, calls = w.subs.take(w.subscribe[:0], w.unsubscribe[:0])
	defer calls.call()
	if err := w.commands("UNSUBSCRIBE", w.unsubscribe); err != nil {
		return err
	}
	if err := w.commands("SUBSCRIBE", w.subscribe); err != nil {
		return err
	}
	w.subscribe, w.unsubscribe = smaller(w.subscribe), smaller(w.unsubscribe)
	return nil
}

func (w *writer) commands(name string, addrs []hub.Address) error {
	for len(addrs) > 0 {
		n := min(len(addrs), channelsPerCommand)
		w.buf = appendArg(appendCommand(w.buf, n+1), "", name)
		for _, addr := range addrs[:n] {
			w.buf = appendArg(w.buf, w.keys.prefix, string(addr))
		}
		addrs = addrs[n:]
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

// smaller keeps a slice for the next time, unless it is large, and none of its strings.
func smaller(addrs []hub.Address) []hub.Address {
	if cap(addrs) > 8*channelsPerCommand {
		return nil
	}
	clear(addrs)
	return addrs[:0]
}
