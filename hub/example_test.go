package hub_test

import (
	"context"
	"fmt"

	"roost/hub"
	"roost/phoenix"
)

// printer is a member that prints the frames it would send.
type printer struct{ connection string }

func (p printer) Connection() string { return p.connection }

func (p printer) Deliver(b *hub.Batch) {
	for _, c := range b.Broadcasts {
		fmt.Printf("%s gets %s\n", p.connection, phoenix.V2.AppendBroadcast(nil, c.Topic, c.Event, c.Payload))
	}
}

func (p printer) End(crash bool) { fmt.Println(p.connection, "is ended, crash:", crash) }

// A hub, one member and a broadcast that it sends itself.
func Example() {
	seams := hub.NewMemory().Pod("pod-a")
	h := hub.New(hub.Config{PodID: "pod-a", Broker: seams, Roster: seams})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- h.Run(ctx) }()

	member := hub.Member{Topic: "rooms:lobby", Connection: "pod-a.81f3", JoinRef: `"3"`}
	var sub hub.Subscription
	if err := h.Join(ctx, &sub, printer{member.Connection}, member, true); err != nil {
		fmt.Println(err)
	}
	hello := hub.Broadcast{Topic: "rooms:lobby", Event: "new:msg", Payload: []byte(`{"body":"hi"}`)}
	if err := h.Publish(ctx, hello, &sub); err != nil {
		fmt.Println(err)
	}
	h.Leave(&sub, member, nil)
	stop()
	fmt.Println(<-ended)
	// Output:
	// pod-a.81f3 gets [null,null,"rooms:lobby","new:msg",{"body":"hi"}]
	// <nil>
}
