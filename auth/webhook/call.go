package webhook

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
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
	resultOpen        result = "breaker_open" // not sent: the backend failed too often
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

// ask calls the backend and decodes its answer. render makes the body when the call is about to begin. A connect or a
// join whose connection failed is asked again, with the same id and body. It blocks for at most Config.Timeout.
func ask[T any](ctx context.Context, p *endpoint, e event, render func() []byte, decode func([]byte) (T, error)) (T, error) {
	var answer T
	if p == nil {
		return answer, errNoBackend
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.timeout, errDeadline)
	defer cancel()
	q := question{event: e, id: newID(), render: render, accept: func(body []byte) (err error) {
		answer, err = decode(body)
		return err
	}}
	err := p.try(ctx, &q)
	for n := 0; p.again(ctx, &q, n, err); n++ {
		err = p.try(ctx, &q)
	}
	return answer, err
}

// question is what a backend is asked, with all its tries.
type question struct {
	event  event
	id     string
	render func() []byte
	body   []byte // once rendered
	accept func([]byte) error
	late   bool // an earlier try may have reached the backend
}

// call posts body once and hands a 2xx answer to accept. It blocks for at most Config.Timeout.
func (p *endpoint) call(ctx context.Context, e event, id string, body []byte, accept func([]byte) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.timeout, errDeadline)
	defer cancel()
	return p.try(ctx, &question{event: e, id: id, body: body, accept: accept})
}

// try asks once. It measures and labels what happened.
func (p *endpoint) try(ctx context.Context, q *question) error {
	start := time.Now()
	ctx, span := p.span(ctx, q.event)
	defer span.End()
	err := p.attempt(ctx, q)
	res := resultOf(err)
	end(span, res)
	p.metrics.called(p.name, q.event, res, time.Since(start))
	if failed := (*failure)(nil); errors.As(err, &failed) {
		q.late = q.late || failed.late
		failed.late = q.late
		return fmt.Errorf("webhook %s: %w", types[q.event], err)
	}
	return err
}

// attempt waits in line, asks, and tells the breaker.
func (p *endpoint) attempt(ctx context.Context, q *question) error {
	if err := p.enter(ctx); err != nil {
		return err
	}
	defer p.exit()
	settle, err := p.breaker.allow()
	if err != nil {
		return err
	}
	if q.body == nil {
		q.body = q.render()
	}
	start := time.Now()
	code, answer, err := p.exchange(ctx, q)
	if err == nil {
		err = judge(code, answer, q.accept)
	}
	res, took := resultOf(err), time.Since(start)
	settle(res, took)
	if res != resultCanceled && res != resultUnreachable {
		p.learn(took)
	}
	return err
}

// resultOf says what became of a call.
func resultOf(err error) result {
	var failed *failure
	switch {
	case err == nil:
		return resultOK
	case errors.As(err, &failed):
		return failed.result
	default:
		return resultRefused
	}
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

// exchange posts the question and reads the answer. Its errors are failures.
func (p *endpoint) exchange(ctx context.Context, q *question) (code int, answer []byte, err error) {
	response, err := p.transport.RoundTrip(p.request(ctx, q.event, q.id, q.body))
	if err == nil {
		defer response.Body.Close()
		answer, err = p.read(response)
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
		return 0, nil, &failure{result: resultUnreachable, err: err, late: !unsent(err)}
	}
}

// unsent tells whether there was no connection that could have carried the question.
func unsent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// ended says why ctx is over: late if it was the deadline.
func ended(ctx context.Context, late result) *failure {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, errDeadline) && late == resultQueue:
		return &failure{result: late, err: errNoPlace}
	case errors.Is(cause, errDeadline), errors.Is(cause, context.DeadlineExceeded):
		return &failure{result: late, err: cause, late: late == resultTimeout}
	default:
		return &failure{result: resultCanceled, err: cause, late: late == resultTimeout}
	}
}

// read returns the body of an answer. Of a status that has no use for it, it returns nothing.
func (p *endpoint) read(r *http.Response) ([]byte, error) {
	limit := int64(p.maxAnswer)
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
