package redisbroker

import (
	"fmt"

	"roost/hub"
)

// receiver reads what the link brings and hands it on. It waits for nothing but the socket.
type receiver struct {
	reader  *reader
	prefix  string
	limit   int // bytes of a body
	subs    *subscriptions
	sink    hub.Sink
	metrics *metrics
	up      func() // called when the first subscriptions stand
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
	n, err := r.reader.length('*')
	if err != nil {
		return err
	}
	word, err := r.reader.name()
	if err != nil {
		return err
	}
	switch {
	case n == 3 && string(word) == "message":
		return r.message()
	case n == 4 && string(word) == "pmessage":
		return r.patternMessage()
	case n == 3 && (string(word) == "subscribe" || string(word) == "unsubscribe"):
		return r.acknowledgement()
	case n == 3 && string(word) == "psubscribe":
		if _, err := r.reader.name(); err != nil {
			return err
		}
		return r.count()
	case n == 2 && string(word) == "pong":
		token, err := r.reader.name()
		if err == nil && string(token) == upToken {
			r.up()
		}
		return err
	default:
		return fmt.Errorf("%w: reply %.20q", errProtocol, word)
	}
}

func (r *receiver) message() error {
	name, err := r.reader.name()
	if err != nil {
		return err
	}
	var addr hub.Address
	known := false
	if channel, ok := r.local(name); ok {
		addr, known = r.subs.lookup(channel)
	}
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
	return r.body(hub.Address(channel), known)
}

// local cuts the prefix of the installation off.
func (r *receiver) local(channel []byte) ([]byte, bool) {
	if len(channel) < len(r.prefix) || string(channel[:len(r.prefix)]) != r.prefix {
		return nil, false
	}
	return channel[len(r.prefix):], true
}

func (r *receiver) body(addr hub.Address, known bool) error {
	n, err := r.reader.length('$')
	if err != nil {
		return err
	}
	if !known || n > r.limit {
		if err := r.reader.skip(n); err != nil || !known {
			return err
		}
		r.metrics.oversized()
		r.sink.Oversize(addr, int64(n))
		return nil
	}
	body, err := r.reader.body(n)
	if err != nil {
		return err
	}
	r.metrics.receivedOne()
	r.sink.Message(addr, body)
	return nil
}

func (r *receiver) acknowledgement() error {
	name, err := r.reader.name()
	if err != nil {
		return err
	}
	var calls callbacks
	if channel, ok := r.local(name); ok {
		calls = r.subs.acknowledged(channel)
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
