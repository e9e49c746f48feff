package webhook_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"roost/auth/webhook"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	a := &authority{}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	a.cert, a.key = a.sign(t, template)
	return a
}

func (a *authority) sign(t *testing.T, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// issue returns a certificate for 127.0.0.1, or for a name.
func (a *authority) issue(t *testing.T, common, name string) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: common}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	cert, key := a.sign(t, template)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// put writes a PEM file in whole, as those who rotate do.
func put(t *testing.T, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(name+".new", pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

func putPair(t *testing.T, config webhook.TLSConfig, pair tls.Certificate) {
	t.Helper()
	key, err := x509.MarshalECPrivateKey(pair.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	put(t, config.Key, "EC PRIVATE KEY", key)
	put(t, config.Cert, "CERTIFICATE", pair.Certificate[0])
}

// serveTLS starts a backend that wants certificates of ca and shows what current holds.
func serveTLS(t *testing.T, current *atomic.Pointer[tls.Config], handle http.HandlerFunc) string {
	s := httptest.NewUnstartedServer(handle)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return current.Load(), nil }}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

func TestTLS(t *testing.T) {
	old, next, stranger := newAuthority(t, "old"), newAuthority(t, "next"), newAuthority(t, "stranger")
	var current atomic.Pointer[tls.Config]
	show := func(server tls.Certificate, clients *authority) {
		current.Store(&tls.Config{Certificates: []tls.Certificate{server}, ClientCAs: clients.pool(), ClientAuth: tls.RequireAndVerifyClientCert})
	}
	names := make(chan string, 10)
	url := serveTLS(t, &current, func(w http.ResponseWriter, r *http.Request) {
		names <- r.TLS.PeerCertificates[0].Subject.CommonName
		w.Header().Set("Connection", "close") // so that each call shakes hands
		io.WriteString(w, `{"status":"ok"}`)
	})
	dir := t.TempDir()
	files := webhook.TLSConfig{CA: filepath.Join(dir, "ca"), Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")}
	put(t, files.CA, "CERTIFICATE", old.cert.Raw)
	putPair(t, files, old.issue(t, "first", "client"))
	c := newClient(t, webhook.Config{URL: url, TLS: files, Retries: -1})
	call := func(want string) {
		t.Helper()
		if _, err := c.Push(t.Context(), pushOf("e")); err != nil {
			t.Fatalf("got %v, want the call of %q to be answered", err, want)
		}
		if got := receive(t, names); got != want {
			t.Errorf("the client's certificate is %q, want %q", got, want)
		}
	}
	show(old.issue(t, "server", "127.0.0.1"), old)
	call("first")

	show(old.issue(t, "server", "192.0.2.1"), old)
	_, err := c.Push(t.Context(), pushOf("e"))
	wantFailure(t, err, "certificate is valid for 192.0.2.1")
	show(stranger.issue(t, "server", "127.0.0.1"), old)
	_, err = c.Push(t.Context(), pushOf("e"))
	wantFailure(t, err, "unknown authority")

	show(next.issue(t, "server", "127.0.0.1"), next)
	putPair(t, files, next.issue(t, "the second one", "client"))
	put(t, files.CA, "CERTIFICATE", next.cert.Raw)
	call("the second one")
	if err := os.WriteFile(files.CA, []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	call("the second one")
}

func TestTLSNeedsTheAuthority(t *testing.T) {
	ca := newAuthority(t, "ca")
	var current atomic.Pointer[tls.Config]
	current.Store(&tls.Config{Certificates: []tls.Certificate{ca.issue(t, "server", "127.0.0.1")}})
	url := serveTLS(t, &current, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"status":"ok"}`) })
	_, err := newClient(t, webhook.Config{URL: url, Retries: -1}).Push(t.Context(), pushOf("e"))
	wantFailure(t, err, "unknown authority")
}

func TestTLSErrors(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk")
	if err := os.WriteFile(junk, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		files webhook.TLSConfig
		want  string
	}{
		"no such CA":            {webhook.TLSConfig{CA: "/nowhere"}, "/nowhere"},
		"a CA that is none":     {webhook.TLSConfig{CA: junk}, "holds no certificate"},
		"a key without a cert":  {webhook.TLSConfig{Key: junk}, "belong together"},
		"a cert without a key":  {webhook.TLSConfig{Cert: junk}, "belong together"},
		"a pair that is no one": {webhook.TLSConfig{Cert: junk, Key: junk}, "TLS: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := webhook.New(webhook.Config{URL: "https://backend.test", TLS: c.files})
			wantFailure(t, err, c.want)
		})

	}
}
