package gateway

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"roost/auth"
)

// maxStrangers is of how many addresses a pod remembers how often they came. Beyond it, those that were away longest are
// forgotten, and begin anew.
const maxStrangers = 1 << 16

// door lets handshakes in as far as the limits allow. It knows who is inside and how often they come.
type door struct {
	limits                     Limits
	connects, perIP, perIPFail meter
	off                        bool // nothing is limited
	began                      time.Time

	mu        sync.Mutex
	pace      bucket
	inside    int
	byIP      map[netip.Addr]int
	byID      map[string]int
	strangers *simplelru.LRU[netip.Addr, stranger]
}

// stranger is how often an address came, and how often it was refused.
type stranger struct{ came, failed bucket }

func newDoor(l Limits) *door {
	d := &door{
		limits: l, connects: l.Connects.meter(0), perIP: l.ConnectsPerIP.meter(0), perIPFail: l.FailuresPerIP.meter(0),
		began: time.Now(), byIP: map[netip.Addr]int{}, byID: map[string]int{},
	}
	d.strangers, _ = simplelru.NewLRU[netip.Addr, stranger](maxStrangers, nil) // fails for no room only
	d.off = l.Connections == 0 && l.ConnectionsPerIP == 0 && l.ConnectionsPerID == 0 &&
		d.connects.step == 0 && d.perIP.step == 0 && d.perIPFail.step == 0
	return d
}

// place is one connection's share of the limits, from the beginning of its handshake on.
type place struct {
	ip   netip.Addr
	id   string
	held bool // by a handshake; a connection gives it back by what its client says
}

// household returns what counts as one client: an IPv4 address, or the network of an IPv6 one.
func household(ip netip.Addr) netip.Addr {
	if !ip.Is6() || ip.Is4In6() {
		return ip.Unmap()
	}
	network, err := ip.Prefix(64)
	if err != nil {
		return ip
	}
	return network.Addr()
}

// admit gives a handshake a place, or says why there is none. It is asked before anything else about the request is looked at.
func (g *Gateway) admit(r *http.Request) (place, error) {
	d := g.door
	if d.off {
		return place{}, nil
	}
	var p place
	if d.limits.ConnectionsPerIP > 0 || d.perIP.step > 0 || d.perIPFail.step > 0 {
		p.ip = household(g.peer(r))
	}
	l, wait := d.enter(&p)
	if l == nil {
		return p, nil
	}
	g.limited(l, "ip", p.ip.String())
	no := &rejection{status: http.StatusTooManyRequests, body: "too many connections", reason: l.kind, wait: max(wait, time.Second)}
	if l == limitConnects || l == limitConnections {
		no.status = http.StatusServiceUnavailable
	}
	return place{}, no
}

// enter takes a place, or returns the limit that is in the way and how long it is. An address that comes too often is
// stopped before it uses up what is there for all.
func (d *door) enter(p *place) (*limit, time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Since(d.began)
	if l, wait := d.greet(p.ip, now); l != nil {
		return l, wait
	}
	if d.connects.step > 0 && !d.pace.take(d.connects, now) {
		return limitConnects, d.pace.wait(d.connects, now)
	}
	if most := d.limits.Connections; most > 0 && d.inside >= most {
		return limitConnections, 0
	}
	if most := d.limits.ConnectionsPerIP; most > 0 && p.ip.IsValid() {
		if d.byIP[p.ip] >= most {
			return limitConnectionsPerIP, 0
		}
		d.byIP[p.ip]++
	}
	d.inside++
	p.held = true
	return nil, 0
}

// greet counts that an address came. The caller holds mu.
func (d *door) greet(ip netip.Addr, now time.Duration) (*limit, time.Duration) {
	if !ip.IsValid() || d.perIP.step == 0 && d.perIPFail.step == 0 {
		return nil, 0
	}
	s, _ := d.strangers.Get(ip)
	if d.perIPFail.step > 0 {
		if wait := s.failed.wait(d.perIPFail, now); wait > 0 {
			return limitFailures, wait
		}
	}
	if d.perIP.step == 0 {
		return nil, 0
	}
	if !s.came.take(d.perIP, now) {
		return limitConnectsPerIP, s.came.wait(d.perIP, now)
	}
	d.strangers.Add(ip, s)
	return nil, 0
}

// name tells the door which socket id the backend has given, and whether there may be one more of it.
func (g *Gateway) name(p *place, client *auth.Client) error {
	d := g.door
	if d.limits.ConnectionsPerID == 0 || client.ID == "" {
		return nil
	}
	d.mu.Lock()
	full := d.byID[client.ID] >= d.limits.ConnectionsPerID
	if !full {
		d.byID[client.ID]++
		p.id = client.ID
	}
	d.mu.Unlock()
	if !full {
		return nil
	}
	g.limited(limitConnectionsPerID, "id", client.ID)
	g.disconnected(client, auth.ReasonError) // the backend has accepted it
	return &rejection{status: http.StatusTooManyRequests, body: "too many connections", reason: limitConnectionsPerID.kind, wait: time.Second}
}

// blame counts a handshake that failed by the client's fault.
func (g *Gateway) blame(p *place, err error) {
	d, no := g.door, rejectionOf(err)
	if d.perIPFail.step == 0 || !p.held || !p.ip.IsValid() || no.status >= http.StatusInternalServerError || no.wait > 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s, _ := d.strangers.Get(p.ip)
	s.failed.take(d.perIPFail, time.Since(d.began))
	d.strangers.Add(p.ip, s)
}

// keep makes a place a connection's.
func (p *place) keep() { p.held = false }

// release gives back a place that no connection has taken.
func (d *door) release(p *place) {
	if p.held {
		p.held = false
		d.leave(p.ip, p.id)
	}
}

// depart gives back the place of a connection.
func (d *door) depart(client *auth.Client) {
	if d.off {
		return
	}
	var ip netip.Addr
	if d.limits.ConnectionsPerIP > 0 {
		ip, _ = netip.ParseAddr(client.RemoteIP)
	}
	d.leave(household(ip), client.ID)
}

func (d *door) leave(ip netip.Addr, id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inside--
	lower(d.byIP, ip)
	lower(d.byID, id)
}

// lower counts one less.
func lower[K comparable](counts map[K]int, k K) {
	switch n := counts[k]; n {
	case 0:
	case 1:
		delete(counts, k)
	default:
		counts[k] = n - 1
	}
}
