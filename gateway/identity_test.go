package gateway_test

import (
	"context"
	"net/http"
	"testing"

	"roost/auth"
	"roost/gateway"
	"roost/hub"
)

// The address of a socket id is subscribed while a connection has it, whatever carries the connection.
func TestSocketIDIsLetGo(t *testing.T) {
	b := &backend{connect: func(context.Context, *auth.Client) (*auth.ConnectAnswer, error) {
		return &auth.ConnectAnswer{ID: "user:1"}, nil
	}}
	p := startPod(t, b)
	listening := func() bool { return p.memory.Publish(hub.IDAddress("user:1"), []byte(`{"event":"other"}`)) == 1 }
	for range 3 {
		socket := p.dial()
		p.polling() // a long-poll session
		if !listening() {
			t.Fatal("nobody listens to the socket id of two connections")
		}
		socket.Drop()
		p.publish("id:user:1", `{"event":"disconnect"}`)
		eventually(t, "end of the subscription", func() bool { return !listening() })
	}
}

// What pretends to have been passed on by a pod, and has no token of ours, opens no session.
func TestForgedHopOpensNothing(t *testing.T) {
	p := startPod(t, &backend{}, func(c *gateway.Config) { c.Origins, _ = gateway.ParseOrigins("false") })
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.addr+"/socket/longpoll?vsn=2.0.0", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Roost-Hop", "forged")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body := make([]byte, 64)
	n, _ := answer.Body.Read(body)
	if got, want := string(body[:n]), `{"status":500}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	http.DefaultClient.CloseIdleConnections()
}
