package redisbroker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/hub"
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
	lease   *lease
	outbox  *outbox
	roster  *roster
	metrics *metrics
	log     *slog.Logger
	failing outage
}

func newSweeper(k keys, c *client, l *lease, r *roster, m *metrics, log *slog.Logger) *sweeper {
	return &sweeper{keys: k, client: c, lease: l, outbox: r.outbox, roster: r, metrics: m, log: log, failing: outage{log: log, what: "sweep of dead pods"}}
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

// takeBack takes over the pod's notices, empties its index, members before connections, and then removes what else there is
// of the pod. It returns how many entries it took.
func (s *sweeper) takeBack(ctx context.Context, pod string, c claim) (n int, err error) {
	if err := s.check(ctx, pod); err != nil {
		return 0, err
	}
	if err := s.adoptStream(ctx, pod, c); err != nil {
		return 0, err
	}
	for _, match := range []string{"* *", ""} { // a connection's own entry has no space
		taken, err := s.takeMatching(ctx, pod, c, match)
		n += taken
		if err != nil {
			return n, err
		}
	}
	left, err := dropEmptyScript.Run(ctx, s.client, []string{s.keys.notices(pod)}).Int()
	if err == nil && left > 0 {
		err = errNotDead // it has written since
	}
	if err != nil {
		return n, err
	}
	if err := s.client.Del(ctx, s.keys.url(pod)).Err(); err != nil {
		return n, err
	}
	return n, s.bury(ctx, pod)
}

// bury removes the pod's lease. What the pod wrote after the last look, because it is not dead or its last command was late, would not
// be swept without one, so it gets one that has run out.
func (s *sweeper) bury(ctx context.Context, pod string) error {
	if err := buryScript.Run(ctx, s.client, []string{s.keys.pods()}, pod).Err(); err != nil {
		return err
	}
	for _, key := range []string{s.keys.indexOf(pod), s.keys.notices(pod)} {
		n, err := s.client.Exists(ctx, key).Result()
		if err == nil && n > 0 {
			err = s.client.ZAddNX(ctx, s.keys.pods(), redis.Z{Score: 1, Member: pod}).Err()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// takeMatching takes back the entries whose fields match a pattern.
func (s *sweeper) takeMatching(ctx context.Context, pod string, c claim, match string) (n int, err error) {
	for cursor, more := uint64(0), true; more; {
		if err := s.check(ctx, pod); err != nil {
			return n, err
		}
		pairs, next, err := s.client.HScan(ctx, s.keys.indexOf(pod), cursor, match, sweepBatch).Result()
		if err != nil {
			return n, err
		}
		for batch := range slices.Chunk(pairs, 2*sweepBatch) {
			taken, err := s.takeBatch(ctx, pod, c, batch)
			n += taken
			if err != nil {
				return n, err
			}
		}
		cursor, more = next, next != 0
	}
	return n, nil
}

// takeBatch takes back entries of the index, which come as its fields and values: it has them told, then removes them from the
// sets, then from the index.
func (s *sweeper) takeBatch(ctx context.Context, pod string, c claim, pairs []string) (int, error) {
	till, err := s.hold(ctx, pod, c)
	if err != nil {
		return 0, err
	}
	var fields []string
	var entries []hub.Member
	for i := 0; i+1 < len(pairs); i += 2 {
		fields, entries = append(fields, pairs[i]), append(entries, parseEntry(pairs[i], pairs[i+1]))
	}
	if err := s.tell(ctx, till, pod, entries); err != nil {
		return 0, err
	}
	if err := s.removeMembers(ctx, till, entries); err != nil {
		return 0, err
	}
	if err := s.removeShown(ctx, till, entries); err != nil {
		return 0, err
	}
	return s.removeFields(ctx, till, pod, fields)
}

// hold extends the claim and returns when it ends, if the pod is still dead. The claim first: a pod that wakes up takes its
// lease and then waits for the claim, so one of the two sees the other.
func (s *sweeper) hold(ctx context.Context, pod string, c claim) (till int64, err error) {
	till, err = c.extend(ctx)
	if err == nil && till == 0 {
		err = errClaimed
	}
	if err == nil {
		err = s.check(ctx, pod)
	}
	return till, err
}

// check returns nil while the pod is dead and not yet swept.
func (s *sweeper) check(ctx context.Context, pod string) error {
	expired, err := expiredScript.Run(ctx, s.client, []string{s.keys.pods()}, pod).Bool()
	if err == nil && !expired {
		err = errNotDead
	}
	return err
}
