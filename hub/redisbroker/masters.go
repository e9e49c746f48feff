package redisbroker

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// mastersInterval is how often a pod looks who the masters are.
const mastersInterval = 10 * time.Second

// markerTries is how many keys are tried to find one in a slot of each master.
const markerTries = 2000

// masters asks a cluster who its masters are. Where Sentinel knows, there is one, by whatever address.
func (c *client) masters(ctx context.Context) (map[string]bool, error) {
	if c.cluster == nil {
		return map[string]bool{c.single.Options().Addr: true}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	var mu sync.Mutex
	addrs := map[string]bool{}
	err := c.cluster.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		addrs[node.Options().Addr] = true
		return nil
	})
	return addrs, err
}

// masterWatch looks for masters that may lack what Redis had confirmed: those that were replicas, those that were started again,
// and those that were emptied. Of the last a marker tells, a key of each master: who finds it gone writes it anew, with another
// value, so that everybody notices.
type masterWatch struct {
	keys   keys
	client *client
	every  time.Duration
	known  bool              // there was a look before
	runs   map[string]string // run ids by address, "" if one is not known
	marks  map[string]string // values of markers by key
}

func newMasterWatch(k keys, c *client) *masterWatch {
	return &masterWatch{keys: k, client: c, every: mastersInterval, runs: map[string]string{}, marks: map[string]string{}}
}

// run calls lost when something may be lacking, until ctx ends.
func (w *masterWatch) run(ctx context.Context, lost func()) {
	ticker := time.NewTicker(w.every)
	defer ticker.Stop()
	for {
		if w.look(ctx) {
			lost()
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// look tells whether something may be lacking since the last look. Masters that do not answer are looked at the next time.
func (w *masterWatch) look(ctx context.Context) (lost bool) {
	masters, err := w.client.masters(ctx)
	if err != nil {
		return false
	}
	for addr := range masters {
		if _, found := w.runs[addr]; !found {
			lost = w.known
			w.runs[addr] = ""
		}
	}
	for addr := range w.runs {
		if !masters[addr] {
			lost = true
			delete(w.runs, addr)
		}
	}
	w.known = true
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	for addr, key := range w.markers(ctx) {
		run, value := w.ask(ctx, key)
		lost = changed(w.runs, addr, run) || lost
		lost = changed(w.marks, key, value) || lost
	}
	return lost
}

// changed puts value at key, unless it is "", and tells whether there was another.
func changed(m map[string]string, key, value string) bool {
	old := m[key]
	if value == "" || value == old {
		return false
	}
	m[key] = value
	return old != ""
}

// markers finds a key of each master, by its address.
func (w *masterWatch) markers(ctx context.Context) map[string]string {
	found := map[string]string{}
	for n := 0; n < markerTries && len(found) < len(w.runs); n++ {
		key := w.keys.marker(n)
		node, err := w.client.node(ctx, key)
		if err != nil {
			return found
		}
		if addr := node.Options().Addr; found[addr] == "" {
			found[addr] = key
		}
	}
	return found
}

// ask returns the run id of the master that has key, and what is at key after it was written if it was not there; "" for what it
// does not say.
func (w *masterWatch) ask(ctx context.Context, key string) (run, value string) {
	node, err := w.client.node(ctx, key)
	if err != nil {
		return "", ""
	}
	pipe := node.Pipeline()
	info := pipe.Info(ctx, "server")
	pipe.Do(ctx, "SET", key, rand.Text(), "NX")
	at := pipe.Get(ctx, key)
	_, _ = pipe.Exec(ctx)
	_, rest, _ := strings.Cut(info.Val(), "\nrun_id:")
	run, _, _ = strings.Cut(rest, "\r")
	return run, at.Val()
}
