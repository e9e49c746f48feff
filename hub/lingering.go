package hub

import (
	"sync"
	"time"
)

// lingering are members that have left and are shown for Config.PresenceGrace all the same.
type lingering struct {
	mu    sync.Mutex
	byKey map[lingerKey]lingerer
}

type lingerKey struct{ topic, connection string }

type lingerer struct {
	member Member
	until  time.Time
}

// put adds m, as it is left: in no membership set, and with nothing to be told.
func (l *lingering) put(m Member, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byKey == nil {
		l.byKey = map[lingerKey]lingerer{}
	}
	left := Member{Topic: m.Topic, Connection: m.Connection, Unlisted: true, Tracked: true, Presence: m.Presence, Lingers: true}
	l.byKey[lingerKey{m.Topic, m.Connection}] = lingerer{left, until}
}

// remove takes out the member that has come back over the same connection.
func (l *lingering) remove(m Member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byKey, lingerKey{m.Topic, m.Connection})
}

// over takes out those whose time is over, as members to be removed for good.
func (l *lingering) over(now time.Time) (gone []Member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, one := range l.byKey {
		if now.After(one.until) {
			one.member.Lingers = false
			gone = append(gone, one.member)
			delete(l.byKey, key)
		}
	}
	return gone
}

// all returns those that linger.
func (l *lingering) all() (list []Member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.byKey {
		list = append(list, one.member)
	}
	return list
}
