package token_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"roost/auth"
	"roost/auth/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret, other = "0123456789abcdef0123456789abcdef", "another-secret-of-more-than-32-bytes"

// Keys of each kind, made once.
var (
	rsaKey      = must(rsa.GenerateKey(rand.Reader, 2048))
	ecKey       = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	_, edKey, _ = ed25519.GenerateKey(rand.Reader)
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// pemOf is a public key as operators have it.
func pemOf(key crypto.PublicKey) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(key))}))
}

// signed is a token with these claims.
func signed(t testing.TB, method jwt.SigningMethod, key any, claims jwt.MapClaims, header ...string) string {
	t.Helper()
	made := jwt.NewWithClaims(method, claims)
	for i := 0; i+1 < len(header); i += 2 {
		made.Header[header[i]] = header[i+1]
	}
	text, err := made.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// raw is a token with this header and these claims, signed with HMAC and SHA-256.
func raw(header, claims, key string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	sum := hmac.New(sha256.New, []byte(key))
	sum.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(sum.Sum(nil))
}

func newVerifier(t testing.TB, cfg token.Config) (*token.Verifier, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	cfg.Registerer = registry
	v, err := token.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v, registry
}

// refusals returns how many tokens were refused for a reason.
func refusals(t testing.TB, r *prometheus.Registry, reason string) (n float64) {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "roost_tokens_refused_total" && m.GetLabel()[0].GetValue() == reason {
				n = m.GetCounter().GetValue()
			}
		}
	}
	return n
}

func in(d time.Duration) int64 { return time.Now().Add(d).Unix() }

// TestGoodTokens: every kind of key and algorithm, and several keys at once.
func TestGoodTokens(t *testing.T) {
	all := strings.Join([]string{secret, pemOf(&rsaKey.PublicKey), pemOf(&ecKey.PublicKey), other, pemOf(edKey.Public())}, "\n")
	v, _ := newVerifier(t, token.Config{Keys: all, Issuer: "me", Audience: []string{"roost", "chat"}, Leeway: 5 * time.Second})
	end := in(time.Hour)
	for name, c := range map[string]struct {
		method jwt.SigningMethod
		key    any
	}{
		"HS256": {jwt.SigningMethodHS256, []byte(secret)}, "HS512, the second secret": {jwt.SigningMethodHS512, []byte(other)},
		"RS256": {jwt.SigningMethodRS256, rsaKey}, "PS384": {jwt.SigningMethodPS384, rsaKey},
		"ES256": {jwt.SigningMethodES256, ecKey}, "EdDSA": {jwt.SigningMethodEdDSA, edKey},
	} {
		text := signed(t, c.method, c.key, jwt.MapClaims{"sub": "42", "iss": "me", "aud": []string{"x", "chat"}, "exp": end, "nbf": in(3 * time.Second),
			"topics": []string{"rooms:*", "user:{sub}", "exact"}, "n": 1}, "kid", "whatever")
		got, err := v.Verify(t.Context(), text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.Subject != "42" || got.ID != "user:42" || got.Expires.Unix() != end+5 || !json.Valid(got.Claims) {
			t.Errorf("%s: got %+v", name, got)
		}
		for topic, want := range map[string]bool{"rooms:lobby": true, "rooms:": true, "room": false, "user:42": true, "user:421": false, "exact": true, "exactly": false, "": false} {
			if got.Allows(topic) != want {
				t.Errorf("%s: %q is allowed: %v, want %v", name, topic, !want, want)
			}
		}
	}
}

// TestBadTokens: each has its reason, and its answer is 403 without a word.
func TestBadTokens(t *testing.T) {
	good := jwt.MapClaims{"sub": "42", "iss": "me", "aud": "roost", "exp": in(time.Hour)}
	with := func(changes ...any) jwt.MapClaims {
		c := jwt.MapClaims{}
		for k, v := range good {
			c[k] = v
		}
		for i := 0; i < len(changes); i += 2 {
			if c[changes[i].(string)] = changes[i+1]; changes[i+1] == nil {
				delete(c, changes[i].(string))
			}
		}
		return c
	}
	hs := func(c jwt.MapClaims) string { return signed(t, jwt.SigningMethodHS256, []byte(secret), c) }
	text := func(claims string) string { return raw(`{"alg":"HS256","typ":"JWT"}`, claims, secret) }
	plain := `"iss":"me","aud":"roost"`
	none := signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, good)
	public := pemOf(&rsaKey.PublicKey)
	for name, c := range map[string]struct{ token, reason string }{
		"nothing":                  {"", "malformed"},
		"garbage":                  {"x.y.z", "malformed"},
		"two parts":                {"a.b", "malformed"},
		"no JSON":                  {raw(`{"alg":"HS256"}`, `x`, secret), "malformed"},
		"too long":                 {hs(with("x", strings.Repeat("x", 20_000))), "malformed"},
		"a changed claim":          {strings.Replace(hs(good), ".", ".e", 1), "malformed"},
		"another secret":           {signed(t, jwt.SigningMethodHS256, []byte(other), good), "signature"},
		"no signature":             {hs(good)[:strings.LastIndex(hs(good), ".")+1], "signature"},
		"alg none":                 {none, "algorithm"},
		"alg None":                 {raw(`{"alg":"None"}`, `{"sub":"42",`+plain+`}`, secret), "algorithm"},
		"alg that is not listed":   {signed(t, jwt.SigningMethodHS384, []byte(secret), good), "algorithm"},
		"no alg":                   {raw(`{"typ":"JWT"}`, `{"sub":"42",`+plain+`}`, secret), "algorithm"},
		"a public key as secret":   {signed(t, jwt.SigningMethodHS256, []byte(public), good), "signature"},
		"another private key":      {signed(t, jwt.SigningMethodRS256, must(rsa.GenerateKey(rand.Reader, 2048)), good), "signature"},
		"a key in the header":      {signed(t, jwt.SigningMethodHS256, []byte(other), good, "jwk", `{"kty":"oct","k":"YQ"}`, "jku", "http://127.0.0.1:1/"), "signature"},
		"a header that must count": {raw(`{"alg":"HS256","crit":["b64"],"b64":false}`, `{"sub":"42",`+plain+`}`, secret), "malformed"},
		"expired":                  {hs(with("exp", in(-10*time.Second))), "expired"},
		"not yet":                  {hs(with("nbf", in(time.Minute))), "not_yet"},
		"exp no number":            {hs(with("exp", "tomorrow")), "malformed"},
		"another issuer":           {hs(with("iss", "you")), "issuer"},
		"no issuer":                {hs(with("iss", nil)), "issuer"},
		"another audience":         {hs(with("aud", "elsewhere")), "audience"},
		"no audience":              {hs(with("aud", nil)), "audience"},
		"no subject":               {hs(with("sub", nil)), "subject"},
		"an empty subject":         {hs(with("sub", "")), "subject"},
		"a subject that is long":   {hs(with("sub", strings.Repeat("x", 2000))), "subject"},
		"a subject no text":        {hs(with("sub", 42)), "malformed"},
		"topics no list":           {hs(with("topics", "rooms:*")), "malformed"},
		"two subjects":             {text(`{"sub":"42","sub":"1",` + plain + `}`), "malformed"},
		"two subjects in capitals": {text(`{"sub":"42","SUB":"1",` + plain + `}`), "malformed"},
		"a subject with a long s":  {text(`{"\u017fub":"1",` + plain + `}`), "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			v, metrics := newVerifier(t, token.Config{
				Keys: secret + "\n" + public, Algorithms: []string{"HS256", "RS256"}, Issuer: "me", Audience: []string{"roost"}, Leeway: 5 * time.Second,
			})
			got, err := v.Verify(t.Context(), c.token)
			var refusal *auth.Refusal
			if !errors.As(err, &refusal) || refusal.Code != http.StatusForbidden || refusal.Response != nil {
				t.Fatalf("got %+v, %v, want 403", got, err)
			}
			if refusals(t, metrics, c.reason) != 1 {
				t.Errorf("want it counted as %s; got %v", c.reason, must(metrics.Gather()))
			}
		})
	}
}

// A subject that looks like a pattern is none.
func TestSubjectIsNoPattern(t *testing.T) {
	v, _ := newVerifier(t, token.Config{Keys: secret, ID: "{sub}"})
	got, err := v.Verify(t.Context(), signed(t, jwt.SigningMethodHS256, []byte(secret), jwt.MapClaims{"sub": "*", "topics": []string{"user:{sub}"}}))
	if err != nil || got.ID != "*" || got.Allows("user:1") || !got.Allows("user:*") {
		t.Errorf("got %+v, %v, want user:* as a topic of its own", got, err)
	}
}

func TestConfigErrors(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  token.Config
		want string
	}{
		"nothing":          {token.Config{}, "there is no key"},
		"short secret":     {token.Config{Keys: "hunter2"}, "a secret has 7 characters"},
		"algorithm":        {token.Config{Keys: secret, Algorithms: []string{"none"}}, `"none" is not one of`},
		"key does not fit": {token.Config{Keys: secret, Algorithms: []string{"RS256"}}, "of the kind hmac"},
		"template":         {token.Config{Keys: secret, ID: "user"}, "has no {sub}"},
		"private key":      {token.Config{Keys: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}))}, "a public key is wanted"},
		"half a PEM":       {token.Config{Keys: "-----BEGIN PUBLIC KEY----- abc"}, "not whole"},
		"small RSA":        {token.Config{Keys: smallRSA()}, "of a size"},
		"too many":         {token.Config{Keys: strings.Repeat(secret+" ", 17)}, "17 keys"},
		"HMAC for a set":   {token.Config{JWKSURL: "http://issuer.test", Algorithms: []string{"HS256", "HS512"}}, "takes a public key"},
		"a JWK":            {token.Config{Keys: `{"kty":"EC","crv":"P-256","x":"aaaaaaaaaaaaaaa","y":"bbbbbbbbbbbbbbbbb"}`}, "a JWK is no secret"},
		"bare RSA":         {token.Config{Keys: bare(base64.StdEncoding, &rsaKey.PublicKey)}, "no PEM lines"},
		"bare EC":          {token.Config{Keys: bare(base64.RawURLEncoding, &ecKey.PublicKey)}, "no PEM lines"},
		"bare Ed25519":     {token.Config{Keys: secret + " " + bare(base64.StdEncoding, edKey.Public())}, "no PEM lines"},
		"bare PKCS #1":     {token.Config{Keys: base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey))}, "no PEM lines"},
		"bare certificate": {token.Config{Keys: base64.StdEncoding.EncodeToString(certificate())}, "no PEM lines"},
		"bare lines": {token.Config{Keys: secret + "\n" + inLines(bare(base64.StdEncoding, &rsaKey.PublicKey))},
			"no PEM lines"},
	} {
		if _, err := token.New(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// bare is a public key without the lines of PEM.
func bare(encoding *base64.Encoding, key crypto.PublicKey) string {
	return encoding.EncodeToString(must(x509.MarshalPKIXPublicKey(key)))
}

// inLines cuts text into lines of 64 bytes.
func inLines(text string) string {
	return string(bytes.Join(slices.Collect(slices.Chunk([]byte(text), 64)), []byte("\n")))
}

// certificate is one in DER.
func certificate() []byte {
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	return must(x509.CreateCertificate(rand.Reader, template, template, &ecKey.PublicKey, ecKey))
}

// smallRSA is a key of 1024 bits, which Go does not make any more.
func smallRSA() string {
	key := rsa.PublicKey{N: rsaKey.Primes[0], E: 65537}
	return pemOf(&key)
}

func TestSign(t *testing.T) {
	cfg := token.Config{Keys: pemOf(&ecKey.PublicKey) + secret, Issuer: "me", Audience: []string{"roost"}}
	text, err := token.Sign(cfg, "42", []string{"rooms:*"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	v, _ := newVerifier(t, cfg)
	if got, err := v.Verify(t.Context(), text); err != nil || got.Subject != "42" || !got.Allows("rooms:x") || time.Until(got.Expires) < 50*time.Minute {
		t.Errorf("got %+v, %v", got, err)
	}
	cfg.Algorithms = []string{"ES256", "HS512", "HS256"}
	if text, err = token.Sign(cfg, "42", nil, time.Hour); err != nil {
		t.Fatal(err)
	}
	cfg.Algorithms = cfg.Algorithms[:2]
	v, _ = newVerifier(t, cfg)
	if _, err := v.Verify(t.Context(), text); err != nil {
		t.Errorf("where HS512 is the first for secrets: got %v", err)
	}
	if _, err := token.Sign(token.Config{Keys: pemOf(&ecKey.PublicKey)}, "42", nil, 0); err == nil || !strings.Contains(err.Error(), "no shared secret") {
		t.Errorf("with a public key: got %v", err)
	}
}

// FuzzVerify: whatever comes as a token is refused, and nothing panics.
func FuzzVerify(f *testing.F) {
	v, _ := newVerifier(f, token.Config{Keys: secret + pemOf(&rsaKey.PublicKey)})
	f.Add("a.b.c")
	f.Add(signed(f, jwt.SigningMethodHS256, []byte(other), jwt.MapClaims{"sub": "42"}))
	f.Add(raw(`{"alg":"none"}`, `{"sub":"42"}`, ""))
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := v.Verify(t.Context(), text); err == nil {
			t.Errorf("%q: got %+v", text, got)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	for name, c := range map[string]struct {
		method jwt.SigningMethod
		key    any
		public string
	}{"HS256": {jwt.SigningMethodHS256, []byte(secret), secret}, "ES256": {jwt.SigningMethodES256, ecKey, pemOf(&ecKey.PublicKey)}} {
		v, _ := newVerifier(b, token.Config{Keys: c.public})
		text := signed(b, c.method, c.key, jwt.MapClaims{"sub": "42", "exp": in(time.Hour), "topics": []string{"rooms:*"}})
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
