// Joinstorm lets clients join all at once at a backend that has few places, and prints what the backend and the clients
// saw of it. It starts the gateway and is the backend; clients join again as phoenix.js does.
//
//	go build -o bin/gateway ./cmd/gateway
//	go run ./bench/joinstorm -gateway bin/gateway -redis redis://127.0.0.1:6379
package main

import (
	"cmp"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

var (
	program     = flag.String("gateway", "bin/gateway", "program of the gateway")
	redis       = flag.String("redis", "redis://127.0.0.1:6379", "Redis of the gateway")
	connections = flag.Int("connections", 10_000, "clients")
	topics      = flag.Int("topics", 2, "topics that each client joins")
	each        = flag.Int("each", 1, "connections of one user: their joins are equal")
	places      = flag.Int("places", 50, "calls that the backend works on at once; one more is answered 503")
	takes       = flag.Duration("takes", 5*time.Millisecond, "how long one call takes")
	coalesce    = flag.String("coalesce", "on", "ROOST_WEBHOOK_COALESCE")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	b, err := serve(*places, *takes)
	if err != nil {
		return err
	}
	stop, err := startGateway(b.url)
	if err != nil {
		return err
	}
	defer stop()
	clients := make([]*client, *connections)
	var dialing errgroup.Group
	dialing.SetLimit(*places)
	for i := range clients {
		dialing.Go(func() (err error) {
			clients[i], err = dial(address, fmt.Sprint("u", i / *each))
			return err
		})
	}
	if err := dialing.Wait(); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	b.storm.Store(true)
	start := time.Now()
	outcomes := make([]outcome, *connections)
	var joining sync.WaitGroup
	for i, c := range clients {
		joining.Go(func() { outcomes[i] = c.join(*topics, start) })
	}
	joining.Wait()
	report(b, outcomes)
	return nil
}

// report prints what was seen.
func report(b *backend, outcomes []outcome) {
	var waits []time.Duration
	failed := 0
	for _, o := range outcomes {
		waits = append(waits, o.waits...)
		failed += o.failed
		if o.err != nil {
			log.Printf("client: %v", o.err)
		}
	}
	slices.SortFunc(waits, cmp.Compare[time.Duration])
	if len(waits) == 0 {
		return
	}
	at := func(share float64) time.Duration {
		return waits[int(share*float64(len(waits)-1))].Round(time.Millisecond)
	}
	fmt.Printf("joined: %d\nerror replies: %d\ncalls: %d\npeak in flight: %d\nanswered 503: %d\ncut: %d\np50: %v\np99: %v\nlast join: %v\n",
		len(waits), failed, b.calls.Load(), b.peak.Load(), b.over.Load(), b.cut.Load(), at(0.5), at(0.99), at(1))
}

const address, adminPort = "127.0.0.1:24100", "24101"

// startGateway runs a gateway until stop is called.
func startGateway(backend string) (stop func(), err error) {
	cmd := exec.Command(*program)
	cmd.Env = append(os.Environ(), "PORT=24100", "ROOST_ADMIN_PORT="+adminPort, "ROOST_ADMIN_HOST=127.0.0.1", "REDIS_URL="+*redis,
		"ROOST_REDIS_PREFIX=joinstorm:", "ROOST_WEBHOOK_URL="+backend, "ROOST_WEBHOOK_EVENTS=connect,join,push", "ROOST_CHECK_ORIGIN=false",
		fmt.Sprint("ROOST_WEBHOOK_MAX_IN_FLIGHT=", *places), "ROOST_WEBHOOK_COALESCE="+*coalesce, "ROOST_DRAIN_DELAY=1ms", "ROOST_DRAIN_TIMEOUT=2s")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}
	if err := awaitReady("http://127.0.0.1:" + adminPort + "/readyz"); err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}
