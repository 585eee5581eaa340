package check

import (
	"context"
	"errors"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/doctor/tokens"
	"github.com/onbehalf/onbehalf/internal/graph"
)

// KeySet are the authority's signing keys.
type KeySet = tokens.Keys

// ScopeName is the permission that every call of the server needs.
const ScopeName = "execute"

// TokenSetup is what tokens are held against.
func (s *State) TokenSetup(noKeys error) tokens.Setup {
	names := map[string]string{}
	for _, name := range []string{"WEB_CLIENT_ID", "AGENT_CLIENT_ID"} {
		if id, err := identity.ParseClientID(s.Setting(name)); err == nil {
			names[id.String()] = name
		}
	}
	return tokens.Setup{
		Cloud: s.Cloud, Tenant: s.Tenant.String(), API: s.API.String(), AppIDURI: s.AppIDURI, Scope: ScopeName, Names: names,
		Now: s.Now(), Keys: s.Keys, NoKeys: noKeys,
	}
}

// Credentials are the settings that prove that the server is the API, in the order in which the server takes them.
func Credentials() []string {
	return []string{"CLIENT_SECRET", "CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE", "MANAGED_IDENTITY_CLIENT_ID"}
}

// Credential is the setting that the server goes by.
func (s *State) Credential() string {
	for _, name := range Credentials() {
		if s.Setting(name) != "" {
			return name
		}
	}
	return ""
}

// APIToken returns a token of the API itself: by the secret here, by any other credential as the command line makes it.
func (s *State) APIToken(ctx context.Context, scope string) (identity.Secret, error) {
	if secret := s.Setting("CLIENT_SECRET"); secret != "" {
		return s.ClientCredentials(ctx, s.API, secret, scope)
	}
	if s.AppToken == nil {
		return identity.Secret{}, ErrNoToken
	}
	return s.AppToken(ctx, scope)
}

// ErrNoToken says that there is nothing to ask with.
var ErrNoToken = errors.New("there is no credential of the API to ask with")

// ClientCredentials returns a token of an application itself, by its secret.
func (s *State) ClientCredentials(ctx context.Context, id identity.ClientID, secret, scope string) (identity.Secret, error) {
	source, err := graph.ClientCredentials(graph.Credentials{
		TokenURL: s.Cloud.Authority + s.Tenant.String() + "/oauth2/v2.0/token", ClientID: id, Secret: identity.NewSecret(secret),
		Scope: scope, HTTPClient: s.EntraClient, Now: s.Now,
	})
	if err != nil {
		return identity.Secret{}, err
	}
	return source(ctx)
}
