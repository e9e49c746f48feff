package redisbroker

import (
	"strconv"
	"strings"

	"roost/hub"
)

// keys spells the names of one installation.
type keys struct {
	prefix string
	pod    string
}

// channel is the publish channel of addr.
func (k keys) channel(addr hub.Address) string { return k.prefix + string(addr) }

// conns is the pattern of the publish channels of this pod's connections.
func (k keys) conns() string {
	return globEscaper.Replace(k.channel(hub.ConnAddress(k.pod+"."))) + "*"
}

// probe is the publish channel of this pod's messages to itself, the nth of many. Connection ids have no dash behind the dot.
// Numbered ones are spread over the slots of a cluster.
func (k keys) probe(n int) string {
	name := k.channel(probeAddress(k.pod))
	if n > 0 {
		name += "." + strconv.Itoa(n)
	}
	return name
}

// probeAddress is how the addresses of a pod's messages to itself begin.
func probeAddress(pod string) hub.Address { return hub.ConnAddress(pod + ".-probe") }

// order is a key in the slot whose master carries what is published to addr. A topic's messages go the way of its keys, so
// that they keep one order with what a script publishes that changes these.
func (k keys) order(addr hub.Address) string {
	if topic, found := strings.CutPrefix(string(addr), string(hub.TopicAddress(""))); found {
		return k.members(topic)
	}
	return k.channel(addr)
}

// isSharded tells whether addr is published with SPUBLISH where anything is. Connections share a pattern, which shards
// do not have.
func isSharded(addr hub.Address) bool {
	return !strings.HasPrefix(string(addr), string(hub.ConnAddress("")))
}

// members is the set of the connections that joined topic.
func (k keys) members(topic string) string { return k.prefix + "{" + topic + "}:members" }

// presence is the hash of who is shown in topic, and shownVersion the number of its changes.
func (k keys) presence(topic string) string     { return k.prefix + "{" + topic + "}:presence" }
func (k keys) shownVersion(topic string) string { return k.prefix + "{" + topic + "}:presence_version" }

// torn tells whether the keys of topic are in different slots of a cluster, where no script can change both: a tag that is empty,
// or begins with }, is none.
func (k keys) torn(topic string) bool {
	return slotOf(k.presence(topic)) != slotOf(k.shownVersion(topic))
}

// index is the hash of all that this pod entered into sets: field by [indexField], value the join ref.
func (k keys) index() string { return k.indexOf(k.pod) }

// indexOf is the index of any pod.
func (k keys) indexOf(pod string) string { return k.prefix + "pod:" + pod + ":members" }

// pods is the sorted set of all pods, by the end of their leases in milliseconds.
func (k keys) pods() string { return k.prefix + "pods" }

// claim says who sweeps pod, and until when.
func (k keys) claim(pod string) string { return k.prefix + "pod:" + pod + ":sweep" }

// notices is the stream of what the backend is yet to be told by pod.
func (k keys) notices(pod string) string { return k.prefix + "pod:" + pod + ":notices" }

// told is there if the backend was told that what pod entered is gone.
func (k keys) told(pod string) string { return k.prefix + "pod:" + pod + ":told" }

// pushes is the stream of what clients push.
func (k keys) pushes() string { return k.prefix + "pushes" }

// indexField names an entry in the index of its pod. Connection ids have no space, topics may.
func indexField(m hub.Member) string {
	if m.Bare {
		return m.Connection
	}
	return m.Connection + " " + m.Topic
}

// recordMark tells a record in the index from a join ref, which is JSON.
const recordMark = "notice "

// indexValue is what stands at an entry in the index.
func indexValue(m hub.Member) string {
	if m.Notice.Record == "" {
		return m.JoinRef
	}
	return recordMark + m.Notice.Record
}

// parseEntry is the way back from [indexField] and [indexValue]. Of a member with a record the join ref is not known.
func parseEntry(field, value string) hub.Member {
	var m hub.Member
	var found bool
	m.Connection, m.Topic, found = strings.Cut(field, " ")
	m.Bare = !found
	if record, found := strings.CutPrefix(value, recordMark); found {
		m.Notice.Record = record
	} else {
		m.JoinRef = value
	}
	return m
}

// listed tells whether m is in a membership set.
func listed(m hub.Member) bool { return !m.Bare && !m.Unlisted }

// noticeID is the id of a notice, which its record begins with.
func noticeID(record string) string {
	id, _, _ := strings.Cut(record, " ")
	return id
}

var globEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

// marker is the nth of the keys by which is noticed that a master has lost its data. In a cluster they are spread over the slots.
func (k keys) marker(n int) string { return k.prefix + "marker:" + strconv.Itoa(n) }

// url holds the base URL of a pod's client port.
func (k keys) url(pod string) string { return k.prefix + "pod:" + pod + ":url" }

// secret holds what pods sign with.
func (k keys) secret() string { return k.prefix + "secret" }

// ban is there while a socket id may not connect.
func (k keys) ban(id string) string { return k.prefix + "ban:" + id }
