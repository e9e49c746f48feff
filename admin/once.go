package admin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"
)

// Bounds of requests.
const (
	maxBody     = 8 << 20 // bytes
	maxKey      = 255     // bytes of an idempotency key
	keepResults = 24 * time.Hour
	keepPending = time.Minute // what a pod that died had begun can be begun again then
	keepPause   = time.Second // between two tries to keep an answer
)

// action carries out the body of a POST, and returns what to answer.
type action func(ctx context.Context, body []byte) (status int, answer any, err error)

// kept is an answer as it is remembered.
type kept struct {
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body"`
}

// once reads the body of a POST and carries it out. With the header Idempotency-Key it is done once, by whichever pod, and the
// answer to the first is the answer to all.
func (a *api) once(do action) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !isJSON(r) {
			return problem("not_json", "")
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
				return problem("too_large", "")
			}
			return problem("invalid_request", "the body did not come whole")
		}
		if !utf8.Valid(body) {
			return problem("invalid_request", "the body is not UTF-8")
		}
		ctx, cancel := bounded(r)
		defer cancel()
		key := r.Header.Get("Idempotency-Key")
		if key == "" {
			status, answer, err := do(ctx, body)
			if err != nil {
				return err
			}
			return reply(w, status, answer)
		}
		if len(key) > maxKey {
			return problem("invalid_request", "Idempotency-Key: longer than "+strconv.Itoa(maxKey)+" bytes")
		}
		return a.remembered(ctx, w, r.URL.Path, key, body, do)
	}
}

// remembered carries out a request that has a key. If nothing of it was done, the key is free again.
func (a *api) remembered(ctx context.Context, w http.ResponseWriter, path, key string, body []byte, do action) error {
	sum := sha256.Sum256(append([]byte(path+"\n"), body...))
	fingerprint := hex.EncodeToString(sum[:])
	mark, before, err := a.op.Remember(ctx, key, fingerprint, keepPending)
	if err != nil {
		return err
	}
	if before != nil {
		var k kept
		if err := json.Unmarshal(before, &k); err != nil {
			return err
		}
		w.Header().Set("Idempotency-Replayed", "true")
		if p := new(Problem); k.Status >= http.StatusBadRequest && json.Unmarshal(k.Body, p) == nil {
			return p
		}
		return reply(w, k.Status, k.Body)
	}
	status, answer, err := do(ctx, body)
	later := context.WithoutCancel(ctx)
	later, cancel := context.WithTimeout(later, callTimeout)
	defer cancel()
	if p := new(Problem); errors.As(err, &p) && p.Results == nil || err != nil && !errors.As(err, &p) {
		_ = a.op.Conclude(later, key, mark, nil, 0) // else it ends by itself
		return err
	} else if err != nil {
		status, answer = p.Status, p // a part was done: the same request must not do it again
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(answer); err != nil {
		return err
	}
	whole := bytes.TrimSpace(text.Bytes())
	if result, err := json.Marshal(kept{status, whole}); err == nil && a.op.Conclude(later, key, mark, result, keepResults) != nil {
		go a.keep(context.WithoutCancel(ctx), key, mark, result)
	}
	if err != nil {
		return err
	}
	return reply(w, status, json.RawMessage(whole))
}

// keep keeps an answer that could not be kept at once. It tries as long as the key is taken.
func (a *api) keep(ctx context.Context, key, mark string, result []byte) {
	ctx, cancel := context.WithTimeout(ctx, keepPending)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(keepPause):
		}
		if a.op.Conclude(ctx, key, mark, result, keepResults) == nil {
			return
		}
	}
}
