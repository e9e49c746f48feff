// Package webhook asks a backend over HTTP: an [auth.Backend] for applications in any language. What it sends and what it
// takes as an answer is in docs/webhook.md.
//
// # Bytes pass through
// Payloads, refs, params and assigns are written into requests, and cut out of answers, byte for byte (TestRequests,
// TestAnswers).
//
// # Deadline
// Config.Timeout covers the wait in line and the call (TestDeadlineCoversTheLine). No more than Config.MaxInFlight calls
// run at once (TestInFlightCap). A call whose context ends leaves the line, and its request is cancelled
// (TestCancelReachesTheServer).
//
// A call that would begin too late to be answered is not made (TestNoCallThatWouldBeTooLate).
//
// # Trouble
// A connect or join whose connection failed is asked again, with the same id (TestBrokenConnections). A backend that fails too
// often is left alone for a while (TestBreakerOpensAndCloses), also by those in line (TestBreakerEmptiesTheLine). Connections
// are kept, as many as calls may run (TestConnectionsAreKept).
//
// # Backends
// Topics whose rule has a backend are asked there, and no backend's trouble is another's (TestBackendsOfRules,
// TestBackendsFailAlone). TLS files may change while the client runs (TestTLS).
//
// # Joins that are not asked about
// Only joins of one socket id share anything. Equal ones under way share a call, which lives while anybody wants it
// (TestEqualJoinsShareACall, TestSharedCallLivesWhileAnybodyWantsIt). What is remembered of a socket id is bounded
// (TestMemoryIsBounded), and dropped when the backend ends a connection or channel of it (TestForgottenWhileItIsAsked,
// TestWatchDropsWhatIsRemembered).
//
// # Bad answers
// A "no" is an [auth.Refusal]; whatever else is not an answer is another error, whose text never holds what the backend
// sent (TestBadAnswers). An answer is read only as far as Config.MaxAnswerSize (TestHugeAnswer).
//
// # Notices
// Leaves and disconnects are sent until the backend takes them or they are too old, with the same id and body (TestNoticeRetry),
// in order per connection (TestNoticeOrder), and no faster than Config.NoticeRate (TestNoticeRate). One connection's trouble does not hold up another's
// (TestNoticeTroubleStaysLocal), and all notices together never use more than a part of the calls in flight
// (TestNoticesLeaveRoom). A pod that stops sends what it can in Config.FlushTimeout (TestFlush).
//
// What is handed over with [Client.Leave] waits in memory, and a pod that crashes loses it. What is recorded, kept elsewhere and
// offered survives: the id of an end is the same whoever tells it (TestNoticeID), what there is no room for is not accepted
// (TestOffer), and what has been taken need not be kept (TestOffer).
package webhook
