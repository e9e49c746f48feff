package redisbroker_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roost/hub/redisbroker"
	"roost/internal/redistest"
)

// urlInChild names the server for the tests that run in a process of their own: which authorities a process trusts is read
// once.
const urlInChild = "REDISBROKER_TLS_URL"

// TestTLS: rediss:// works with a server whose authority the system trusts, and with no other.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	certificate(t, dir)
	s := redistest.Start(t, "--tls-port", "0")
	if s.Client.ConfigSet(t.Context(), "tls-port", "0").Err() != nil {
		t.Skip("redis-server was built without TLS")
	}
	port := freePort(t)
	for name, value := range map[string]string{"tls-cert-file": "cert.pem", "tls-key-file": "key.pem", "tls-ca-cert-file": "cert.pem"} {
		if err := s.Client.ConfigSet(t.Context(), name, filepath.Join(dir, value)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{"tls-auth-clients": "no", "tls-port": port} {
		if err := s.Client.ConfigSet(t.Context(), name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for test, trusted := range map[string]string{"TestTLSTrusted": filepath.Join(dir, "cert.pem"), "TestTLSNotTrusted": os.DevNull} {
		t.Run(test, func(t *testing.T) {
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$", "-test.v")
			child.Env = append(os.Environ(), urlInChild+"=rediss://127.0.0.1:"+port, "SSL_CERT_FILE="+trusted, "SSL_CERT_DIR="+os.DevNull)
			out, err := child.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "--- PASS: "+test) {
				t.Errorf("got %v\n%s", err, out)
			}
		})
	}
}

// TestTLSTrusted runs in a child of TestTLS.
func TestTLSTrusted(t *testing.T) {
	p := start(t, redisbroker.Config{URL: childURL(t)})
	p.subscribe(t, "topic:x")
	done := make(chan error, 1)
	p.Publish("topic:x", []byte("hello"), func(err error) { done <- err })
	if err := await(t, done); err != nil {
		t.Fatal(err)
	}
	p.awaitMessages(t, "topic:x", 1)
}

// TestTLSNotTrusted runs in a child of TestTLS.
func TestTLSNotTrusted(t *testing.T) {
	p := run(t, open(t, redisbroker.Config{URL: childURL(t), PodID: "pod-a"}))
	done := make(chan error, 1)
	p.Publish("topic:x", []byte("hello"), func(err error) { done <- err })
	if err := await(t, done); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v, want an error about the certificate", err)
	}
}

func childURL(t *testing.T) string {
	t.Helper()
	url := os.Getenv(urlInChild)
	if url == "" {
		t.Skip("runs in a child of TestTLS")
	}
	return url
}

// certificate writes a certificate for 127.0.0.1 that is its own authority, and its key.
func certificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "roost test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(closedPort(t))
	if err != nil {
		t.Fatal(err)
	}
	return port
}
