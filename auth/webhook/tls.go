package webhook

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// TLSConfig names PEM files. They are read again, at the next handshake, when they change.
type TLSConfig struct {
	CA   string // who may sign a backend's certificate, instead of the system's roots
	Cert string // shown to backends; with Key
	Key  string
}

// tlsFiles holds what was last read from the files of a TLSConfig.
type tlsFiles struct {
	config TLSConfig
	log    *slog.Logger

	mu     sync.Mutex
	stamps [3]stamp
	roots  *x509.CertPool
	cert   *tls.Certificate
}

// stamp tells whether a file has changed.
type stamp struct {
	at   time.Time
	size int64
}

// newTLSFiles reads the files.
func newTLSFiles(config TLSConfig, log *slog.Logger) (*tlsFiles, error) {
	if (config.Cert == "") != (config.Key == "") {
		return nil, errors.New("TLS: a certificate and its key belong together: one of them is missing")
	}
	f := &tlsFiles{config: config, log: log}
	f.stamps = f.look()
	return f, f.read()
}

// look returns the stamps of the files as they are now.
func (f *tlsFiles) look() (now [3]stamp) {
	for i, name := range []string{f.config.CA, f.config.Cert, f.config.Key} {
		if name == "" {
			continue
		}
		if info, err := os.Stat(name); err == nil {
			now[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return now
}

// read reads the files. If one of them is wrong, everything stays as it was.
func (f *tlsFiles) read() error {
	roots, cert := f.roots, f.cert
	if f.config.CA != "" {
		pem, err := os.ReadFile(f.config.CA)
		if err != nil {
			return fmt.Errorf("TLS: %w", err)
		}
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(pem) {
			return fmt.Errorf("TLS: %s holds no certificate", f.config.CA)
		}
	}
	if f.config.Cert != "" {
		pair, err := tls.LoadX509KeyPair(f.config.Cert, f.config.Key)
		if err != nil {
			return fmt.Errorf("TLS: %w", err)
		}
		cert = &pair
	}
	f.roots, f.cert = roots, cert
	return nil
}

// current returns what the files hold, or held when they were last right.
func (f *tlsFiles) current() (*x509.CertPool, *tls.Certificate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.look(); now != f.stamps {
		if err := f.read(); err != nil {
			f.log.Warn("webhook TLS files not read again", "err", err) // and tried at the next handshake
		} else {
			f.stamps = now
		}
	}
	return f.roots, f.cert
}

// client returns how to reach the backend at host, or nil for Go's ways.
func (f *tlsFiles) client(host string) *tls.Config {
	if f.config == (TLSConfig{}) {
		return nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.config.Cert != "" {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			_, cert := f.current()
			return cert, nil
		}
	}
	if f.config.CA != "" {
		// Go's own verification would keep the roots of the start. VerifyConnection does the same with those of now.
		c.InsecureSkipVerify = true
		c.VerifyConnection = func(state tls.ConnectionState) error {
			name := state.ServerName
			if name == "" {
				name = host // an IP address is not sent to the server
			}
			return f.verify(state.PeerCertificates, name)
		}
	}
	return c
}

func (f *tlsFiles) verify(chain []*x509.Certificate, name string) error {
	roots, _ := f.current()
	options := x509.VerifyOptions{Roots: roots, DNSName: name, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(options)
	return err
}
