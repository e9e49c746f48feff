package main

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"roost/auth/token"
)

// wantTokens tells whether clients need a token to connect.
func (c *config) wantTokens() bool { return c.JWTKey != "" || c.JWTSetURL.URL != nil }

// tokenConfig is what the settings say about tokens.
func (c *config) tokenConfig(log *slog.Logger, metrics prometheus.Registerer) token.Config {
	return token.Config{
		Keys:       c.JWTKey,
		JWKSURL:    advertised(c.JWTSetURL),
		Algorithms: c.JWTAlgorithms,
		Issuer:     c.JWTIssuer,
		Audience:   c.JWTAudience,
		ID:         c.JWTID,
		Leeway:     time.Duration(c.JWTLeeway),
		Logger:     log,
		Registerer: metrics,
	}
}

// checkTokens returns what is wrong with the settings about tokens.
func (c *config) checkTokens() []error {
	if !c.wantTokens() {
		if len(c.JWTAlgorithms) > 0 || c.JWTIssuer != "" || len(c.JWTAudience) > 0 {
			return []error{errors.New("ROOST_JWT_…: set, but neither ROOST_JWT_KEY nor ROOST_JWT_JWKS_URL is: no token would be wanted")}
		}
		return nil
	}
	if _, err := token.ParseKeys(c.JWTKey); err != nil {
		return []error{fmt.Errorf("ROOST_JWT_KEY: %w", err)}
	}
	if _, err := token.New(c.tokenConfig(nil, nil)); err != nil {
		return []error{fmt.Errorf("ROOST_JWT_ALGORITHMS and ROOST_JWT_ID: %w", err)}
	}
	return nil
}
