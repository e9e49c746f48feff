package conformance_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
)

// signer is a private key, and how a JWK Set names it.
type signer struct {
	id  string
	key *ecdsa.PrivateKey
}

func newSigner(t *testing.T, id string) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{id, key}
}

// sign makes a token by hand.
func (s *signer) sign(t *testing.T, sub string) string {
	t.Helper()
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	text := part(`{"alg":"ES256","kid":`+quote(s.id)+`}`) + "." + part(`{"sub":`+quote(sub)+`}`)
	sum := sha256.Sum256([]byte(text))
	r, v, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...))
}

// jwk is the public key.
func (s *signer) jwk() string {
	part := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.FillBytes(make([]byte, 32))) }
	return fmt.Sprintf(`{"kty":"EC","crv":"P-256","use":"sig","kid":%q,"x":%q,"y":%q}`, s.id, part(s.key.X), part(s.key.Y))
}

// TestKeySetRotates: while clients connect all the time, a new key is published and used, and the old one is taken away. Nobody whose key is
// published is refused, and the pod asks for the set a few times only, whatever ids strangers name.
func TestKeySetRotates(t *testing.T) {
	t.Parallel()
	old, next, stranger := newSigner(t, "2026-10"), newSigner(t, "2026-11"), newSigner(t, "../../etc/passwd")
	var set atomic.Value
	var asked atomic.Int64
	set.Store(`{"keys":[` + old.jwk() + `]}`)
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		io.WriteString(w, set.Load().(string))
	}))
	t.Cleanup(issuer.Close)
	own := aboutTokens(t, settings{"ROOST_JWT_JWKS_URL": issuer.URL})
	delete(own, "ROOST_JWT_KEY")
	p := ownPod(t, lab.redis.url(), own)
	connect := func(s *signer) int { return attempt(t, p, "vsn=2.0.0&token="+s.sign(t, newUser()), nil).Status }
	eventually(t, func() error {
		if got := connect(old); got != http.StatusSwitchingProtocols {
			return fmt.Errorf("got %d of the first key, want 101", got)
		}
		return nil
	})
	stop := make(chan struct{})
	var busy sync.WaitGroup
	busy.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if got := connect(old); got != http.StatusSwitchingProtocols {
				t.Errorf("the old key, while it is published: got %d, want 101", got)
				return
			}
		}
	})
	set.Store(`{"keys":[` + old.jwk() + `,` + next.jwk() + `]}`)
	for range 50 {
		if got := connect(next); got != http.StatusSwitchingProtocols {
			t.Fatalf("the new key: got %d, want 101", got)
		}
	}
	close(stop)
	busy.Wait()
	set.Store(`{"keys":[` + next.jwk() + `]}`)
	for range 50 {
		if got := connect(stranger); got == http.StatusSwitchingProtocols {
			t.Fatal("a stranger's key was let in")
		}
	}
	if n := asked.Load(); n > 6 {
		t.Errorf("the set was fetched %d times, want a few", n)
	}
	if got := connect(next); got != http.StatusSwitchingProtocols {
		t.Errorf("the new key, afterwards: got %d, want 101", got)
	}
}
