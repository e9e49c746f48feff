// Package redisbroker spells the seams of package hub in Redis: publish and subscribe, the membership sets, and the
// stream of pushes. No other package knows a Redis key or command.
//
// # Acknowledged
// A subscription is confirmed when Redis has acknowledged it on the link that stands now (hubtest: "subscribe ack").
//
// # Order
// Messages reach the sink in Redis's order. Publishes to one address leave in the order of the calls, and are never sent
// twice (hubtest: "order of publishers").
//
// # Loss
// The link is restored for ever, and all that was subscribed stands again before the sink is told that it is up
// (TestRedisRestart). A link that is open but silent is replaced (TestRedisStopped, TestHalfOpen), and so is one to a server
// that answers and that nobody publishes to any more (TestDeafLink). With sharded pub/sub in a cluster the loss of one link, or
// the move of a slot, is a gap of the addresses concerned alone (TestShardedFailover, TestShardedSlotMoves).
//
// # Bounds
// No call blocks. What waits for Redis is bounded by number and bytes (TestPublishQueueIsBounded); a message that is too
// large is thrown away while it is read (TestOversize).
//
// # Membership
// Every entry of a set is also in the index of its pod, before it is in the set and until it is out of it. What could not
// be written is made good when Redis is back (TestRosterIsReconciled), and so is what a master lost that was a replica, was started
// again or was emptied (TestMasterLosesItsData, TestLostRemoval). What Redis refuses for one topic concerns no other (TestTopicsThatCannotBeChanged).
//
// # Leases
// A pod holds a lease before it enters anything. When the lease has run out, one of the other pods takes back what it
// entered (TestSweep), goes on where a sweeper died (TestSweepIsResumed), and never removes what a pod that came back entered
// again (TestSweepLosesItsClaim, TestPodComesBackDuringItsSweep). A clean end leaves nothing to sweep but
// notices that were not taken and members that linger (TestCleanEnd).
//
// # Notices
// What the backend is to be told of an end is in the index until it is in the pod's stream, and there until the courier has got rid
// of it, in order (TestNoticeIsKept). Who sweeps a pod takes its stream over and makes notices of its index (TestSweepTells).
package redisbroker
