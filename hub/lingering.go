package hub

import (
	"slices"
	"sync"
	"time"
)

// lingering are members whose connections have ended, and that are shown for Config.PresenceGrace all the same.
type lingering struct {
	mu   sync.Mutex
	list []lingerer
}

type lingerer struct {
	member Member
	until  time.Time
}

// put adds m, as it is left: in no membership set, and with nothing to be told.
func (l *lingering) put(m Member, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := Member{Topic: m.Topic, Connection: m.Connection, Unlisted: true, Tracked: true, Presence: m.Presence, Lingers: true}
	l.list = append(l.list, lingerer{left, until})
}

// over takes out those whose time is over, as members to be removed for good.
func (l *lingering) over(now time.Time) (gone []Member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = slices.DeleteFunc(l.list, func(one lingerer) bool {
		if !now.After(one.until) {
			return false
		}
		one.member.Lingers = false
		gone = append(gone, one.member)
		return true
	})
	return gone
}

// all returns those that linger.
func (l *lingering) all() (list []Member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.list {
		list = append(list, one.member)
	}
	return list
}
