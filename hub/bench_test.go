package hub_test

import (
	"fmt"
	"strings"
	"testing"

	"roost/hub"
	"roost/phoenix"
)

// textEncoding writes V2 text frames.
type textEncoding struct{}

func (textEncoding) AppendBroadcast(dst []byte, b *hub.Broadcast) []byte {
	return phoenix.V2.AppendBroadcast(dst, b.Topic, b.Event, b.Payload)
}

// sizer is a Listener that counts the bytes it would send.
type sizer struct {
	sub   hub.Subscription
	bytes int
	last  chan struct{} // nil but for the last that is served
}

func (s *sizer) Connection() string { return "a.1" }
func (s *sizer) End(bool)           {}

func (s *sizer) Deliver(b *hub.Batch) {
	s.bytes += len(b.Encode(textEncoding{}))
	if s.last != nil {
		s.last <- struct{}{}
	}
}

var benchBody = `{"event":"new_msg","payload":{"body":"` + strings.Repeat("x", 89) + `"}}`

func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := startByHand(b, "a", hub.Config{Workers: 1})
			last := make(chan struct{})
			sizers := make([]sizer, n)
			sizers[n-1].last = last
			for i := range sizers {
				if err := p.Join(b.Context(), &sizers[i].sub, &sizers[i], hub.Member{Topic: "t", Connection: "a.1"}, false); err != nil {
					b.Fatal(err)
				}
			}
			addr, body := hub.TopicAddress("t"), []byte(benchBody)
			b.ReportAllocs()
			for b.Loop() {
				p.sink.Message(addr, body)
				<-last
			}
			if sizers[0].bytes == 0 {
				b.Error("nothing was delivered")
			}
		})
	}
}

// BenchmarkReceive is what a publish costs before any member gets it.
func BenchmarkReceive(b *testing.B) {
	for _, c := range []struct{ name, body string }{
		{"100 B", benchBody},
		{"1 kB", strings.Replace(benchBody, "x", strings.Repeat("x", 900), 1)},
		{"except", strings.Replace(benchBody, "{", `{"except":"b.1",`, 1)},
		{"binary", `{"event":"new_msg","payload_base64":"` + strings.Repeat("AAAA", 25) + `"}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := startByHand(b, "a", hub.Config{})
			addr, body := hub.TopicAddress("nobody"), []byte(c.body)
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				p.sink.Message(addr, body)
			}
		})
	}
}

func BenchmarkJoinLeave(b *testing.B) {
	p := startPod(b, hub.NewMemory(), "a", hub.Config{})
	m := hub.Member{Topic: "t", Connection: "a.1", JoinRef: `"1"`}
	b.ReportAllocs()
	for b.Loop() {
		s := new(sizer)
		if err := p.Join(b.Context(), &s.sub, s, m, true); err != nil {
			b.Fatal(err)
		}
		p.Leave(&s.sub, m, nil)
	}
}
