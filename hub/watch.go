package hub

import (
	"slices"
	"sync"
)

// watcher wants to know what the backend does to a socket id.
type watcher struct {
	ended func()
}

// Watch calls ended each time when the backend disconnects id or ends a channel of it, by the id's own address, and when
// that may have been missed. The pod listens to the id until stop is called, whether it has a connection of it or not. Watch,
// stop and ended do not block. ended may be called once more after stop.
func (h *Hub) Watch(id string, ended func()) (stop func()) {
	w := &watcher{ended}
	h.peersMu.Lock()
	defer h.peersMu.Unlock()
	i := h.identity(id)
	i.watchers = append(i.watchers, w)
	h.cfg.Broker.Subscribe(i.addr, nil)
	return sync.OnceFunc(func() {
		h.peersMu.Lock()
		defer h.peersMu.Unlock()
		i := h.ids[id]
		i.watchers = slices.DeleteFunc(i.watchers, func(o *watcher) bool { return o == w })
		h.letGo(id, i)
	})
}

// identity returns what is known of a socket id. The caller holds peersMu.
func (h *Hub) identity(id string) *identity {
	i := h.ids[id]
	if i == nil {
		i = &identity{addr: IDAddress(id)}
		h.ids[id] = i
	}
	return i
}

// letGo forgets a socket id that nobody here needs. The caller holds peersMu.
func (h *Hub) letGo(id string, i *identity) {
	if len(i.peers) == 0 && len(i.watchers) == 0 {
		delete(h.ids, id)
		h.cfg.Broker.Unsubscribe(i.addr)
	}
}

// tellWatchers says that something of the socket id at addr was ended.
func (h *Hub) tellWatchers(addr Address) {
	h.peersMu.RLock()
	var told []*watcher
	if i := h.ids[idOf(addr)]; i != nil {
		told = slices.Clone(i.watchers)
	}
	h.peersMu.RUnlock()
	for _, w := range told {
		w.ended()
	}
}

// tellAllWatchers says that something may have been ended and nobody heard of it.
func (h *Hub) tellAllWatchers() {
	h.peersMu.RLock()
	var told []*watcher
	for _, i := range h.ids {
		told = append(told, i.watchers...)
	}
	h.peersMu.RUnlock()
	for _, w := range told {
		w.ended()
	}
}
