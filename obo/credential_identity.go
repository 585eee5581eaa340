package obo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/onbehalf/onbehalf/identity"
)

// ManagedIdentityCredential is a user-assigned managed identity of Azure that a federated credential of the application
// trusts, so that there is no secret at all. Id is the identity's client id, not the application's.
//
// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
func ManagedIdentityCredential(id identity.ClientID) Credential { return managedIdentity{id} }

type managedIdentity struct{ id identity.ClientID }

func (m managedIdentity) bind(c *Config) (source, error) {
	if m.id.IsZero() {
		return nil, errors.New("managed identity: its client id is missing")
	}
	if c.Cloud.FICAudience == "" {
		return nil, errors.New("managed identity: the cloud names no audience for federated credentials")
	}
	credential, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ID: azidentity.ClientID(m.id.String())})
	if err != nil {
		return nil, fmt.Errorf("managed identity: %w", err)
	}
	return &identitySource{credential, c.Cloud.FICAudience + "/.default"}, nil
}

// identitySource gets the identity's tokens; the Azure SDK caches them.
type identitySource struct {
	identity *azidentity.ManagedIdentityCredential
	scope    string
}

func (s *identitySource) current(ctx context.Context) (confidential.Credential, int, error) {
	token, err := s.identity.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{s.scope}})
	if err != nil {
		if ctx.Err() != nil {
			return confidential.Credential{}, 0, ctx.Err()
		}
		first, _, _ := strings.Cut(err.Error(), "\n") // what follows quotes the whole answer
		return confidential.Credential{}, 0, errors.New("managed identity: " + first)
	}
	return fromAssertion(identity.NewSecret(token.Token)), 0, nil
}

func (s *identitySource) renew(context.Context, int) bool { return false }
