package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

// Times and bounds of a JWK Set.
const (
	setInterval = 10 * time.Minute // between two looks at it
	setRetry    = 10 * time.Second // after one that failed, and between two because of a key id that is not known
	setTimeout  = 5 * time.Second
	maxSet      = 1 << 20 // bytes
	maxSetKeys  = 256
)

// keySet is a JWK Set that is fetched: at the start, now and then, and when a token names a key that is not there, though not
// more often than every ten seconds (but for one), whatever tokens come. While it cannot be fetched the last one counts.
type keySet struct {
	url     string
	client  *http.Client
	log     *slog.Logger
	metrics *metrics
	flight  singleflight.Group
	limit   *rate.Limiter // of looks because of unknown key ids

	mu   sync.Mutex
	byID map[string][]any
}

func newKeySet(at string, log *slog.Logger, m *metrics) *keySet {
	return &keySet{url: at, client: &http.Client{Timeout: setTimeout}, log: log, metrics: m, limit: rate.NewLimiter(rate.Every(setRetry), 2)}
}

// errUnavailable means that it is not known now whether there is such a key.
var errUnavailable = errors.New("token: the key set cannot be asked now")

// keys returns the keys with an id; none if there is no such key. A fetch that is under way may have asked before the key was
// published, so there is another behind it.
func (s *keySet) keys(ctx context.Context, id string) ([]any, error) {
	for mine, tries := false, 0; !mine && tries < 2; tries++ {
		if keys := s.find(id); keys != nil {
			return keys, nil
		}
		done := s.flight.DoChan("", func() (any, error) {
			mine = true
			if s.find(id) != nil { // one that has just ended
				return nil, nil
			}
			if !s.limit.Allow() {
				return nil, errUnavailable
			}
			return nil, s.fetch(context.WithoutCancel(ctx))
		})
		select {
		case r := <-done:
			if r.Err != nil {
				return nil, errUnavailable
			}
		case <-ctx.Done():
			return nil, errUnavailable
		}
	}
	return s.find(id), nil
}

func (s *keySet) find(id string) []any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id]
}

// run fetches the set now and then until ctx ends.
func (s *keySet) run(ctx context.Context) {
	for {
		wait := setInterval
		if _, err, _ := s.flight.Do("", func() (any, error) { return nil, s.fetch(ctx) }); err != nil {
			wait = setRetry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// fetch gets the set. After an error the old one stays.
func (s *keySet) fetch(ctx context.Context) error {
	byID, err := s.get(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		s.metrics.fetched(resultError)
		s.log.Warn("JWK Set not fetched", "setting", "ROOST_JWT_JWKS_URL", "err", err)
		return err
	}
	s.metrics.fetched(resultOK)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byID = byID
	return nil
}

func (s *keySet) get(ctx context.Context) (map[string][]any, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := s.client.Do(request)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err // without the URL, in which there may be secrets
		}
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxSet+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxSet {
		return nil, fmt.Errorf("the answer has more than %d bytes", maxSet)
	}
	return parseSet(body)
}

// parseSet reads the public keys of a set by their id. Keys that are not for signatures, or of a kind that we do not know, are
// left out; so are shared secrets, which do not belong there.
func parseSet(body []byte) (map[string][]any, error) {
	var set struct {
		Keys []jwkset.JWKMarshal `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("the answer is no JWK Set: %w", err)
	}
	if len(set.Keys) == 0 || len(set.Keys) > maxSetKeys {
		return nil, fmt.Errorf("the answer has %d keys, want 1 to %d", len(set.Keys), maxSetKeys)
	}
	byID := map[string][]any{}
	for _, m := range set.Keys {
		if m.USE != "" && m.USE != jwkset.UseSig {
			continue
		}
		jwk, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err != nil {
			continue
		}
		if kind := kindOf(jwk.Key()); kind != "" && kind != "hmac" {
			byID[m.KID] = append(byID[m.KID], jwk.Key())
		}
	}
	if len(byID) == 0 {
		return nil, errors.New("the answer has no public key for signatures that we know")
	}
	return byID, nil
}
