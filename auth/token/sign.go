package token

import (
	"errors"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Sign makes a token for trying out, with the first shared secret of cfg.Keys and the first of cfg.Algorithms that takes it. A
// lifetime of 0 means that it never ends.
func Sign(cfg Config, sub string, topics []string, lifetime time.Duration) (string, error) {
	keys, err := ParseKeys(cfg.Keys)
	if err != nil {
		return "", err
	}
	var secret []byte
	for _, key := range keys {
		if k, ok := key.([]byte); ok && secret == nil {
			secret = k
		}
	}
	if secret == nil {
		return "", errors.New("there is no shared secret to sign with: a public key can only verify")
	}
	method := jwt.SigningMethod(jwt.SigningMethodHS256)
	if at := slices.IndexFunc(cfg.Algorithms, func(name string) bool { return fits(secret, name) }); at >= 0 {
		method = jwt.GetSigningMethod(cfg.Algorithms[at])
	}
	now := time.Now()
	c := jwt.MapClaims{"sub": sub, "iat": now.Unix()}
	if lifetime > 0 {
		c["exp"] = now.Add(lifetime).Unix()
	}
	if len(topics) > 0 {
		c["topics"] = topics
	}
	if cfg.Issuer != "" {
		c["iss"] = cfg.Issuer
	}
	if len(cfg.Audience) > 0 {
		c["aud"] = cfg.Audience[0]
	}
	return jwt.NewWithClaims(method, c).SignedString(secret)
}
