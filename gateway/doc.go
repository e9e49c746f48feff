// Package gateway serves clients: the handshake, connections, channels, and what waits to be sent to them.
//
// # Order
// All frames of one connection leave through its outbox in the order they were put there (TestOutboxOrder). A join reply
// is put before anything else of the new channel. Messages of one topic are worked off one after the other, different
// topics side by side, and heartbeats are answered at once.
//
// # Slow clients
// A client that does not read costs itself only: beyond Config.OutboxLimit it is closed with 1013.
//
// # Late answers
// Every call of the backend belongs to one join of one topic. A leave, another join or the end of the connection cancels
// it, and what comes too late is undone.
package gateway
