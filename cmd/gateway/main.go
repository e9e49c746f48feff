package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	tuneMemory(os.Environ())
	os.Exit(run(untilSignalled(), os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// untilSignalled returns a context that the first signal ends, which asks the program to stop. The second one tells it to
// hurry, and the third has its usual meaning again: the program ends at once.
func untilSignalled() context.Context {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	hurry := make(chan struct{})
	ctx, stop := context.WithCancel(withHurry(context.Background(), hurry))
	go func() {
		<-signals
		stop()
		<-signals
		signal.Stop(signals)
		close(hurry)
	}()
	return ctx
}
