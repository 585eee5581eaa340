package obo

import (
	"context"
	"errors"
	"fmt"

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
	// current returns what to present now.
	current(ctx context.Context) (confidential.Credential, error)
	// renew looks for a newer credential after Entra refused the current one, and reports whether there is one.
	renew(ctx context.Context) bool
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
	return s, s.load()
}

type secretSource struct {
	read   func() (identity.Secret, error)
	secret identity.Secret
}

func (s *secretSource) load() error {
	secret, err := s.read()
	if err != nil {
		return fmt.Errorf("client secret: %w", err)
	}
	if secret.IsZero() {
		return errors.New("client secret: it is empty")
	}
	s.secret = secret
	return nil
}

func (s *secretSource) current(context.Context) (confidential.Credential, error) {
	return confidential.NewCredFromSecret(s.secret.Reveal())
}

func (s *secretSource) renew(context.Context) bool { return false }
