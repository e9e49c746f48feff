package redisbroker

import (
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

// members is the set of the connections that joined topic.
func (k keys) members(topic string) string { return k.prefix + "{" + topic + "}:members" }

// index is the hash of all that this pod entered into sets: field by [indexField], value the join ref.
func (k keys) index() string { return k.indexOf(k.pod) }

// indexOf is the index of any pod.
func (k keys) indexOf(pod string) string { return k.prefix + "pod:" + pod + ":members" }

// pods is the sorted set of all pods, by the end of their leases in milliseconds.
func (k keys) pods() string { return k.prefix + "pods" }

// claim says who sweeps pod, and until when.
func (k keys) claim(pod string) string { return k.prefix + "pod:" + pod + ":sweep" }

// pushes is the stream of what clients push.
func (k keys) pushes() string { return k.prefix + "pushes" }

// indexField names a member in the index of its pod. Connection ids have no space, topics may.
func indexField(m hub.Member) string { return m.Connection + " " + m.Topic }

// parseIndexField is the way back from [indexField].
func parseIndexField(field string) (hub.Member, bool) {
	connection, topic, ok := strings.Cut(field, " ")
	return hub.Member{Connection: connection, Topic: topic}, ok
}

var globEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

// url holds the base URL of a pod's client port.
func (k keys) url(pod string) string { return k.prefix + "pod:" + pod + ":url" }

// secret holds what pods sign with.
func (k keys) secret() string { return k.prefix + "secret" }

// ban is there while a socket id may not connect.
func (k keys) ban(id string) string { return k.prefix + "ban:" + id }
