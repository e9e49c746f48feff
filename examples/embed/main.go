// Embed is the Phoenix chat example as one Go program: Roost in its own mux, answered by its own code, without Redis.
//
//	go run ./examples/embed -addr localhost:4000 -ping 5s
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sync/errgroup"

	"roost/gateway"
	"roost/hub"
)

func main() {
	addr := flag.String("addr", "localhost:4000", "where to listen")
	ping := flag.Duration("ping", 5*time.Second, "how often SYSTEM speaks")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("chat on ws://%s/socket", listener.Addr())
	if err := serve(ctx, listener, *ping); err != nil {
		log.Fatal(err)
	}
}

// serve runs the chat until ctx ends.
func serve(ctx context.Context, listener net.Listener, ping time.Duration) error {
	pod := hub.NewMemory().Pod("embed")
	h := hub.New(hub.Config{PodID: "embed", Broker: pod, Roster: pod})
	sockets, err := gateway.New(gateway.Config{Hub: h, Backend: chat{}})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/socket/", sockets)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("the rest of the program\n")) })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}

	// The hub stops last: what the gateway still has to say goes through it.
	hubCtx, stopHub := context.WithCancel(context.WithoutCancel(ctx))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return h.Run(hubCtx) })
	group.Go(func() error { return sockets.Run(ctx) })
	group.Go(func() error { return speak(ctx, h, ping) })
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		defer stopHub()
		drain, cancel := context.WithTimeout(hubCtx, 5*time.Second)
		defer cancel()
		return errors.Join(server.Shutdown(drain), sockets.Drain(drain))
	})
	return group.Wait()
}

// speak broadcasts from a timer, as any part of a program may.
func speak(ctx context.Context, h *hub.Hub, every time.Duration) error {
	tick := time.Tick(every)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick:
			if err := h.Broadcast(ctx, lobby, "new:msg", encode(message{User: "SYSTEM", Body: "ping"})); err != nil {
				log.Print(err)
			}
		}
	}
}
