package redisbroker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// sweepBatch is how many entries leave together, and so how long Redis is busy with a sweep at a time.
const sweepBatch = 500

// Why a sweep ends before the pod's index is empty.
var (
	errNotDead = errors.New("redisbroker: the pod lives, or another pod has swept it")
	errClaimed = errors.New("redisbroker: the claim was lost")
)

// sweeper takes back what dead pods entered. Only the holder of a pod's claim works on it. It may be stopped anywhere, and
// be frozen anywhere: what it did not take back is still in the index, and what it asks for after the end of its claim is
// refused by Redis.
type sweeper struct {
	keys    keys
	client  *client
	metrics *metrics
	log     *slog.Logger
	failing outage
}

func newSweeper(k keys, c *client, m *metrics, log *slog.Logger) *sweeper {
	return &sweeper{keys: k, client: c, metrics: m, log: log, failing: outage{log: log, what: "sweep of dead pods"}}
}

// run sweeps the pods it is told of until ctx ends.
func (s *sweeper) run(ctx context.Context, dead <-chan []string) {
	for {
		select {
		case <-ctx.Done():
			return
		case pods := <-dead:
			for _, pod := range pods {
				s.sweep(ctx, pod)
			}
		}
	}
}

// sweep takes back all of one pod, unless somebody else is at it. What fails is tried again after the next beat.
func (s *sweeper) sweep(ctx context.Context, pod string) {
	c := claim{client: s.client, key: s.keys.claim(pod), owner: s.keys.pod + " " + rand.Text()}
	till, err := c.extend(ctx)
	if err != nil && ctx.Err() == nil {
		s.fail(pod, 0, err)
	}
	if err != nil || till == 0 {
		return
	}
	began := time.Now()
	n, err := s.takeBack(ctx, pod, c)
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), commandTimeout)
	defer cancel()
	_ = c.release(release) // or it ends by itself
	switch {
	case err == nil:
		s.metrics.swept(resultOK, n)
		if !s.failing.since.IsZero() {
			s.failing.end()
		}
		s.log.Info("swept a dead pod", "pod", pod, "members", n, "took", time.Since(began).Round(time.Millisecond))
	case errors.Is(err, errNotDead) && n == 0:
	case errors.Is(err, errNotDead), ctx.Err() != nil:
		s.metrics.swept(resultStopped, n)
		s.log.Info("stopped to sweep a pod", "pod", pod, "members", n, "err", err)
	default:
		s.fail(pod, n, err)
	}
}

// fail counts and logs a sweep that failed after n members.
func (s *sweeper) fail(pod string, n int, err error) {
	s.metrics.swept(resultError, n)
	s.failing.note(fmt.Errorf("sweep %s: %w", pod, err))
}

// takeBack empties the pod's index, and then removes what else there is of the pod. It returns how many entries it took.
func (s *sweeper) takeBack(ctx context.Context, pod string, c claim) (n int, err error) {
	index := s.keys.indexOf(pod)
	for cursor, more := uint64(0), true; more; {
		if err := s.check(ctx, pod); err != nil {
			return n, err
		}
		pairs, next, err := s.client.HScan(ctx, index, cursor, "", sweepBatch).Result()
		if err != nil {
			return n, err
		}
		fields := make([]string, 0, len(pairs)/2)
		for i := 0; i+1 < len(pairs); i += 2 {
			fields = append(fields, pairs[i])
		}
		for batch := range slices.Chunk(fields, sweepBatch) {
			taken, err := s.takeBatch(ctx, pod, c, batch)
			n += taken
			if err != nil {
				return n, err
			}
		}
		cursor, more = next, next != 0
	}
	if err := s.client.Del(ctx, s.keys.url(pod)).Err(); err != nil {
		return n, err
	}
	return n, buryScript.Run(ctx, s.client, []string{s.keys.pods()}, pod).Err()
}

// takeBatch removes the entries that fields of the index name: from the sets, then from the index.
func (s *sweeper) takeBatch(ctx context.Context, pod string, c claim, fields []string) (int, error) {
	// The claim first: a pod that wakes up takes its lease and then waits for the claim, so one of the two sees the other.
	till, err := c.extend(ctx)
	if err == nil && till == 0 {
		err = errClaimed
	}
	if err == nil {
		err = s.check(ctx, pod)
	}
	if err != nil {
		return 0, err
	}
	if err := s.removeMembers(ctx, till, fields); err != nil {
		return 0, err
	}
	return s.removeFields(ctx, till, pod, fields)
}

// check returns nil while the pod is dead and not yet swept.
func (s *sweeper) check(ctx context.Context, pod string) error {
	expired, err := expiredScript.Run(ctx, s.client, []string{s.keys.pods()}, pod).Bool()
	if err == nil && !expired {
		err = errNotDead
	}
	return err
}
