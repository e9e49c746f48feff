package redisbroker

import (
	"errors"
	"fmt"
	"strings"

	"roost/hub"
)

// receiver reads what the link brings and hands it on. It waits for nothing but the socket.
type receiver struct {
	reader *reader
	link   *link
	probe  *probe
	sink   hub.Sink
	up     func() // called when the first subscriptions stand
}

// run reads until the connection ends or brings what nobody understands.
func (r *receiver) run() error {
	for {
		if err := r.next(); err != nil {
			return err
		}
	}
}

// next reads one reply.
func (r *receiver) next() error {
	if first, err := r.reader.buf.Peek(1); err == nil && first[0] == '$' {
		return r.pong() // in this form while nothing is subscribed
	}
	n, err := r.reader.length('*')
	if err != nil {
		return r.refused(err)
	}
	word, err := r.reader.name()
	if err != nil {
		return err
	}
	switch {
	case n == 3 && (string(word) == "message" || string(word) == "smessage"):
		return r.message()
	case n == 4 && string(word) == "pmessage":
		return r.patternMessage()
	case n == 3 && (string(word) == "subscribe" || string(word) == "ssubscribe"):
		return r.acknowledgement(true)
	case n == 3 && (string(word) == "unsubscribe" || string(word) == "sunsubscribe"):
		return r.acknowledgement(false)
	case n == 3 && string(word) == "psubscribe":
		if _, err := r.reader.name(); err != nil {
			return err
		}
		return r.count()
	case n == 2 && string(word) == "pong":
		return r.pong()
	default:
		return fmt.Errorf("%w: reply %.20q", errProtocol, word)
	}
}

// refused looks at what is no reply: only that a slot has gone elsewhere is no reason to give up the link.
func (r *receiver) refused(err error) error {
	var refused serverError
	if !errors.As(err, &refused) || !r.link.lane.partial {
		return err
	}
	slot, at, ok := moved(string(refused), r.link.node)
	if !ok {
		return err
	}
	r.left(slot, at)
	return nil
}

// left notes that a slot is not to be had over this link any more.
func (r *receiver) left(slot uint16, at string) {
	r.probe.left(slot)
	r.link.subs.left(r.link.lane, slot, at)
}

func (r *receiver) pong() error {
	token, err := r.reader.name()
	if err != nil {
		return err
	}
	if string(token) != upToken {
		return r.probe.pong(token)
	}
	r.up()
	r.probe.start()
	return nil
}

func (r *receiver) message() error {
	name, err := r.reader.name()
	if err != nil {
		return err
	}
	channel, ok := r.local(name)
	if !ok {
		return r.body("", false)
	}
	if r.isProbe(channel) {
		return r.probed()
	}
	addr, known := r.link.subs.lookup(r.link.lane, channel)
	return r.body(addr, known)
}

// patternMessage reads a message for one of this pod's connections.
func (r *receiver) patternMessage() error {
	if _, err := r.reader.name(); err != nil {
		return err
	}
	name, err := r.reader.name()
	if err != nil {
		return err
	}
	channel, known := r.local(name)
	if known && r.isProbe(channel) {
		return r.probed()
	}
	return r.body(hub.Address(channel), known)
}

// maxProbe is more than a probe has, in bytes.
const maxProbe = 256

// probed reads a message of this pod to itself.
func (r *receiver) probed() error {
	n, err := r.reader.length('$')
	if err != nil {
		return err
	}
	if n > maxProbe {
		return r.reader.skip(n)
	}
	body, err := r.reader.body(n)
	if err != nil {
		return err
	}
	r.link.seen.messages.Add(1)
	r.probe.came(body)
	return nil
}

// isProbe tells whether a channel is that of this pod's messages to itself.
func (r *receiver) isProbe(channel []byte) bool {
	return strings.HasPrefix(string(channel), string(r.link.probes))
}

// local cuts the prefix of the installation off.
func (r *receiver) local(channel []byte) ([]byte, bool) {
	if len(channel) < len(r.link.keys.prefix) || string(channel[:len(r.link.keys.prefix)]) != r.link.keys.prefix {
		return nil, false
	}
	return channel[len(r.link.keys.prefix):], true
}

func (r *receiver) body(addr hub.Address, known bool) error {
	n, err := r.reader.length('$')
	if err != nil {
		return err
	}
	l := r.link
	if !known || n > l.limit {
		if err := r.reader.skip(n); err != nil || !known {
			return err
		}
		l.metrics.oversized()
		r.sink.Oversize(addr, int64(n))
		return nil
	}
	body, err := r.reader.body(n)
	if err != nil {
		return err
	}
	l.seen.messages.Add(1)
	l.metrics.receivedOne()
	r.sink.Message(addr, body)
	return nil
}

func (r *receiver) acknowledgement(subscribed bool) error {
	name, err := r.reader.name()
	if err != nil {
		return err
	}
	var calls callbacks
	if channel, ok := r.local(name); ok {
		if !subscribed && r.link.lane.partial && r.isProbe(channel) {
			r.probe.left(slotOf(string(name)))
		}
		calls = r.link.subs.acknowledged(r.link.lane, channel, subscribed)
	}
	if err := r.count(); err != nil {
		return err
	}
	calls.call()
	return nil
}

// count skips the number of subscriptions that ends an acknowledgement.
func (r *receiver) count() error {
	line, err := r.reader.line()
	if err == nil && line[0] != ':' {
		return errProtocol
	}
	return err
}
