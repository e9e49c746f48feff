package gateway

import "time"

// Limits bound what clients may take of a pod. The zero value of a field sets no limit, unless it says otherwise. IPv6
// addresses count by their /64, which is what one client has.
type Limits struct {
	Connections      int // of the pod, handshakes under way included: 503
	ConnectionsPerIP int // of one address, on this pod: 429
	ConnectionsPerID int // of one socket id, on this pod: 429

	Connects      Rate // handshakes of the pod: 503
	ConnectsPerIP Rate // handshakes of one address: 429
	FailuresPerIP Rate // handshakes of one address that were refused: after that, 429 for all

	// RefusalMemory is how long the backend is not asked again about a connect that it has refused with 401 or 403.
	RefusalMemory time.Duration

	Messages Rate // of one connection; at once at least Config.MaxChannels: error reply, and 1008 for a client that goes on
	Joins    Rate // likewise; joins are messages, too

	MaxTopic   int // bytes of a topic: error reply. Default: 1 KiB
	MaxEvent   int // bytes of an event's name: error reply. Default: 1 KiB
	MaxPayload int // bytes of a payload: error reply
}

// limit names a limit: in the metric, in the log, and where it is set.
type limit struct{ kind, text, setting string }

// newLimit returns the limit of a kind. What is logged is sampled by its text, so each has one of its own.
func newLimit(kind, setting string) *limit {
	return &limit{kind, "limit reached: " + kind, setting}
}

// All limits whose effects are counted in roost_limited_total.
var (
	limitConnections      = newLimit("connections", "ROOST_MAX_CONNECTIONS")
	limitConnectionsPerIP = newLimit("connections_per_ip", "ROOST_MAX_CONNECTIONS_PER_IP")
	limitConnectionsPerID = newLimit("connections_per_id", "ROOST_MAX_CONNECTIONS_PER_ID")
	limitConnects         = newLimit("connect_rate", "ROOST_CONNECT_RATE")
	limitConnectsPerIP    = newLimit("connect_rate_per_ip", "ROOST_CONNECT_RATE_PER_IP")
	limitFailures         = newLimit("failed_connects_per_ip", "ROOST_FAILED_CONNECT_RATE_PER_IP")
	limitRefusals         = newLimit("refused_again", "ROOST_REFUSAL_MEMORY")
	limitMessages         = newLimit("messages", "ROOST_MESSAGE_RATE")
	limitJoins            = newLimit("joins", "ROOST_JOIN_RATE")
	limitChannels         = newLimit("channels", "ROOST_MAX_CHANNELS")
	limitTopic            = newLimit("topic", "ROOST_MAX_TOPIC_SIZE")
	limitEvent            = newLimit("event", "ROOST_MAX_EVENT_SIZE")
	limitPayload          = newLimit("payload", "ROOST_MAX_PAYLOAD_SIZE")
	limitInbox            = newLimit("inbox", "ROOST_INBOX_LIMIT")
	limitPost             = newLimit("post", "ROOST_MAX_MESSAGE_SIZE")
)

// limited counts and logs that a limit was reached. more says whose it was.
func (g *Gateway) limited(l *limit, more ...any) {
	g.metrics.limited.WithLabelValues(l.kind).Inc()
	g.cfg.Logger.Warn(l.text, append([]any{"setting", l.setting}, more...)...)
}
