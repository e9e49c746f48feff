package redisbroker

import (
	"context"
	"encoding/json"
	"time"

	"roost/hub"
)

// Times of a pod's reports.
const (
	reportInterval = 5 * time.Second
	reportLife     = 3 * reportInterval
)

// report is what a pod says of itself, and when.
type report struct {
	At time.Time `json:"at"`
	hub.PodReport
}

// report is what a pod said of itself last.
func (k keys) report(pod string) string { return k.prefix + "pod:" + pod + ":report" }

// Report writes down what this pod says of itself, now, every some seconds and when something comes from early, until ctx ends; then it
// takes it back. It blocks. While Redis is away it goes on trying.
func (b *Broker) Report(ctx context.Context, ask func() hub.PodReport, early <-chan struct{}) {
	key := b.directory.keys.report(b.directory.keys.pod)
	ticker := time.NewTicker(reportInterval)
	defer ticker.Stop()
	for {
		if body, err := json.Marshal(report{time.Now().UTC(), ask()}); err == nil {
			b.client.Set(ctx, key, body, reportLife)
		}
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			b.client.Del(last, key)
			return
		case <-ticker.C:
		case <-early:
		}
	}
}
