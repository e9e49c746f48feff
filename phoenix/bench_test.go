package phoenix_test

import (
	"strings"
	"testing"

	"roost/phoenix"
)

func BenchmarkDecode(b *testing.B) {
	kilobyte := `{"body":"` + strings.Repeat("x", 1000) + `"}`
	for _, c := range []struct {
		name   string
		v      phoenix.Version
		frame  string
		binary bool
	}{
		{"heartbeat/V1", phoenix.V1, `{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"12"}`, false},
		{"heartbeat/V2", phoenix.V2, `[null,"12","phoenix","heartbeat",{}]`, false},
		{"join/V1", phoenix.V1, `{"topic":"rooms:lobby","event":"phx_join","payload":{"token":"abc"},"ref":"3"}`, false},
		{"join/V2", phoenix.V2, `["3","3","rooms:lobby","phx_join",{"token":"abc"}]`, false},
		{"push 1 kB/V1", phoenix.V1, `{"topic":"rooms:lobby","event":"new:msg","payload":` + kilobyte + `,"ref":"3"}`, false},
		{"push 1 kB/V2", phoenix.V2, `["3","3","rooms:lobby","new:msg",` + kilobyte + `]`, false},
		{"push 1 kB/binary", phoenix.V2, clientPush("3", "4", "rooms:lobby", "new:msg", kilobyte), true},
	} {
		b.Run(c.name, func(b *testing.B) {
			frame := []byte(c.frame)
			b.ReportAllocs()
			b.SetBytes(int64(len(frame)))
			for b.Loop() {
				if _, err := c.v.Decode(frame, c.binary); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendBroadcast(b *testing.B) {
	for _, c := range []struct {
		name string
		v    phoenix.Version
		size int
	}{
		{"100 B/V1", phoenix.V1, 100},
		{"100 B/V2", phoenix.V2, 100},
		{"1 kB/V1", phoenix.V1, 1000},
		{"1 kB/V2", phoenix.V2, 1000},
	} {
		b.Run(c.name, func(b *testing.B) {
			payload := []byte(`{"body":"` + strings.Repeat("x", c.size-11) + `"}`)
			dst := make([]byte, 0, 2048)
			b.ReportAllocs()
			b.SetBytes(int64(len(payload)))
			for b.Loop() {
				c.v.AppendBroadcast(dst, "rooms:lobby", "new:msg", payload)
			}
		})
	}
}
