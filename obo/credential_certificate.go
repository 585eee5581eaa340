package obo

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/onbehalf/onbehalf/identity"
)

// CertificateCredential is a certificate with its RSA key, in one file: PEM (the key in PKCS #8 or PKCS #1, not encrypted)
// or PFX (PKCS #12). The file may be replaced at any time; one that cannot be read leaves the former in force. Password
// opens a PFX and may be zero.
func CertificateCredential(path string, password identity.Secret) Credential {
	return certificateFile{path, password}
}

type certificateFile struct {
	path     string
	password identity.Secret
}

func (f certificateFile) bind(c *Config) (source, error) {
	s := &certificateSource{file: f, log: c.Logger, now: c.Now}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.load(context.Background())
	return s, err
}

type certificateSource struct {
	file certificateFile
	log  *slog.Logger
	now  func() time.Time

	mu         sync.Mutex
	seen       fileState // when it was last read
	digest     [sha256.Size]byte
	credential confidential.Credential
	version    int
}

// fileState tells whether a file was replaced without reading it.
type fileState struct {
	modified time.Time
	size     int64
}

func (s *certificateSource) current(ctx context.Context) (confidential.Credential, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state() != s.seen {
		if _, err := s.load(ctx); err != nil {
			s.log.WarnContext(ctx, "the new certificate file cannot be used; the former stays in force", slog.Any("error", err))
		}
	}
	return s.credential, s.version, nil
}

func (s *certificateSource) renew(ctx context.Context, refused int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.version != refused {
		return true
	}
	changed, err := s.load(ctx)
	return changed && err == nil
}

func (s *certificateSource) state() fileState {
	info, err := os.Stat(s.file.path)
	if err != nil {
		return fileState{}
	}
	return fileState{info.ModTime(), info.Size()}
}

// load reads the file and reports whether it holds something new.
func (s *certificateSource) load(ctx context.Context) (changed bool, err error) {
	s.seen = s.state() // before reading: a change in between shows the next time
	data, err := readSmall(s.file.path)
	if err != nil {
		return false, fmt.Errorf("certificate: %w", err)
	}
	digest := sha256.Sum256(data)
	if digest == s.digest {
		return false, nil
	}
	certificates, key, err := decode(data, s.file.password)
	if err != nil {
		return false, fmt.Errorf("certificate %s: %w", s.file.path, err)
	}
	credential, err := confidential.NewCredFromCert(certificates, key)
	if err != nil {
		return false, fmt.Errorf("certificate %s: %w (Entra takes RSA keys only)", s.file.path, err)
	}
	s.digest, s.credential = digest, credential
	s.version++
	if expires := certificates[0].NotAfter; s.now().After(expires.Add(-14 * 24 * time.Hour)) {
		s.log.WarnContext(ctx, "the certificate expires soon or has expired", slog.Time("expires", expires), slog.String("path", s.file.path))
	}
	return true, nil
}

func decode(data []byte, password identity.Secret) ([]*x509.Certificate, crypto.PrivateKey, error) {
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		if bytes.Contains(data, []byte("ENCRYPTED")) {
			return nil, nil, errors.New("encrypted PEM keys are not supported: use PFX, or an unencrypted key that only this server can read")
		}
		return confidential.CertFromPEM(data, "")
	}
	key, certificate, chain, err := pkcs12.DecodeChain(data, password.Reveal())
	if err != nil {
		return nil, nil, fmt.Errorf("neither PEM nor a PFX that the password opens: %w", err)
	}
	return append([]*x509.Certificate{certificate}, chain...), key, nil
}
