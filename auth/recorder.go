package auth

// A Recorder writes notices down before their time, so that they can wait outside the pod and be sent by another one if this
// one dies. What it writes is a record: it begins with the id of the notice and a space, and holds everything but the reason.
// The id is the same whoever tells of that end. Both methods return "" if nobody is to be told.
type Recorder interface {
	RecordLeave(n *LeaveNotice) string
	RecordDisconnect(n *DisconnectNotice) string
}
