package hub

import (
	"context"
	"hash/maphash"
	"slices"
	"strings"
	"time"
)

// A Peer is one connection of this pod. Its methods must not block.
type Peer interface {
	// Connection returns the connection id.
	Connection() string
	// Push sends an event to this connection's member of topic, if there is one.
	Push(topic, event string, payload []byte, binary bool)
	// EndChannel ends this connection's channel of topic, if there is one, as [Listener.End] does.
	EndChannel(topic string, crash bool)
	// Disconnect closes the connection because the backend said so.
	Disconnect()
	// Members calls yield for each entry that should be in the roster, until yield returns false, and returns what it
	// returned last. An entry is among them before Roster.Add is called for it, and no more when Roster.Remove is.
	Members(yield func(Member) bool) bool
}

// identity is a socket id that connections of this pod have, or that is watched.
type identity struct {
	addr     Address
	peers    []Peer
	watchers []*watcher
	asking
}

// Attach makes p reachable by its connection id and, unless id is empty, by that socket id. It blocks until the
// socket id is subscribed, if the link stands, but no longer than ctx.
func (h *Hub) Attach(ctx context.Context, p Peer, id string) {
	h.peersMu.Lock()
	h.peers[p.Connection()] = p
	if id == "" {
		h.peersMu.Unlock()
		return
	}
	i := h.identity(id)
	i.peers = append(i.peers, p)
	// Under the lock: Detach may not overtake it.
	if !h.Ready() {
		h.cfg.Broker.Subscribe(i.addr, nil) // the subscription comes with the link
		h.peersMu.Unlock()
		return
	}
	subscribed := i.confirm(h.cfg.Broker, i.addr)
	h.peersMu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	select {
	case <-subscribed.done:
	case <-ctx.Done():
	}
}

// Detach ends what Attach began. It does not block.
func (h *Hub) Detach(p Peer, id string) {
	h.peersMu.Lock()
	defer h.peersMu.Unlock()
	delete(h.peers, p.Connection())
	i := h.ids[id]
	if i == nil {
		return
	}
	if n := slices.IndexFunc(i.peers, func(o Peer) bool { return o.Connection() == p.Connection() }); n >= 0 {
		i.peers = slices.Delete(i.peers, n, n+1)
	}
	h.letGo(id, i)
}

// address carries out what was published to a socket id or a connection id.
func (h *Hub) address(addr Address, body []byte) {
	var e envelope
	if reason := e.decode(body); reason != "" {
		h.malformed(addr, reason)
		return
	}
	var act func(Peer)
	ends := true
	switch {
	case e.topic == "" && e.event == eventDisconnect:
		act = func(p Peer) { p.Disconnect() }
	case e.topic == "":
		h.malformed(addr, "no_topic")
		return
	case e.event == eventClose || e.event == eventError:
		act = func(p Peer) { p.EndChannel(e.topic, e.event == eventError) }
	default:
		ends = false
		act = func(p Peer) { p.Push(e.topic, e.event, e.payload, e.binary) }
	}
	// The same address always goes to the same worker, so its order holds.
	w := h.workers[maphash.String(h.seed, string(addr))%uint64(len(h.workers))]
	w.put(&w.direct, op{kind: opCall, call: func() {
		if ends {
			h.tellWatchers(addr)
		}
		for _, p := range h.lookUp(addr) {
			act(p)
		}
	}})
}

// lookUp returns the peers that addr names.
func (h *Hub) lookUp(addr Address) []Peer {
	h.peersMu.RLock()
	defer h.peersMu.RUnlock()
	if connection, found := strings.CutPrefix(string(addr), connPrefix); found {
		if p := h.peers[connection]; p != nil {
			return []Peer{p}
		}
		return nil
	}
	if i := h.ids[idOf(addr)]; i != nil {
		return slices.Clone(i.peers)
	}
	return nil
}

// idOf returns the socket id that addr names, if it is the address of one.
func idOf(addr Address) string { return strings.TrimPrefix(string(addr), idPrefix) }
