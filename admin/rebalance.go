package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"time"

	"roost/hub"
)

// maxWithin is the longest time over which connections are closed.
const maxWithin = time.Hour

// EventRebalance is what a pod is told at its [hub.ControlAddress] to close a share of its connections, with a [Rebalance].
const EventRebalance = "rebalance"

// Rebalance says how many connections to close, and how long that may take.
type Rebalance struct {
	Share    float64 `json:"share"`     // above 0, up to 1
	WithinMS int64   `json:"within_ms"` // ms
}

type shedding struct {
	ID      string `json:"id"`
	Closing int    `json:"closing"` // about so many, by what the pod said last
}

// rebalance tells pods to close a share of their connections at a pace, so that clients come back through the load balancer.
func (a *api) rebalance(ctx context.Context, body []byte) (int, any, error) {
	f, err := read(body, false, []string{"within", "pod"}, []string{"share"})
	if err != nil {
		return 0, nil, invalid(err)
	}
	var share float64
	if json.Unmarshal(f.rest["share"], &share) != nil || !(share > 0 && share <= 1) {
		return 0, nil, problem("invalid_message", "share: not a number above 0, up to 1")
	}
	within := time.Minute
	if text, found := f.texts["within"]; found {
		if within, err = time.ParseDuration(text); err != nil || within < 0 || within > maxWithin {
			return 0, nil, problem("invalid_message", "within: not a time such as 90s, up to 1h")
		}
	}
	pods, err := a.op.ListPods(ctx)
	if err != nil {
		return 0, nil, err
	}
	payload, err := json.Marshal(Rebalance{share, within.Milliseconds()})
	if err != nil {
		return 0, nil, err
	}
	order, err := hub.AddressedBody("roost:control", hub.Broadcast{Event: EventRebalance, Payload: payload})
	if err != nil {
		return 0, nil, err
	}
	told := []shedding{}
	var messages []hub.Message
	for _, p := range pods {
		if p.Left <= 0 || f.texts["pod"] != "" && f.texts["pod"] != p.ID {
			continue
		}
		told = append(told, shedding{p.ID, int(math.Round(share * float64(p.Reports.Connections)))})
		messages = append(messages, hub.Message{Addr: hub.ControlAddress(p.ID), Body: order})
	}
	if len(messages) == 0 {
		return 0, nil, problem("not_found", fmt.Sprintf("no living pod %q", f.texts["pod"]))
	}
	if _, err := a.send(ctx, messages); err != nil {
		return 0, nil, err
	}
	return http.StatusAccepted, struct {
		Pods []shedding `json:"pods"`
	}{told}, nil
}
