// Package hub connects the members of one pod with the messages of all pods.
//
// It knows members (one connection joined to one topic), not sockets, and a [Broker], not Redis.
//
// # Order
// Broadcasts of one topic reach every member in the order the Broker delivered them, whichever worker carries them
// (TestOrder).
//
// # No gap behind a join
// [Hub.Join] returns only when the Broker has confirmed the subscription and the Roster the entry: what is published
// after that reaches the member (TestNothingIsMissedAfterJoin).
//
// # Slow members
// Listeners must not block. The hub waits for none of them.
//
// # Loss
// Delivery is at most once. When the link to the broker was lost, members are told: their channels end with phx_error,
// spread out in time, so that clients join again (TestGap). If it is known whose messages may have been missed, only those
// are told (TestGapOfSome). What one worker cannot carry in time is bounded (Config.BacklogLimit); beyond it, the
// members concerned are ended with phx_error, so that they know of the gap (TestBacklogIsAGapNotSilence).
package hub
