package hub

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// defaultSpread is how long it takes to end what the backend believes to be gone, where Config.ResyncSpread is off.
const defaultSpread = 10 * time.Second

// Returned implements [Returner].
func (s *sink) Returned() {
	select {
	case s.returned <- struct{}{}:
	default:
	}
}

// comeBack waits until the other pods had taken this one for dead. The backend has been told that its members are gone, so their
// channels end with phx_error, or their connections close if it has been told that they are gone, too: clients join again, and
// the backend is asked anew. It runs until ctx ends.
func (h *Hub) comeBack(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.returned:
		}
		spread := h.cfg.ResyncSpread
		if spread <= 0 {
			spread = defaultSpread
		}
		h.peersMu.RLock()
		peers := slices.Collect(maps.Values(h.peers))
		h.peersMu.RUnlock()
		h.cfg.Logger.Warn("other pods had taken this one for dead, clients join again", "pod", h.cfg.PodID, "connections", len(peers), "within", spread.String())
		rand.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
		start := time.Now()
		for i, p := range peers {
			if wait := time.Until(start.Add(spread * time.Duration(i) / time.Duration(len(peers)))); wait > time.Millisecond {
				select {
				case <-ctx.Done():
					return
				case <-time.After(wait):
				}
			}
			startOver(p)
		}
	}
}

// startOver ends of p what the backend was told has ended.
func startOver(p Peer) {
	var told []Member
	p.Members(func(m Member) bool {
		if m.Notice.Record != "" {
			told = append(told, m)
		}
		return true
	})
	for _, m := range told {
		if m.Bare {
			p.Disconnect()
			return
		}
		p.EndChannel(m.Topic, true)
	}
}
