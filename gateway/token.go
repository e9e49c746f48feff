package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"roost/auth"
	"roost/internal/rawjson"
)

// claimsKey is the field of assigns that holds a token's claims.
const claimsKey = "claims"

// identify reads the token of a client that wants to connect, if tokens are wanted.
func (g *Gateway) identify(ctx context.Context, o *offer) error {
	if g.cfg.Tokens == nil {
		return nil
	}
	text := g.tokenOf(o.client)
	if text == "" {
		return &rejection{status: http.StatusForbidden, reason: "token_missing"}
	}
	t, err := g.cfg.Tokens.Verify(ctx, text)
	var refusal *auth.Refusal
	switch {
	case errors.As(err, &refusal):
		return &rejection{status: http.StatusForbidden, reason: "token"}
	case err != nil:
		return &rejection{status: http.StatusServiceUnavailable, reason: "token_unavailable"}
	}
	o.token, o.client.ID, o.client.Assigns = t, t.ID, withClaims(nil, t.Claims)
	return nil
}

// tokenOf returns phoenix.js's authToken, or the param that may hold a token, or "".
func (g *Gateway) tokenOf(client *auth.Client) (text string) {
	if client.AuthToken != nil {
		return *client.AuthToken
	}
	_ = rawjson.Object(client.Params, func(key, value []byte) error {
		if string(key) == g.cfg.TokenParam {
			if unquoted, err := rawjson.Unquote(value); err == nil {
				text = string(unquoted)
			}
		}
		return nil
	})
	return text
}

// withClaims returns assigns with claims in the place of those that are there; assigns that are nil begin with them. Others that hold
// none are the backend's own, and stay as they are.
func withClaims(assigns, claims json.RawMessage) json.RawMessage {
	if assigns == nil {
		return slices.Concat([]byte(`{"`+claimsKey+`":`), claims, []byte{'}'})
	}
	return rawjson.Replace(assigns, claimsKey, claims)
}

// letIn answers a join by the connection's token.
func (c *conn) letIn(topic string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.life == nil || c.life.token == nil:
		return &auth.Refusal{Code: http.StatusUnauthorized}
	case !c.life.token.Allows(topic):
		return &auth.Refusal{Code: http.StatusForbidden}
	}
	return nil
}
