package main

import "context"

type hurryKey struct{}

// withHurry returns a context that carries the wish to stop faster than in order: a channel that is closed when it comes up.
func withHurry(ctx context.Context, hurry <-chan struct{}) context.Context {
	return context.WithValue(ctx, hurryKey{}, hurry)
}

// hurried returns the channel of [withHurry], or nil, which is never closed.
func hurried(ctx context.Context) <-chan struct{} {
	hurry, _ := ctx.Value(hurryKey{}).(<-chan struct{})
	return hurry
}
