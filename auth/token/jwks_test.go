package token_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"roost/auth"
	"roost/auth/token"
)

// issuer serves a JWK Set whose keys a test may change.
type issuer struct {
	*httptest.Server
	asked atomic.Int64

	mu   sync.Mutex
	body func(w http.ResponseWriter)
}

func newIssuer(t *testing.T) *issuer {
	s := &issuer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.asked.Add(1)
		s.mu.Lock()
		body := s.body
		s.mu.Unlock()
		body(w)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *issuer) serve(body func(w http.ResponseWriter)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body = body
}

// publish serves these keys.
func (s *issuer) publish(keys ...map[string]any) {
	body, _ := json.Marshal(map[string]any{"keys": keys})
	s.serve(func(w http.ResponseWriter) { w.Write(body) })
}

func base64url(n *big.Int) string {
	return base64.RawURLEncoding.EncodeToString(n.FillBytes(make([]byte, 32)))
}

func newKey() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

// jwk is a public key as a set has it.
func jwk(id string, key *ecdsa.PrivateKey) map[string]any {
	return map[string]any{"kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "alg": "ES256", "x": base64url(key.X), "y": base64url(key.Y)}
}

// running is a verifier at work.
func running(t *testing.T, url string) *token.Verifier {
	t.Helper()
	v, _ := newVerifier(t, token.Config{JWKSURL: url, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { v.Run(ctx) })
	t.Cleanup(func() { stop(); done.Wait(); http.DefaultClient.CloseIdleConnections() })
	return v
}

func tokenBy(t testing.TB, id string, key *ecdsa.PrivateKey) string {
	return signed(t, jwt.SigningMethodES256, key, jwt.MapClaims{"sub": "42"}, "kid", id)
}

// TestRotation: while many tokens are verified, a new key is published and used, and the old one is taken away. Nobody with a
// token of a published key is refused, and the set is fetched a few times only.
func TestRotation(t *testing.T) {
	s := newIssuer(t)
	old, next := newKey(), newKey()
	s.publish(jwk("old", old))
	v := running(t, s.URL)
	var busy sync.WaitGroup
	verify := func(text string, n int) {
		for range 8 {
			busy.Go(func() {
				for range n {
					if _, err := v.Verify(t.Context(), text); err != nil {
						t.Errorf("got %v, want no error", err)
						return
					}
				}
			})
		}
	}
	verify(tokenBy(t, "old", old), 200)
	s.publish(jwk("old", old), jwk("new", next))
	verify(tokenBy(t, "new", next), 200)
	busy.Wait()
	if n := s.asked.Load(); n > 4 {
		t.Errorf("the set was fetched %d times, want 4 at most", n)
	}
}

// TestPublishedMeanwhile: a key that is published while the set is being fetched is known at once.
func TestPublishedMeanwhile(t *testing.T) {
	s := newIssuer(t)
	old, next := newKey(), newKey()
	s.publish(jwk("old", old))
	v := running(t, s.URL)
	for s.asked.Load() == 0 { // by the first fetch, which does not count as a look for a key
		time.Sleep(time.Millisecond)
	}
	if _, err := v.Verify(t.Context(), tokenBy(t, "old", old)); err != nil {
		t.Fatal(err)
	}
	asked, answer := make(chan bool), make(chan bool)
	s.serve(func(w http.ResponseWriter) { // as it was before
		asked <- true
		<-answer
		json.NewEncoder(w).Encode(map[string]any{"keys": []any{jwk("old", old)}})
	})
	var busy sync.WaitGroup
	busy.Go(func() { v.Verify(t.Context(), tokenBy(t, "none", next)) })
	<-asked
	s.publish(jwk("old", old), jwk("new", next))
	busy.Go(func() {
		if _, err := v.Verify(t.Context(), tokenBy(t, "new", next)); err != nil {
			t.Errorf("got %v, want no error", err)
		}
	})
	time.Sleep(50 * time.Millisecond) // it waits for the fetch that is under way
	close(answer)
	busy.Wait()
}

// TestUnknownKeys: tokens that name keys which are not there do not make the pod ask for the set over and over, and cost
// others nothing.
func TestUnknownKeys(t *testing.T) {
	s := newIssuer(t)
	key := newKey()
	s.publish(jwk("k", key))
	v := running(t, s.URL)
	if _, err := v.Verify(t.Context(), tokenBy(t, "k", key)); err != nil {
		t.Fatal(err)
	}
	before := s.asked.Load()
	refused := 0
	for i := range 500 {
		_, err := v.Verify(t.Context(), tokenBy(t, fmt.Sprint("../../etc/passwd' OR 1=1 -- ", i), key))
		var refusal *auth.Refusal
		if errors.As(err, &refusal) {
			refused++
		} else if err == nil {
			t.Fatal("got no error for a key that is not there")
		}
	}
	if n := s.asked.Load() - before; n > 2 {
		t.Errorf("the set was fetched %d times because of unknown ids, want twice at most", n)
	}
	if refused > 2 { // the one that was looked up; of the others nobody knows
		t.Errorf("%d of 500 were refused for good, want those that were looked up only", refused)
	}
	if _, err := v.Verify(t.Context(), tokenBy(t, "k", key)); err != nil {
		t.Errorf("meanwhile the known key: %v", err)
	}
	if _, err := v.Verify(t.Context(), tokenBy(t, "k", newKey())); err == nil {
		t.Error("another key under a known id: got no error")
	}
	text := raw(`{"alg":"HS256","kid":"k"}`, `{"sub":"42"}`, base64url(key.X))
	if _, err := v.Verify(t.Context(), text); err == nil {
		t.Error("a public key as a secret: got no error")
	}
}

// TestBadSets: what is no set changes nothing, and says nothing about tokens: they are not refused, but cannot be read now.
func TestBadSets(t *testing.T) {
	key := newKey()
	good, _ := json.Marshal(map[string]any{"keys": []any{jwk("k", key)}})
	for name, body := range map[string]func(w http.ResponseWriter){
		"503":     func(w http.ResponseWriter) { w.WriteHeader(503) },
		"no JSON": func(w http.ResponseWriter) { io.WriteString(w, "<html>") },
		"empty":   func(w http.ResponseWriter) { io.WriteString(w, `{"keys":[]}`) },
		"secrets": func(w http.ResponseWriter) {
			io.WriteString(w, `{"keys":[{"kty":"oct","kid":"k","k":"`+strings.Repeat("a", 64)+`"}]}`)
		},
		"for encryption": func(w http.ResponseWriter) {
			other := jwk("k", key)
			other["use"] = "enc"
			json.NewEncoder(w).Encode(map[string]any{"keys": []any{other}})
		},
		"100 MB": func(w http.ResponseWriter) {
			for range 100 {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newIssuer(t)
			s.serve(body)
			v := running(t, s.URL)
			_, err := v.Verify(t.Context(), tokenBy(t, "k", key))
			var refusal *auth.Refusal
			if err == nil || errors.As(err, &refusal) {
				t.Fatalf("got %v, want an error that is no refusal", err)
			}
		})
	}
	t.Run("and then a good one", func(t *testing.T) {
		s := newIssuer(t)
		s.serve(func(w http.ResponseWriter) { w.Write(good) })
		v := running(t, s.URL)
		for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			if _, err := v.Verify(t.Context(), tokenBy(t, "k", key)); err == nil {
				break
			} else if time.Now().After(end) {
				t.Fatal(err)
			}
		}
		s.serve(func(w http.ResponseWriter) { w.WriteHeader(500) })
		v.Verify(t.Context(), tokenBy(t, "unknown", key))
		if _, err := v.Verify(t.Context(), tokenBy(t, "k", key)); err != nil {
			t.Errorf("after a fetch that failed: %v, want the keys of the last time", err)
		}
	})
}

// TestKeysBesideASet: what a given key has signed needs no set, and of all else nothing is known while the set cannot be asked.
func TestKeysBesideASet(t *testing.T) {
	s := newIssuer(t)
	s.serve(func(w http.ResponseWriter) { w.WriteHeader(500) })
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	published := newKey()
	v, registry := newVerifier(t, token.Config{JWKSURL: s.URL, Keys: pemOf(&ecKey.PublicKey) + secret})
	if _, err := v.Verify(t.Context(), tokenBy(t, "given", ecKey)); err != nil {
		t.Errorf("by the given key: got %v", err)
	}
	var refusal *auth.Refusal
	if _, err := v.Verify(t.Context(), signed(t, jwt.SigningMethodHS256, []byte(other), jwt.MapClaims{"sub": "42"})); !errors.As(err, &refusal) {
		t.Errorf("by another secret: got %v, want a refusal", err)
	}
	if _, err := v.Verify(t.Context(), signed(t, jwt.SigningMethodES256, ecKey, jwt.MapClaims{"sub": "42", "exp": in(-time.Hour)})); !errors.As(err, &refusal) {
		t.Errorf("by the given key, but over: got %v, want a refusal", err)
	}
	if n := s.asked.Load(); n != 0 {
		t.Errorf("the set was asked %d times about what it does not decide", n)
	}
	if _, err := v.Verify(t.Context(), tokenBy(t, "k", published)); err == nil || errors.As(err, &refusal) {
		t.Errorf("by a key that may be in the set: got %v, want an error that is no refusal", err)
	}
	if got := refusals(t, registry, "unavailable"); got != 1 {
		t.Errorf("counted %v as unavailable, want 1", got)
	}
	s.publish(jwk("k", published))
	if _, err := v.Verify(t.Context(), tokenBy(t, "k", published)); err != nil {
		t.Errorf("by a key of the set: got %v", err)
	}
	if _, err := v.Verify(t.Context(), tokenBy(t, "k", newKey())); !errors.As(err, &refusal) {
		t.Errorf("by a stranger's key: got %v, want a refusal", err)
	}
}
