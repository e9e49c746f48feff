package webhook

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"roost/auth"
)

// result is what became of a call, as the metric calls_total says it.
type result string

const (
	resultOK          result = "ok"           // answered, be it with an error reply
	resultRefused     result = "refused"      // 4xx, or a connect answered with status error
	resultServerError result = "server_error" // 5xx
	resultBadAnswer   result = "bad_answer"   // neither, or a body that is no answer
	resultTimeout     result = "timeout"      // Config.Timeout passed while the backend had the call
	resultQueue       result = "queue"        // Config.Timeout passed in line
	resultUnreachable result = "unreachable"  // the connection failed
	resultCanceled    result = "canceled"     // nobody wants the answer any more
)

// failure is an error that knows its result.
type failure struct {
	result result
	err    error
	late   bool // the backend has the question, and may have answered
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// Is tells whether the failure is [auth.ErrLate].
func (f *failure) Is(target error) bool { return f.late && target == auth.ErrLate }

// errDeadline is the cause of contexts that ended because of Config.Timeout.
var errDeadline = errors.New("no answer within the timeout")

// newID returns a value for webhook-id.
func newID() string { return "msg_" + rand.Text() }

// ask calls the backend once and decodes its answer. It blocks for at most Config.Timeout.
func ask[T any](ctx context.Context, c *Client, e event, body []byte, decode func([]byte) (T, error)) (T, error) {
	var answer T
	err := c.call(ctx, e, newID(), body, func(body []byte) (err error) {
		answer, err = decode(body)
		return err
	})
	return answer, err
}

// call posts body and hands a 2xx answer to accept. It measures and labels what happened.
func (c *Client) call(ctx context.Context, e event, id string, body []byte, accept func([]byte) error) error {
	start := time.Now()
	code, answer, err := c.exchange(ctx, e, id, body)
	if err == nil {
		err = judge(code, answer, accept)
	}
	var refusal *auth.Refusal
	var failed *failure
	res := resultOK
	switch {
	case err == nil:
	case errors.As(err, &refusal):
		res = resultRefused
	case errors.As(err, &failed):
		res = failed.result
	}
	c.metrics.called(e, res, time.Since(start))
	if err != nil && refusal == nil {
		return fmt.Errorf("webhook %s: %w", types[e], err)
	}
	return err
}

// judge sorts an answer by its status code.
func judge(code int, body []byte, accept func([]byte) error) error {
	switch {
	case code >= 200 && code < 300:
		err := accept(body)
		var refusal *auth.Refusal
		if err == nil || errors.As(err, &refusal) {
			return err
		}
		return &failure{result: resultBadAnswer, err: fmt.Errorf("bad answer: %w", err)}
	case code >= 400 && code < 500:
		return decodeRefusal(code, body)
	case code >= 500:
		return &failure{result: resultServerError, err: fmt.Errorf("answered %d", code)}
	case code >= 300:
		return &failure{result: resultBadAnswer, err: fmt.Errorf("answered %d: redirects are not followed", code)}
	default:
		return &failure{result: resultBadAnswer, err: fmt.Errorf("answered %d", code)}
	}
}

// exchange waits in line, posts body, and reads the answer. Its errors are failures.
func (c *Client) exchange(ctx context.Context, e event, id string, body []byte) (code int, answer []byte, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.config.Timeout, errDeadline)
	defer cancel()
	if err := c.enter(ctx); err != nil {
		return 0, nil, ended(ctx, resultQueue)
	}
	defer c.exit()
	response, err := c.config.Transport.RoundTrip(c.request(ctx, e, id, body))
	if err == nil {
		defer response.Body.Close()
		answer, err = c.read(response)
	}
	switch known := (*failure)(nil); {
	case err == nil:
		return response.StatusCode, answer, nil
	case errors.As(err, &known):
		return 0, nil, known
	case ctx.Err() != nil:
		return 0, nil, ended(ctx, resultTimeout)
	case strings.Contains(err.Error(), "malformed"): // such an error repeats what was sent
		return 0, nil, &failure{result: resultBadAnswer, err: errors.New("bad answer: not HTTP")}
	default:
		return 0, nil, &failure{result: resultUnreachable, err: err}
	}
}

// ended says why ctx is over: late if it was the deadline.
func ended(ctx context.Context, late result) *failure {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, errDeadline) && late == resultQueue:
		return &failure{result: late, err: errors.New("no place in line within the timeout")}
	case errors.Is(cause, errDeadline), errors.Is(cause, context.DeadlineExceeded):
		return &failure{result: late, err: cause, late: late == resultTimeout}
	default:
		return &failure{result: resultCanceled, err: cause, late: late == resultTimeout}
	}
}

// enter waits until one of the MaxInFlight places is free. Who waits longest is next.
func (c *Client) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case c.places <- struct{}{}:
	default:
		c.metrics.addQueued(1)
		defer c.metrics.addQueued(-1)
		select {
		case c.places <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	c.metrics.addInFlight(1)
	return nil
}

func (c *Client) exit() {
	c.metrics.addInFlight(-1)
	<-c.places
}

// request builds one attempt: the id and body may have been sent before, time and signature are of now.
func (c *Client) request(ctx context.Context, e event, id string, body []byte) *http.Request {
	r := c.template.WithContext(ctx)
	r.Header = c.template.Header.Clone()
	now := time.Now().Unix()
	r.Header["Webhook-Id"] = []string{id}
	r.Header["Webhook-Timestamp"] = []string{strconv.FormatInt(now, 10)}
	if len(c.signer) > 0 {
		r.Header["Webhook-Signature"] = []string{c.signer.sign(id, now, body)}
	}
	if e != push {
		// With this key, which is not sent, the transport repeats a request that met a connection the backend had
		// just closed. A push is not repeated: it may have been read.
		r.Header["Idempotency-Key"] = []string{}
	}
	r.ContentLength = int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, _ = r.GetBody()
	return r
}

// read returns the body of an answer. Of a status that has no use for it, it returns nothing.
func (c *Client) read(r *http.Response) ([]byte, error) {
	limit := int64(c.config.MaxAnswerSize)
	good := r.StatusCode >= 200 && r.StatusCode < 300
	if !good && (r.StatusCode < 400 || r.StatusCode >= 500) {
		limit = 4 << 10 // so that the connection can be used again, if there is no more
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	switch {
	case !good && (err != nil || int64(len(body)) > limit):
		return nil, nil // the status says enough
	case err == nil && int64(len(body)) > limit:
		return nil, &failure{result: resultBadAnswer, err: fmt.Errorf("bad answer: larger than %d bytes", limit)}
	}
	return body, err
}
