package token

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus"

	"roost/auth"
	"roost/internal/rawjson"
)

// Bounds of a token.
const (
	maxToken   = 16 << 10 // bytes
	maxSubject = 1 << 10  // bytes
	maxTopics  = 1000
)

// subject stands for the claim sub in templates.
const subject = "{sub}"

// Config says which tokens count. Keys or JWKSURL is required.
type Config struct {
	Keys       string   // as ParseKeys reads them
	JWKSURL    string   // of a JWK Set (RFC 7517)
	Algorithms []string // that may be used. Default: all that fit the keys
	Issuer     string   // that the claim iss must be. Default: any, or none
	Audience   []string // of which the claim aud must have one. Default: any, or none
	ID         string   // the socket id, with {sub} for the claim sub. Default: user:{sub}
	Leeway     time.Duration

	Logger     *slog.Logger          // Default: slog.Default
	Registerer prometheus.Registerer // Default: nowhere
}

// Verifier implements [auth.Verifier].
type Verifier struct {
	cfg     Config
	keys    []any
	set     *keySet // nil if there is no JWK Set
	parser  *jwt.Parser
	metrics *metrics
}

var _ auth.Verifier = (*Verifier)(nil)

// New returns a verifier. Its errors say what is wrong with cfg; they hold no key.
func New(cfg Config) (*Verifier, error) {
	keys, err := ParseKeys(cfg.Keys)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 && cfg.JWKSURL == "" {
		return nil, errors.New("there is no key, and no JWK Set")
	}
	if err := checkAlgorithms(cfg.Algorithms); err != nil {
		return nil, err
	}
	if len(cfg.Algorithms) == 0 {
		cfg.Algorithms = defaultAlgorithms(keys, cfg.JWKSURL != "")
	}
	for _, key := range keys {
		if !slices.ContainsFunc(cfg.Algorithms, func(name string) bool { return fits(key, name) }) {
			return nil, fmt.Errorf("a key is of the kind %s, which none of the algorithms takes", kindOf(key))
		}
	}
	if cfg.JWKSURL != "" && !slices.ContainsFunc(cfg.Algorithms, func(name string) bool { return !fits([]byte(nil), name) }) {
		return nil, errors.New("none of the algorithms takes a public key, and a JWK Set has no others")
	}
	if cfg.ID == "" {
		cfg.ID = "user:" + subject
	}
	if !strings.Contains(cfg.ID, subject) {
		return nil, fmt.Errorf("the template %q of socket ids has no %s: all users would be one", cfg.ID, subject)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	options := []jwt.ParserOption{jwt.WithValidMethods(cfg.Algorithms), jwt.WithLeeway(cfg.Leeway), jwt.WithStrictDecoding()}
	if cfg.Issuer != "" {
		options = append(options, jwt.WithIssuer(cfg.Issuer))
	}
	if len(cfg.Audience) > 0 {
		options = append(options, jwt.WithAudience(cfg.Audience...))
	}
	v := &Verifier{cfg: cfg, keys: keys, parser: jwt.NewParser(options...), metrics: newMetrics(cfg.Registerer)}
	if cfg.JWKSURL != "" {
		v.set = newKeySet(cfg.JWKSURL, cfg.Logger, v.metrics)
	}
	return v, nil
}

// Run keeps the JWK Set up to date until ctx ends. It blocks.
func (v *Verifier) Run(ctx context.Context) error {
	if v.set != nil {
		v.set.run(ctx)
	}
	<-ctx.Done()
	return nil
}

// claims are those that we look at.
type claims struct {
	jwt.RegisteredClaims
	Topics []string `json:"topics"`
}

// Verify implements [auth.Verifier]. A token that is no good is refused with 403, and counted by the reason.
func (v *Verifier) Verify(ctx context.Context, text string) (*auth.Token, error) {
	t, reason := v.verify(ctx, text)
	if reason == "" {
		return t, nil
	}
	v.metrics.refused.WithLabelValues(reason).Inc()
	if reason == unavailable {
		return nil, errUnavailable
	}
	return nil, &auth.Refusal{Code: http.StatusForbidden}
}

// Reasons why a token does not count.
const (
	malformed    = "malformed"
	badAlgorithm = "algorithm"
	unknownKey   = "unknown_key"
	badSignature = "signature"
	expired      = "expired"
	notYet       = "not_yet"
	badIssuer    = "issuer"
	badAudience  = "audience"
	badSubject   = "subject"
	unavailable  = "unavailable"
)

// errUnknownKey and errCritical end the parsing of a token.
var (
	errUnknownKey = errors.New("token: no such key")
	errCritical   = errors.New("token: it has a header that must be understood, and is not")
)

func (v *Verifier) verify(ctx context.Context, text string) (t *auth.Token, reason string) {
	if len(text) > maxToken {
		return nil, malformed
	}
	c, reason := v.parse(ctx, text)
	if reason != "" {
		return nil, reason
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[1])
	if err != nil || len(c.Topics) > maxTopics || !isPlain(raw) {
		return nil, malformed
	}
	if c.Subject == "" || len(c.Subject) > maxSubject {
		return nil, badSubject
	}
	t = &auth.Token{Subject: c.Subject, ID: v.fill(v.cfg.ID, c.Subject), Claims: json.RawMessage(raw)}
	if c.ExpiresAt != nil {
		t.Expires = c.ExpiresAt.Add(v.cfg.Leeway)
	}
	for _, pattern := range c.Topics {
		prefix, wildcard := strings.CutSuffix(pattern, "*")
		t.Topics = append(t.Topics, auth.TopicPattern{Text: v.fill(prefix, c.Subject), Prefix: wildcard})
	}
	return t, ""
}

func (v *Verifier) fill(template, sub string) string {
	return strings.ReplaceAll(template, subject, sub)
}

// parse reads a token that one of the given keys has signed, or else one of the JWK Set, which is not asked about others.
func (v *Verifier) parse(ctx context.Context, text string) (c claims, reason string) {
	set := false // one of the set's may have
	reason = v.parseBy(text, &c, func(t *jwt.Token) ([]any, error) {
		set = v.set != nil && !fits([]byte(nil), t.Method.Alg())
		return v.keys, nil
	})
	if !set || reason != badSignature && reason != unknownKey {
		return c, reason
	}
	c = claims{}
	reason = v.parseBy(text, &c, func(t *jwt.Token) ([]any, error) {
		id, _ := t.Header["kid"].(string)
		return v.set.keys(ctx, id)
	})
	return c, reason
}

// parseBy reads a token that one of some keys has signed. Its algorithm is one of the list, and takes keys of its own kind.
func (v *Verifier) parseBy(text string, c *claims, keysOf func(*jwt.Token) ([]any, error)) (reason string) {
	_, err := v.parser.ParseWithClaims(text, c, func(t *jwt.Token) (any, error) {
		if _, found := t.Header["crit"]; found {
			return nil, errCritical
		}
		keys, err := keysOf(t)
		if err != nil {
			return nil, err
		}
		fit := verificationKeys(keys, t.Method.Alg())
		if len(fit.Keys) == 0 {
			return nil, errUnknownKey
		}
		return fit, nil
	})
	if err != nil {
		return reasonOf(err)
	}
	return ""
}

// reasonOf says why the parser did not take a token.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, errUnavailable):
		return unavailable
	case errors.Is(err, errUnknownKey):
		return unknownKey
	case errors.Is(err, jwt.ErrTokenExpired):
		return expired
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return notYet
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return badIssuer
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return badAudience
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return badClaim(err)
	case errors.Is(err, jwt.ErrTokenSignatureInvalid) && strings.Contains(err.Error(), "signing method"):
		return badAlgorithm
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return badSignature
	case errors.Is(err, jwt.ErrTokenUnverifiable) && !errors.Is(err, errCritical):
		return badAlgorithm
	default:
		return malformed
	}
}

// badClaim names the claim that is missing.
func badClaim(err error) string {
	if strings.Contains(err.Error(), "iss claim") {
		return badIssuer
	}
	return badAudience
}

// readClaims are those that encoding/json finds for us, in whatever case they are written.
var readClaims = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "topics"}

// isPlain tells whether claims are an object in which no name stands twice, nor one of ours in another case: two readers could
// read two tokens.
func isPlain(raw []byte) bool {
	seen := map[string]bool{}
	plain := true
	err := rawjson.Object(raw, func(k, _ []byte) error {
		key := string(k)
		other := slices.ContainsFunc(readClaims, func(name string) bool { return key != name && strings.EqualFold(key, name) })
		plain = plain && !seen[key] && !other
		seen[key] = true
		return nil
	})
	return err == nil && plain
}
