package admin

import (
	"context"
	"encoding/json"
	"errors"
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
	Closing int    `json:"closing"` // about so many, by what the pod said last; 0 if it did not listen
}

// rebalance tells pods to close a share of their connections at a pace, so that clients come back through the load balancer.
func (a *api) rebalance(ctx context.Context, body []byte) (int, any, error) {
	r, only, err := rebalanceIn(body)
	if err != nil {
		return 0, nil, err
	}
	payload, err := json.Marshal(r)
	if err != nil {
		return 0, nil, err
	}
	order, err := hub.AddressedBody("roost:control", hub.Broadcast{Event: EventRebalance, Payload: payload})
	if err != nil {
		return 0, nil, err
	}
	pods, err := a.op.ListPods(ctx)
	if err != nil {
		return 0, nil, err
	}
	told, err := toShed(pods, only, r.Share)
	if err != nil {
		return 0, nil, err
	}
	var messages []hub.Message
	for _, pod := range told {
		messages = append(messages, hub.Message{Addr: hub.ControlAddress(pod.ID), Body: order})
	}
	results, err := a.send(ctx, messages)
	if p := new(Problem); errors.As(err, &p) {
		for i := range p.Results {
			p.Results[i].Pod = told[i].ID
		}
	}
	for i, r := range results {
		if r.Receivers != nil && *r.Receivers == 0 {
			told[i].Closing = 0
		}
	}
	return http.StatusAccepted, struct {
		Pods []shedding `json:"pods"`
	}{told}, err
}

// rebalanceIn reads a body: what to do, and the one pod that is to do it, or "".
func rebalanceIn(body []byte) (r Rebalance, only string, err error) {
	f, err := read(body, false, []string{"within", "pod"}, []string{"share"})
	if err != nil {
		return r, "", invalid(err)
	}
	if json.Unmarshal(f.rest["share"], &r.Share) != nil || !(r.Share > 0 && r.Share <= 1) {
		return r, "", problem("invalid_message", "share: not a number above 0, up to 1")
	}
	within := time.Minute
	if text, found := f.texts["within"]; found {
		if within, err = time.ParseDuration(text); err != nil || within < 0 || within > maxWithin {
			return r, "", problem("invalid_message", "within: not a time such as 90s, up to 1h")
		}
	}
	r.WithinMS = within.Milliseconds()
	return r, f.texts["pod"], nil
}

// toShed says which pods are told, and how many connections each will close: the one called only, or all. Those that stop close
// theirs anyway. None is told while one of them is shedding.
func toShed(pods []hub.PodState, only string, share float64) (told []shedding, err error) {
	stopping := false
	for _, p := range pods {
		switch {
		case p.Left <= 0 || only != "" && only != p.ID:
		case p.Reports.Draining:
			stopping = true
		case p.Reports.Shedding:
			return nil, problem("rebalance_under_way", fmt.Sprintf("pod %q", p.ID))
		default:
			told = append(told, shedding{p.ID, int(math.Round(share * float64(p.Reports.Connections)))})
		}
	}
	switch {
	case len(told) > 0:
		return told, nil
	case stopping:
		return nil, problem("rebalance_under_way", "no other pod than those that stop")
	case only != "":
		return nil, problem("not_found", fmt.Sprintf("no living pod %q", only))
	}
	return nil, problem("not_found", "no living pod")
}
