// Package hub (stub, being written).
package hub

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config says how a [Hub] behaves. PodID, Broker and Roster are required.
type Config struct {
	PodID  string // unique in the cluster; connection ids begin with it
	Broker Broker
	Roster Roster
	Stream Stream // needed by rules that say push: stream

	Linger     time.Duration         // how long a topic without members stays subscribed. Default: 2s
	Workers    int                   // fan-out workers. Default: GOMAXPROCS
	Logger     *slog.Logger          // Default: slog.Default
	Registerer prometheus.Registerer // where metrics go. Default: nowhere
}

// Hub connects the members of one pod with the messages of all pods.
type Hub struct{ cfg Config }

// New returns a hub. It works once Run does.
func New(cfg Config) *Hub { return &Hub{cfg} }

// Run carries messages until ctx ends. It blocks.
func (h *Hub) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Ready tells whether the link to the other pods stands.
func (h *Hub) Ready() bool { return false }

// Broadcast sends an event to all members of a topic, on every pod. It returns when the broker has taken it.
func (h *Hub) Broadcast(ctx context.Context, topic, event string, payload []byte) error { return nil }
