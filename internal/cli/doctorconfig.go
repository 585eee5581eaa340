package cli

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli/server"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/internal/doctor"
	"github.com/onbehalf/onbehalf/internal/serve"
	"github.com/onbehalf/onbehalf/obo"
	"github.com/onbehalf/onbehalf/signin"
)

// patient is a set-up under examination: its settings, and what the server makes of them.
type patient struct {
	*app
	settings *shell.Settings
	trust    shell.Trust
	server   func() (serve.Config, error) // once
}

// doctorConfig takes the settings as they are: what is wrong with them is for the checks to say.
func (a *app) doctorConfig(f doctorFlags) (doctor.Config, error) {
	logger, err := a.Logger()
	if err != nil {
		return doctor.Config{}, err
	}
	settings, err := a.Settings(false)
	if err != nil {
		return doctor.Config{}, err
	}
	settings.Override("MCP_URL", f.people.Server())
	p := &patient{app: a, settings: settings, trust: shell.Trust{Any: f.anyAuthority}}
	p.server = sync.OnceValues(func() (serve.Config, error) { return server.Configure(settings, p.trust, logger) })
	cfg := doctor.Config{
		Setting: settings.Get, File: a.EnvFile(), Now: a.Now,
		Authority: func() (entra.Cloud, error) { return settings.Cloud(p.trust) },
		AppToken:  p.appToken, Exchange: p.exchange,
		Person:           func(ctx context.Context) (identity.Token, error) { return person(ctx, f) },
		SearchCredential: p.searchCredential, SearchAs: "the API's own registration",
		PermissionFields: server.PermissionFields(),
		Redis:            p.redis,
	}
	if settings.Get("CLIENT_SECRET") == "" {
		cfg.SearchAs = "this machine's identity, which is the server's where that runs here"
	}
	if here := filepath.Join(a.Dir, ".env"); cfg.File == "" {
		if _, err = os.Stat(here); err == nil {
			cfg.Unread = ".env"
		}
	}
	if cfg.HTTPClient, err = settings.HTTPClient(); err != nil {
		cfg.HTTPClient = &http.Client{} // settings.ca says why
	}
	cfg.EntraClient = cfg.HTTPClient
	if in, failed := settings.Cloud(p.trust); failed == nil {
		if entraClient, failed := settings.EntraClient(in); failed == nil {
			cfg.EntraClient = entraClient
		}
	}
	return cfg, nil
}

// doctorAdministrator lets an administrator sign in, where that was asked for, before the checks begin; the Azure CLI's
// sign-in is asked when it is needed. Without either, the API's own credential is tried.
func (a *app) doctorAdministrator(ctx context.Context, f doctorFlags, cfg *doctor.Config) error {
	in, err := cfg.Authority()
	if err != nil || sameHouse(in) != nil {
		return nil //nolint:nilerr // settings.authority and settings.graph say it
	}
	settings, err := a.Settings(false)
	if err != nil {
		return err
	}
	source, err := a.administratorToken(f.admin, settings, in, in.GraphResource, cfg.EntraClient, in.GraphScope("Application.Read.All"), in.GraphScope("Directory.Read.All"))
	if f.admin.bootstrap == "" {
		if err == nil {
			cfg.GraphToken, cfg.GraphAs = source, "the person at the Azure CLI"
		}
		return nil // nobody is there, and the doctor can do without
	}
	if err != nil {
		return err
	}
	token, err := source(ctx)
	if err != nil {
		return err
	}
	cfg.GraphToken = func(context.Context) (identity.Secret, error) { return token, nil }
	cfg.GraphAs = "who signed in with --bootstrap-client"
	return nil
}

// person returns the token of who is signed in here, and asks nobody.
func person(ctx context.Context, f doctorFlags) (identity.Token, error) {
	accounts, err := f.people.SignedIn(ctx)
	if err != nil {
		return identity.Token{}, err
	}
	var found []signin.Account
	for _, account := range accounts {
		if account.Is(f.account) {
			found = append(found, account)
		}
	}
	switch len(found) {
	case 0:
		return identity.Token{}, &signin.Needed{}
	case 1:
		return f.people.Token(ctx, found[0])
	}
	return identity.Token{}, &signin.Ambiguous{Accounts: found}
}

// exchange exchanges as the server does, with a cache that nobody else sees.
func (p *patient) exchange(ctx context.Context, c *identity.Caller, s entra.Scope) (identity.Token, error) {
	config, err := p.server()
	if err != nil {
		return identity.Token{}, err
	}
	exchanger, err := obo.New(obo.Config{
		Cloud: config.Server.Cloud, Tenant: config.Server.Tenants[0], Client: config.Server.Client, Credential: config.Credential,
		HTTPClient: config.EntraClient, Now: p.Now, Logger: config.Server.Logger,
	})
	if err != nil {
		return identity.Token{}, err
	}
	defer func() { _ = exchanger.Close() }() // tokens in memory alone
	return exchanger.Exchange(ctx, c, s, "")
}

// searchCredential is the server's identity towards the search service. This machine's own, which may be a person's at the
// Azure CLI, goes to Microsoft's hosts alone.
func (p *patient) searchCredential() (azcore.TokenCredential, error) {
	config, err := p.server()
	if err != nil {
		return nil, err
	}
	if config.Search.Credential == nil {
		return nil, errors.New("the server uses AZURE_SEARCH_KEY")
	}
	if p.settings.Get("CLIENT_SECRET") != "" {
		return config.Search.Credential, nil
	}
	u, err := url.Parse(config.Search.Endpoint)
	if err != nil || !slices.ContainsFunc(searchHosts(), func(host string) bool { return strings.HasSuffix(strings.ToLower(u.Hostname()), host) }) {
		return nil, errors.New("AZURE_SEARCH_ENDPOINT is none of Microsoft's hosts: it gets no token of this machine's identity")
	}
	return config.Search.Credential, nil
}

// redis pings the shared cache.
func (p *patient) redis(ctx context.Context) error {
	logger, err := p.Logger()
	if err != nil {
		return err
	}
	cache, err := server.SharedCache(p.settings, logger)
	if err != nil || cache == nil {
		return err
	}
	defer func() { _ = cache.Close() }()
	return cache.Ping(ctx)
}

// appToken returns a token of the API itself by another credential than a secret.
func (p *patient) appToken(ctx context.Context, scope string) (identity.Secret, error) {
	config, err := p.server()
	if err != nil {
		return identity.Secret{}, err
	}
	credential, err := p.credential(config)
	if err != nil {
		return identity.Secret{}, err
	}
	token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
	if refused, ok := errors.AsType[*azidentity.AuthenticationFailedError](err); ok && refused.RawResponse != nil {
		body, bad := readAtMost(refused.RawResponse.Body, 64<<10) // its own text quotes the whole answer
		if bad != nil {
			body = nil
		}
		return identity.Secret{}, entra.ParseError(refused.RawResponse.StatusCode, refused.RawResponse.Header, bytes.NewReader(body))
	}
	return identity.NewSecret(token.Token), err
}

// credential is the API's own, as Microsoft's library takes it.
func (p *patient) credential(config serve.Config) (azcore.TokenCredential, error) {
	tenant, id := config.Server.Tenants[0].String(), config.Server.Client.String()
	options := azcore.ClientOptions{Transport: config.EntraClient, Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: config.Server.Cloud.Authority}}
	_, err := entra.CloudOf(config.Server.Cloud.Authority)
	notMicrosoft := err != nil
	if path := p.settings.Get("CLIENT_CERTIFICATE_PATH"); path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		certificates, key, err := azidentity.ParseCertificates(text, []byte(p.settings.Get("CLIENT_CERTIFICATE_PASSWORD")))
		if err != nil {
			return nil, errors.New("CLIENT_CERTIFICATE_PATH holds no certificate with its key")
		}
		return azidentity.NewClientCertificateCredential(tenant, id, certificates, key, &azidentity.ClientCertificateCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: notMicrosoft})
	}
	assertion := func(context.Context) (string, error) {
		text, err := os.ReadFile(p.settings.Get("AZURE_FEDERATED_TOKEN_FILE"))
		return string(bytes.TrimSpace(text)), err
	}
	if machine := p.settings.Get("MANAGED_IDENTITY_CLIENT_ID"); p.settings.Get("AZURE_FEDERATED_TOKEN_FILE") == "" && machine != "" {
		managed, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ID: azidentity.ClientID(machine)})
		if err != nil {
			return nil, err
		}
		assertion = func(ctx context.Context) (string, error) {
			token, err := managed.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{config.Server.Cloud.FICAudience + "/.default"}})
			return token.Token, err
		}
	}
	return azidentity.NewClientAssertionCredential(tenant, id, assertion, &azidentity.ClientAssertionCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: notMicrosoft})
}
