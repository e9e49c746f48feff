package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// Bounds of keys.
const (
	minSecret = 32 // bytes: RFC 7518, section 3.2
	maxKeys   = 16
	minRSA    = 2048 // bits

	maxKeyLines = 64 // of base64, of a public key that has lost its PEM lines
)

// algorithms are those that there are, by the kind of their keys.
var algorithms = map[string][]string{
	"hmac": {"HS256", "HS384", "HS512"}, "rsa": {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"},
	"P-256": {"ES256"}, "P-384": {"ES384"}, "P-521": {"ES512"}, "ed25519": {"EdDSA"},
}

// ParseKeys reads keys: shared secrets between spaces or lines, and public keys (or certificates) in PEM. All of them count, so
// that a new one can be added before the old one is taken away.
func ParseKeys(text string) (keys []any, err error) {
	rest := []byte(text)
	var secrets strings.Builder
	for {
		at := strings.Index(string(rest), "-----BEGIN")
		if at < 0 {
			break
		}
		secrets.Write(rest[:at])
		secrets.WriteByte(' ')
		block, after := pem.Decode(rest[at:])
		if block == nil {
			return nil, errors.New("a PEM block is not whole, or has no line ends: keep the lines of the file")
		}
		key, err := publicKey(block)
		if err != nil {
			return nil, err
		}
		keys, rest = append(keys, key), after
	}
	secrets.Write(rest)
	words := strings.Fields(secrets.String())
	if err := checkSecrets(words); err != nil {
		return nil, err
	}
	for _, secret := range words {
		keys = append(keys, []byte(secret))
	}
	if len(keys) > maxKeys {
		return nil, fmt.Errorf("there are %d keys, more than %d: a token is tried with each", len(keys), maxKeys)
	}
	return keys, nil
}

// checkSecrets returns an error if what would be a secret is too short, or is what everybody may know: a public key without the lines
// of PEM, or a JWK.
func checkSecrets(words []string) error {
	for i, word := range words {
		if strings.HasPrefix(word, "{") {
			return errors.New("a JWK is no secret: write its public key in PEM, or serve it in a set for ROOST_JWT_JWKS_URL")
		}
		for end := range words[i:min(i+maxKeyLines, len(words))] {
			if isPublic(strings.Join(words[i:i+end+1], "")) {
				return errors.New("a public key or certificate has no PEM lines: put it between -----BEGIN PUBLIC KEY----- and -----END PUBLIC KEY-----, or CERTIFICATE")
			}
		}
	}
	for _, word := range words {
		if len(word) < minSecret {
			return fmt.Errorf("a secret has %d characters: use %d or more, such as those of: openssl rand -hex 32", len(word), minSecret)
		}
	}
	return nil
}

// base64Plain makes one alphabet of base64's two, without padding.
var base64Plain = strings.NewReplacer("-", "+", "_", "/", "=", "")

// isPublic tells whether text is the base64 of a public key or a certificate.
func isPublic(text string) bool {
	der, err := base64.RawStdEncoding.DecodeString(base64Plain.Replace(text))
	if err != nil {
		return false
	}
	_, asKey := x509.ParsePKIXPublicKey(der)
	_, asRSA := x509.ParsePKCS1PublicKey(der)
	_, asCertificate := x509.ParseCertificate(der)
	return asKey == nil || asRSA == nil || asCertificate == nil
}

func publicKey(block *pem.Block) (any, error) {
	var key any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var cert *x509.Certificate
		if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = cert.PublicKey
		}
	default:
		return nil, fmt.Errorf("a PEM block holds a %s: a public key is wanted, as by: openssl pkey -pubout", strings.ToLower(block.Type))
	}
	if err != nil {
		return nil, fmt.Errorf("a PEM block cannot be read: %w", err)
	}
	if kindOf(key) == "" {
		return nil, errors.New("a public key is of a kind, or of a size, that no algorithm here takes")
	}
	return key, nil
}

// kindOf names the kind of a key that we can use, or returns "".
func kindOf(key any) string {
	switch k := key.(type) {
	case []byte:
		return "hmac"
	case *rsa.PublicKey:
		if k.N.BitLen() >= minRSA {
			return "rsa"
		}
	case *ecdsa.PublicKey:
		if name := k.Curve.Params().Name; algorithms[name] != nil {
			return name
		}
	case ed25519.PublicKey:
		return "ed25519"
	}
	return ""
}

// fits tells whether a key is of the kind that an algorithm needs. This is what keeps a public key from being taken for a
// shared secret.
func fits(key any, algorithm string) bool { return slices.Contains(algorithms[kindOf(key)], algorithm) }

// checkAlgorithms returns an error if one of names is none that we know.
func checkAlgorithms(names []string) error {
	var known []string
	for _, list := range algorithms {
		known = append(known, list...)
	}
	slices.Sort(known)
	for _, name := range names {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%q is not one of %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// defaultAlgorithms are those that the keys take, and of a JWK Set those with public keys.
func defaultAlgorithms(keys []any, set bool) (names []string) {
	for kind, list := range algorithms {
		if set && kind != "hmac" || slices.ContainsFunc(keys, func(key any) bool { return kindOf(key) == kind }) {
			names = append(names, list...)
		}
	}
	slices.Sort(names)
	return names
}

// verificationKeys are those of keys that fit an algorithm.
func verificationKeys(keys []any, algorithm string) (set jwt.VerificationKeySet) {
	for _, key := range keys {
		if fits(key, algorithm) {
			set.Keys = append(set.Keys, key)
		}
	}
	return set
}
