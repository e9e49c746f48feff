package admin

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"roost/hub"
)

// Problem is why a request was not carried out, as RFC 9457 has it. Code is stable, and docs/errors.md explains it.
type Problem struct {
	Type    string   `json:"type"`
	Title   string   `json:"title"`
	Status  int      `json:"status"`
	Code    string   `json:"code"`
	Detail  string   `json:"detail,omitempty"`
	Results []result `json:"results,omitempty"` // of a batch of which only a part was done
}

func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// kind is one thing that can be wrong with a request.
type kind struct {
	code   string
	status int
	title  string
	advice string // for people: what to do
}

// kinds are all there are, by code.
var kinds = []kind{
	{"invalid_request", 400, "The request cannot be read", "The body has to be one JSON object in UTF-8 with known fields, and the query what docs/api.md says. `detail` names what is wrong. Sending it again does not help."},
	{"unauthorized", 401, "The bearer token is missing or wrong", "Send `Authorization: Bearer` with the value of `ROOST_API_TOKEN`. Where that is not set, the API answers on loopback only."},
	{"forbidden", 403, "Not from there", "`ROOST_API_TOKEN` is not set, so only programs on the pod's own machine are answered: no proxies (by their headers: `Forwarded`, `Via`, `X-Forwarded-…`, `X-Real-Ip`, `X-Envoy-…`), no browsers' pages, and the name in `Host` has to be `localhost` or a loopback address. Set the token."},
	{"not_found", 404, "There is no such thing", "The path is not one of the API's, or the connection is not there any more: its client has gone, or its pod's lease has ended. One that lives is not known either while it has joined nothing, unless `ROOST_WEBHOOK_EVENTS` has `disconnect`."},
	{"method_not_allowed", 405, "Not this method", "The header `Allow` names those that the path has."},
	{"request_under_way", 409, "The first request with this idempotency key is under way", "Wait a second and send it again, with the same key: you will get the first one's answer."},
	{"rebalance_under_way", 409, "Connections are being closed already", "Nobody was told. Wait until `shedding` is false in `/api/v1/pods`, or the pod has stopped."},
	{"too_large", 413, "The body is too large", "A body has 8 MiB at most, a batch 1,000 messages, and one message `ROOST_OUTBOX_LIMIT`: no client could be sent more."},
	{"not_json", 415, "The body is not JSON by its header", "Send `Content-Type: application/json`."},
	{"invalid_message", 422, "A message cannot be sent", "Nothing of the request has been done. `detail` names the message and the field: fields that are there are not empty, payloads are objects, and with `payload_base64` topics and events have 255 bytes at most."},
	{"key_reused", 422, "The idempotency key was used for another request", "A key belongs to one body. Make a new one for each request, and keep it for its retries."},
	{"too_many_taps", 429, "Too many are listening already", "A pod serves four taps at once. End one, or ask another pod."},
	{"unavailable", 503, "Redis cannot be asked now", "What was asked for has not been done, or not all of it: `results` says what of a batch. Send it again in a while. With an idempotency key what was sent in part is not sent again: send the rest of `results` under another key. A message whose answer was lost on the way may have been sent."},
	{"tap_needs_a_topic", 501, "With sharded pub/sub only whole topics can be listened to", "Redis has no patterns for sharded channels. Name a topic without `*`."},
}

// problem makes a problem of one of the kinds.
func problem(code, detail string) *Problem {
	at := slices.IndexFunc(kinds, func(k kind) bool { return k.code == code })
	k := kinds[at]
	return &Problem{Type: "/api/v1/errors/" + code, Title: k.title, Status: k.status, Code: code, Detail: detail}
}

// problemOf says what an error of the hub's means to who asked.
func problemOf(err error) *Problem {
	var p *Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, hub.ErrUnknown):
		return problem("not_found", "")
	case errors.Is(err, hub.ErrCursor):
		return problem("invalid_request", "cursor: not one that came from here")
	case errors.Is(err, hub.ErrNoTapFor):
		return problem("tap_needs_a_topic", "")
	case errors.Is(err, hub.ErrPending):
		return problem("request_under_way", "")
	case errors.Is(err, hub.ErrOther):
		return problem("key_reused", "")
	default:
		return problem("unavailable", "") // not the error: it may name servers
	}
}

// explain serves what a code means.
func explain(w http.ResponseWriter, r *http.Request) error {
	for _, k := range kinds {
		if k.code == r.PathValue("code") {
			answer(w, http.StatusOK, k.title+". "+strings.ReplaceAll(k.advice, "`", "")+"\n")
			return nil
		}
	}
	return problem("not_found", "")
}

// write answers with the problem.
func (p *Problem) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	switch p.Status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="roost"`)
	case http.StatusServiceUnavailable, http.StatusConflict, http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // whoever asked is gone if this fails
}
