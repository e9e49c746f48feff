package admin

import (
	"net/http"
	"time"

	"roost/hub"
)

type podState struct {
	ID           string         `json:"id"`
	LeaseSeconds float64        `json:"lease_seconds"` // left; below 0 it is dead
	Alive        bool           `json:"alive"`
	ReportedAt   *time.Time     `json:"reported_at"` // null if it says nothing
	Report       *hub.PodReport `json:"report"`
}

// listPods answers a request without a query by what pods say.
func (a *api) listPods(r *http.Request) ([]hub.PodState, error) {
	if _, err := query(r); err != nil {
		return nil, err
	}
	ctx, cancel := bounded(r)
	defer cancel()
	return a.op.ListPods(ctx)
}

// pods lists all pods.
func (a *api) pods(w http.ResponseWriter, r *http.Request) error {
	list, err := a.listPods(r)
	if err != nil {
		return err
	}
	pods := []podState{}
	for _, p := range list {
		state := podState{ID: p.ID, LeaseSeconds: p.Left.Seconds(), Alive: p.Left > 0}
		if !p.Said.IsZero() {
			state.ReportedAt, state.Report = &p.Said, &p.Reports
		}
		pods = append(pods, state)
	}
	return reply(w, http.StatusOK, struct {
		Pods []podState `json:"pods"`
	}{pods})
}

type stats struct {
	Pods        int `json:"pods"`
	Silent      int `json:"silent"` // of them, that said nothing lately: their numbers are missing below
	Draining    int `json:"draining"`
	Connections int `json:"connections"`
	LongPoll    int `json:"longpoll"`
	Channels    int `json:"channels"`
}

// stats adds up what the pods said of themselves.
func (a *api) stats(w http.ResponseWriter, r *http.Request) error {
	list, err := a.listPods(r)
	if err != nil {
		return err
	}
	var s stats
	for _, p := range list {
		if p.Left <= 0 {
			continue
		}
		s.Pods++
		if p.Said.IsZero() {
			s.Silent++
		}
		if p.Reports.Draining {
			s.Draining++
		}
		s.Connections += p.Reports.Connections
		s.LongPoll += p.Reports.LongPoll
		s.Channels += p.Reports.Channels
	}
	return reply(w, http.StatusOK, s)
}

// connection tells what Redis knows of a connection.
func (a *api) connection(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	ctx, cancel := bounded(r)
	defer cancel()
	c, err := a.op.FindConnection(ctx, r.PathValue("id"))
	if err != nil {
		return err
	}
	topics := c.Topics
	if topics == nil {
		topics = []string{}
	}
	return reply(w, http.StatusOK, struct {
		Connection string   `json:"connection"`
		Pod        string   `json:"pod"`
		ID         *string  `json:"id"`
		Transport  *string  `json:"transport"`
		RemoteIP   *string  `json:"remote_ip"`
		Topics     []string `json:"topics"`
	}{c.Connection, c.Pod, known(c.ID), known(c.Transport), known(c.RemoteIP), topics})
}

// known is a text, or null for "".
func known(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
