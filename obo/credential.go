package obo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/onbehalf/onbehalf/identity"
)

// Credential proves to Entra that this server is the application it claims to be. [SecretCredential],
// [CertificateCredential], [TokenFileCredential] and [ManagedIdentityCredential] make one.
type Credential interface {
	bind(c *Config) (source, error)
}

// source yields the credential in force.
type source interface {
	// current returns what to present now, and its version.
	current(ctx context.Context) (confidential.Credential, int, error)
	// renew is called after Entra refused the version; it reports whether there is another one now.
	renew(ctx context.Context, refused int) bool
}

// SecretCredential is a client secret. Read is called once at the start and again when Entra says that the secret is
// wrong or has expired (AADSTS7000215, AADSTS7000222), so that a rotated one needs no restart.
func SecretCredential(read func() (identity.Secret, error)) Credential { return secretCredential(read) }

// Secret is a [SecretCredential] that never changes.
func Secret(s identity.Secret) Credential {
	return SecretCredential(func() (identity.Secret, error) { return s, nil })
}

type secretCredential func() (identity.Secret, error)

func (read secretCredential) bind(*Config) (source, error) {
	s := &secretSource{read: read}
	secret, err := s.load()
	s.secret = secret
	return s, err
}

type secretSource struct {
	read func() (identity.Secret, error)

	mu      sync.Mutex
	secret  identity.Secret
	version int
}

func (s *secretSource) load() (identity.Secret, error) {
	secret, err := s.read()
	if err != nil {
		return identity.Secret{}, fmt.Errorf("client secret: %w", err)
	}
	if secret.IsZero() {
		return identity.Secret{}, errors.New("client secret: it is empty")
	}
	return secret, nil
}

func (s *secretSource) current(context.Context) (confidential.Credential, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	credential, err := confidential.NewCredFromSecret(s.secret.Reveal())
	return credential, s.version, err
}

func (s *secretSource) renew(_ context.Context, refused int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.version != refused { // somebody was faster
		return true
	}
	secret, err := s.load()
	if err != nil || secret.Reveal() == s.secret.Reveal() {
		return false
	}
	s.secret, s.version = secret, s.version+1
	return true
}

// TokenFileCredential is a token of another identity provider, such as Kubernetes, that a federated credential of the
// application trusts (workload identity federation). The file is read for each exchange, since it is replaced often.
//
// https://learn.microsoft.com/entra/workload-id/workload-identity-federation
func TokenFileCredential(path string) Credential { return tokenFile(path) }

type tokenFile string

func (path tokenFile) bind(*Config) (source, error) {
	_, err := path.read()
	return path, err
}

func (path tokenFile) current(context.Context) (confidential.Credential, int, error) {
	token, err := path.read()
	if err != nil {
		return confidential.Credential{}, 0, err
	}
	return fromAssertion(token), 0, nil
}

func (path tokenFile) renew(context.Context, int) bool { return false }

func (path tokenFile) read() (identity.Secret, error) {
	text, err := readSmall(string(path))
	if err != nil {
		return identity.Secret{}, fmt.Errorf("federated token file: %w", err)
	}
	token := identity.NewSecret(strings.TrimSpace(string(text)))
	if token.IsZero() {
		return identity.Secret{}, fmt.Errorf("federated token file %s: it is empty", path)
	}
	return token, nil
}

func fromAssertion(token identity.Secret) confidential.Credential {
	return confidential.NewCredFromAssertionCallback(func(context.Context, confidential.AssertionRequestOptions) (string, error) {
		return token.Reveal(), nil
	})
}

// maxFile bounds the files that credentials are read from.
const maxFile = 1 << 20

func readSmall(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s: larger than %d bytes", path, maxFile)
	}
	return data, err
}
