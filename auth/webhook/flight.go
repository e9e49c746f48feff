package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"sync"

	"roost/auth"
)

// flights are the joins under way of connections with a socket id. Equal ones share a call.
type flights struct {
	ask func(ctx context.Context, r *auth.JoinRequest, author func() *auth.JoinRequest) (*auth.Answer, error)

	metrics *metrics
	mu      sync.Mutex
	byKey   map[key]*flight
}

// flight is one call for all that wait for it. It lives as long as anybody does.
type flight struct {
	cancel  context.CancelCauseFunc
	done    chan struct{}
	waiting []*auth.JoinRequest
	author  *auth.JoinRequest // in whose words the backend is asked, once it is
	speaker *auth.JoinRequest // whose answer keeps the broadcasts
	answer  *auth.Answer
	err     error
}

// join asks about r, or waits for the answer to an equal join.
func (fs *flights) join(ctx context.Context, r *auth.JoinRequest) (*auth.Answer, error) {
	f := fs.board(ctx, r)
	select {
	case <-f.done:
		return f.answerTo(r)
	case <-ctx.Done():
	}
	late, last := fs.getOff(f, r, context.Cause(ctx))
	if last {
		<-f.done // it ends at once, and leaves nothing behind
		late = f.author == r
	}
	return nil, &failure{result: resultCanceled, err: context.Cause(ctx), late: late}
}

// board adds r to the flight of its like, which begins with the first.
func (fs *flights) board(ctx context.Context, r *auth.JoinRequest) *flight {
	k := flightKey(r)
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.byKey[k]; f != nil {
		f.waiting = append(f.waiting, r)
		fs.metrics.unasked(byFlight)
		return f
	}
	f := &flight{done: make(chan struct{}), waiting: []*auth.JoinRequest{r}}
	ctx, f.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	fs.byKey[k] = f
	go func() { // until the last one that waits has got off
		answer, err := fs.ask(ctx, r, func() *auth.JoinRequest { return fs.write(f, r) })
		fs.land(k, f, answer, err)
	}()
	return f
}

// write says in whose words the backend is asked: those of the first that still waits.
func (fs *flights) write(f *flight, last *auth.JoinRequest) *auth.JoinRequest {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.author = last
	if len(f.waiting) > 0 {
		f.author = f.waiting[0]
	}
	return f.author
}

// land ends the flight.
func (fs *flights) land(k key, f *flight, answer *auth.Answer, err error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.cancel(nil)
	if fs.byKey[k] == f {
		delete(fs.byKey, k)
	}
	f.answer, f.err = answer, err
	if f.speaker = f.author; !slices.Contains(f.waiting, f.author) && len(f.waiting) > 0 {
		f.speaker = f.waiting[0]
	}
	close(f.done)
}

// getOff takes r off the flight, and ends it if nobody is left. late tells that the backend was asked in r's words.
func (fs *flights) getOff(f *flight, r *auth.JoinRequest, cause error) (late, last bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.waiting = slices.DeleteFunc(f.waiting, func(o *auth.JoinRequest) bool { return o == r })
	if len(f.waiting) > 0 {
		return f.author == r, false
	}
	if k := flightKey(r); fs.byKey[k] == f {
		delete(fs.byKey, k) // the next one begins anew
	}
	f.cancel(cause)
	return false, true
}

// answerTo returns the answer as r gets it. One of all that waited broadcasts; and only the one whose words the backend has
// read can be one that the backend let in too late.
func (f *flight) answerTo(r *auth.JoinRequest) (*auth.Answer, error) {
	switch {
	case f.err != nil && f.author != r && errors.Is(f.err, auth.ErrLate):
		return nil, errors.New(f.err.Error())
	case f.err != nil || f.speaker == r:
		return f.answer, f.err
	}
	own := *f.answer
	own.Broadcasts = nil
	return &own, nil
}

// key names what is equal. It ends in the hash of all that must be.
type key struct {
	id    string
	topic string
	sum   [sha256.Size]byte
}

// Kinds of keys.
const (
	kindFlight = 'f'
	kindFresh  = 'n'
	kindCache  = 'c'
	kindStale  = 's'
)

// flightKey names joins that may share a call: those of one socket id with equal topic, payload and assigns. The rule is
// that of the topic. Those for which nothing that is remembered counts share it among themselves.
func flightKey(r *auth.JoinRequest) key {
	kind := byte(kindFlight)
	if r.Fresh {
		kind = kindFresh
	}
	return newKey(kind, r, r.Payload, r.Assigns)
}

// cacheKey names joins that a cached answer is for.
func cacheKey(r *auth.JoinRequest) key { return newKey(kindCache, r, r.Payload) }

// staleKey names joins that a yes holds for while the backend is down.
func staleKey(r *auth.JoinRequest) key { return newKey(kindStale, r) }

func newKey(kind byte, r *auth.JoinRequest, parts ...[]byte) key {
	k := key{id: r.Client.ID, topic: r.Topic}
	// Every part with its length, so that no two lists of parts are the same bytes.
	all := append(make([]byte, 0, 512), kind)
	for _, p := range parts {
		all = binary.AppendUvarint(all, uint64(len(p)))
		all = append(all, p...)
	}
	if r.Binary && len(parts) > 0 {
		all = append(all, "binary"...)
	}
	k.sum = sha256.Sum256(all)
	return k
}
