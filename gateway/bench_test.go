package gateway_test

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/gorilla/websocket"

	"roost/gateway"
	"roost/hub"
)

func silent(c *gateway.Config) { c.Logger = slog.New(slog.DiscardHandler) }

// bare is a client without anything around it.
func bare(b *testing.B, p *pod) *websocket.Conn {
	b.Helper()
	c, _, err := websocket.DefaultDialer.Dial(p.url("?vsn=2.0.0"), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	return c
}

// ask sends one frame and reads n.
func ask(b *testing.B, c *websocket.Conn, frame string, n int) {
	if err := c.WriteMessage(websocket.TextMessage, []byte(frame)); err != nil {
		b.Fatal(err)
	}
	for range n {
		if _, _, err := c.ReadMessage(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHeartbeat(b *testing.B) {
	c := bare(b, startPod(b, &backend{}, silent))
	b.ReportAllocs()
	for b.Loop() {
		ask(b, c, `[null,"1","phoenix","heartbeat",{}]`, 1)
	}
}

func BenchmarkJoinAndLeave(b *testing.B) {
	c := bare(b, startPod(b, &backend{}, silent))
	b.ReportAllocs()
	for b.Loop() {
		ask(b, c, `["1","1","room","phx_join",{}]`, 1)
		ask(b, c, `["1","2","room","phx_leave",{}]`, 2)
	}
}

func BenchmarkPush(b *testing.B) {
	c := bare(b, startPod(b, &backend{}, silent))
	ask(b, c, `["1","1","room","phx_join",{}]`, 1)
	b.ReportAllocs()
	for b.Loop() {
		ask(b, c, `["1","2","room","say",{"body":"hello"}]`, 1)
	}
}

// One broadcast to many sockets; an operation is over when all have read it.
func BenchmarkFanOut(b *testing.B) {
	for _, members := range []int{1, 100} {
		b.Run(fmt.Sprint(members), func(b *testing.B) {
			p := startPod(b, &backend{}, silent)
			var missing atomic.Int64
			all := make(chan struct{}, 1)
			for range members {
				c := bare(b, p)
				ask(b, c, `["1","1","room","phx_join",{}]`, 1)
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					for {
						if _, _, err := c.ReadMessage(); err != nil {
							return
						}
						if missing.Add(-1) == 0 {
							all <- struct{}{}
						}
					}
				}()
				b.Cleanup(func() {
					c.Close()
					<-ended
				})
			}
			addr, body := hub.TopicAddress("room"), `{"event":"new_msg","payload":{"body":"hello"}}`
			b.ReportAllocs()
			for b.Loop() {
				missing.Store(int64(members))
				p.publish(addr, body)
				<-all
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*members), "ns/delivery")
		})
	}
}
