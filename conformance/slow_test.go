package conformance_test

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"roost/phoenix/phoenixtest"
)

// TestSlowClient is BAD11: a client that never reads is closed, all others get everything.
func TestSlowClient(t *testing.T) {
	t.Parallel()
	p := sharedPod(t, "socket")
	bystander(t, p, lab.redis)
	reader := dial(t, p, "vsn=2.0.0").joined()
	remote := reader.beside(sharedPod(t, "second"), "vsn=2.0.0").joined()
	connection := deaf(t, p, reader.topic)
	t.Run("BAD11 50 MB for a client that never reads", func(t *testing.T) {
		filler := strings.Repeat("x", 100_000)
		for i := range 500 {
			body := fmt.Sprintf(`{"i":%d,"x":"%s"}`, i, filler)
			reader.publish(`{"event":"e","payload":` + body + `}`)
			reader.want(`[null,null,$T,"e",` + body + `]`)
			remote.want(`[null,null,$T,"e",` + body + `]`)
		}
		reader.wantLeft(connection, "deaf", "slow")
		eventually(t, func() error {
			if reader.isMember(connection) {
				return fmt.Errorf("%s is still a member", connection)
			}
			return nil
		})
		reader.Quiet()
	})
}

// deaf joins a topic over a connection that is never read again, and returns its id.
func deaf(t *testing.T, p *pod, topic string) (connection string) {
	t.Helper()
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.(*net.TCPConn).SetReadBuffer(4096)
	r, err := phoenixtest.Ask(t, conn, p.addr, phoenixtest.Request{Target: p.path("vsn=2.0.0")})
	if err != nil {
		t.Fatal(err)
	}
	r.Send(text(`["deaf","1",` + quote(topic) + `,"phx_join",{}]`))
	r.Want(phoenixtest.OpText, `["deaf","1",`+quote(topic)+`,"phx_reply",{"status":"ok","response":{"got":{}}}]`)
	found := lab.backend.seen(topic, func(k call) bool { return joins(k) && string(k.Data.JoinRef) == `"deaf"` })
	return found[len(found)-1].Data.Connection
}
