// Package phoenixtest has two clients for tests of a Phoenix server.
//
// A [Client] speaks whole messages, as a well-behaved client does: it sends frames and says which frames must come back.
// A [Raw] speaks HTTP and WebSocket frames by hand, for handshakes and for frames that no library would send.
//
// Both belong to the goroutine of one test and end with it. Methods that say so may be called from others.
package phoenixtest
