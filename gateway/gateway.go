// Package gateway (stub, being written).
package gateway

import (
	"context"
	"net/http"
)

// Gateway serves Phoenix sockets. It is an http.Handler for the paths below its socket path.
type Gateway struct{ cfg Config }

// New returns a gateway.
func New(cfg Config) (*Gateway, error) {
	cfg, err := cfg.withDefaults()
	return &Gateway{cfg}, err
}

// ServeHTTP serves {socket path}/websocket and answers 404 to every other path.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {}

// Run does the gateway's own work (idle timeouts) until ctx ends. It blocks.
func (g *Gateway) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Drain refuses new connections with 503 and closes all others with 1012, paced so that it is done when ctx ends at the latest. It blocks.
func (g *Gateway) Drain(ctx context.Context) error { return nil }

// Origins says which origins may connect.
type Origins struct{}

// ParseOrigins reads Phoenix's check_origin syntax: "false", "conn", or a comma-separated list such as
// "//*.example.com,https://a.com".
func ParseOrigins(s string) (Origins, error) { return Origins{}, nil }
