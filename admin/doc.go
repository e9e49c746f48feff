// Package admin serves the people and machines that look after a pod: health checks, metrics and the HTTP API. It belongs on a port of
// its own, which clients cannot reach.
//
// # Alive or ready
// /livez, and its other name /healthz, says that the process answers. It asks nothing else: a pod that lost Redis must
// not be restarted for it, because its sockets live on. /readyz says whether new clients should be sent here.
package admin
