package main

import (
	"context"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"roost/phoenix/phoenixtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs the program and returns the URL of its sockets, vsn=1.0.0.
func start(t *testing.T, ping time.Duration) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- serve(ctx, listener, ping) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("serve: got %v, want nil", err)
		}
	})
	return "ws://" + listener.Addr().String() + "/socket/websocket?vsn=1.0.0"
}

func TestChat(t *testing.T) {
	url := start(t, time.Hour)
	ann := phoenixtest.Dial(t, url, nil)
	ann.Send(`{"topic":"rooms:lobby","event":"phx_join","payload":{"user":"ann"},"ref":"1"}`)
	ann.Want(
		`{"topic":"rooms:lobby","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"1"}`,
		`{"topic":"rooms:lobby","event":"join","payload":{"status":"connected"},"ref":null}`,
		`{"topic":"rooms:lobby","event":"user:entered","payload":{"user":"ann"},"ref":null}`)

	bob := phoenixtest.Dial(t, url, nil)
	bob.Send(`{"topic":"rooms:lobby","event":"phx_join","payload":{"user":"bob"},"ref":"1"}`)
	bob.Want(
		`{"topic":"rooms:lobby","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"1"}`,
		`{"topic":"rooms:lobby","event":"join","payload":{"status":"connected"},"ref":null}`,
		`{"topic":"rooms:lobby","event":"user:entered","payload":{"user":"bob"},"ref":null}`)
	ann.Want(`{"topic":"rooms:lobby","event":"user:entered","payload":{"user":"bob"},"ref":null}`)

	bob.Send(`{"topic":"rooms:lobby","event":"new:msg","payload":{"user":"bob","body":"hi"},"ref":"2"}`)
	const said = `{"topic":"rooms:lobby","event":"new:msg","payload":{"user":"bob","body":"hi"},"ref":null}`
	ann.Want(said)
	bob.Want(said, `{"topic":"rooms:lobby","event":"phx_reply","payload":{"status":"ok","response":{"msg":"hi"}},"ref":"2"}`)
}

func TestOtherRoomsAreRefused(t *testing.T) {
	client := phoenixtest.Dial(t, start(t, time.Hour), nil)
	client.Send(`{"topic":"rooms:secret","event":"phx_join","payload":{},"ref":"1"}`)
	client.Want(`{"topic":"rooms:secret","event":"phx_reply","payload":{"status":"error","response":{"reason":"unauthorized"}},"ref":"1"}`)
}

func TestSystemSpeaks(t *testing.T) {
	client := phoenixtest.Dial(t, start(t, 50*time.Millisecond), nil)
	client.Send(`{"topic":"rooms:lobby","event":"phx_join","payload":{"user":"ann"},"ref":"1"}`)
	client.Want(`{"topic":"rooms:lobby","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"1"}`)
	const ping = `{"topic":"rooms:lobby","event":"new:msg","payload":{"user":"SYSTEM","body":"ping"},"ref":null}`
	for {
		if m := client.Next(); phoenixtest.Same(m, ping) {
			return
		}
	}
}
