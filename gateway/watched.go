package gateway

// watched is something that a poller waits for.
type watched interface {
	// descriptor returns the file descriptor, the same one always.
	descriptor() int
	// readable is called by the poller, again and again while there is something to read or the other side is gone. It
	// does not block. It may use buf.
	readable(buf []byte)
}
