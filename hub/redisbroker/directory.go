package redisbroker

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Times of the directory.
const (
	urlLease   = 15 * time.Second // how long the address of a pod that died is still given out
	urlRenewal = urlLease / 3
	urlMemory  = 2 * time.Second // how long an answer is taken for true
)

// maxURLs bounds the answers that are remembered.
const maxURLs = 1000

// directory tells the pods where this one is, and this one where the others are. Each pod's address is a key that
// expires, so a pod that died is soon nowhere.
type directory struct {
	keys   keys
	client *client
	own    string // base URL of this pod's client port, or ""
	log    *slog.Logger

	mu     sync.Mutex
	secret []byte
	urls   map[string]knownURL
}

type knownURL struct {
	url  string
	when time.Time
}

func newDirectory(k keys, c *client, own string, log *slog.Logger) *directory {
	return &directory{keys: k, client: c, own: own, log: log, urls: map[string]knownURL{}}
}

// run announces this pod until ctx ends, and then takes that back.
func (d *directory) run(ctx context.Context) {
	outage := outage{log: d.log, what: "redis directory"}
	renew := time.NewTicker(urlRenewal)
	defer renew.Stop()
	for {
		if err := d.announce(ctx); err == nil {
			if !outage.since.IsZero() {
				outage.end()
			}
		} else if ctx.Err() == nil {
			outage.note(err)
		}
		select {
		case <-ctx.Done():
			if d.own != "" {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
				defer cancel()
				d.client.Del(ctx, d.keys.url(d.keys.pod))
			}
			return
		case <-renew.C:
		}
	}
}

// announce writes this pod's address, and the shared secret if Redis has lost it.
func (d *directory) announce(ctx context.Context) error {
	if _, err := d.share(ctx); err != nil {
		return err
	}
	if d.own == "" {
		return nil
	}
	return d.client.Set(ctx, d.keys.url(d.keys.pod), d.own, urlLease).Err()
}

// share returns the secret: the first pod makes it, the others read it.
func (d *directory) share(ctx context.Context) ([]byte, error) {
	d.mu.Lock()
	mine := d.secret
	d.mu.Unlock()
	if mine == nil {
		mine = make([]byte, 32)
		_, _ = rand.Read(mine) // never fails
	}
	if err := d.client.SetNX(ctx, d.keys.secret(), base64.StdEncoding.EncodeToString(mine), 0).Err(); err != nil {
		return nil, err
	}
	text, err := d.client.Get(ctx, d.keys.secret()).Result()
	if err != nil {
		return nil, err
	}
	shared, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(shared) != len(mine) {
		return nil, fmt.Errorf("redisbroker: %s does not hold 32 bytes in base64", d.keys.secret())
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !bytes.Equal(d.secret, shared) {
		d.secret = shared
	}
	return shared, nil
}

func (d *directory) key(ctx context.Context) ([]byte, error) {
	d.mu.Lock()
	secret := d.secret
	d.mu.Unlock()
	if secret != nil {
		return secret, nil
	}
	return d.share(ctx)
}

func (d *directory) url(ctx context.Context, pod string) (string, error) {
	d.mu.Lock()
	known, found := d.urls[pod]
	d.mu.Unlock()
	if found && time.Since(known.when) < urlMemory {
		return known.url, nil
	}
	url, err := d.client.Get(ctx, d.keys.url(pod)).Result()
	switch {
	case err == nil, errors.Is(err, redis.Nil):
	case found && known.url != "":
		return known.url, nil // Redis is away; the pod may well be there
	default:
		return "", err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.urls) >= maxURLs {
		clear(d.urls)
	}
	d.urls[pod] = knownURL{url, time.Now()}
	return url, nil
}

// Key implements [hub.Directory]. The secret is kept in Redis, where the first pod puts it.
func (b *Broker) Key(ctx context.Context) ([]byte, error) { return b.directory.key(ctx) }

// URL implements [hub.Directory]. The answer may be two seconds old, that of a pod that died
// fifteen, and while Redis is away it is the last one known.
func (b *Broker) URL(ctx context.Context, pod string) (string, error) {
	return b.directory.url(ctx, pod)
}
