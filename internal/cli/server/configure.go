package server

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/onbehalf/onbehalf"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/internal/localhost"
	"github.com/onbehalf/onbehalf/internal/serve"
	"github.com/onbehalf/onbehalf/obo"
	"github.com/onbehalf/onbehalf/obo/rediscache"
)

// DefaultURL is where clients find the server unless MCP_URL says otherwise.
const DefaultURL = "http://localhost:8000/mcp"

// Configure turns settings into the server's configuration. All that is missing is reported at once.
func Configure(settings *shell.Settings, trust shell.Trust, logger *slog.Logger) (serve.Config, error) {
	required := []string{"TENANT_ID", "API_CLIENT_ID", "AZURE_SEARCH_ENDPOINT", "AZURE_SEARCH_INDEX"}
	if settings.Get("CLIENT_CERTIFICATE_PATH") == "" && settings.Get("AZURE_FEDERATED_TOKEN_FILE") == "" && settings.Get("MANAGED_IDENTITY_CLIENT_ID") == "" {
		required = append(required, "CLIENT_SECRET")
	}
	if err := settings.Require(required...); err != nil {
		return serve.Config{}, err
	}
	in, err1 := settings.Cloud(trust)
	tenant, err2 := settings.Tenant()
	client, err3 := settings.Client("API_CLIENT_ID")
	mcpURL, err4 := settings.URL("MCP_URL", DefaultURL)
	searchClient, err5 := settings.HTTPClient()
	_, err6 := settings.APIScope()
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return serve.Config{}, err
	}
	entraClient, err := settings.EntraClient(in)
	if err != nil {
		return serve.Config{}, err
	}
	own := registration{settings, in, tenant, client, entraClient}
	credential, err := own.credential()
	if err != nil {
		return serve.Config{}, err
	}
	search, err := own.search()
	if err != nil {
		return serve.Config{}, err
	}
	return serve.Config{
		Server: onbehalf.Config{
			Name: "onbehalf", Version: shell.Version().Version, URL: mcpURL, Cloud: in,
			Tenants: []identity.TenantID{tenant}, Client: client, AppIDURI: settings.Get("API_APP_ID_URI"), Logger: logger,
		},
		Credential: credential, Search: search, EntraClient: entraClient, SearchClient: searchClient,
	}, nil
}

// registration is the API's registration, as which the server asks for tokens.
type registration struct {
	settings *shell.Settings
	cloud    entra.Cloud
	tenant   identity.TenantID
	client   identity.ClientID
	http     *http.Client
}

// credential chooses how the server proves that it is the API: by a secret, a certificate, a federated token file or a
// managed identity, the first that is set.
func (r registration) credential() (obo.Credential, error) {
	set := func(name string) bool { return r.settings.Get(name) != "" }
	switch {
	case set("CLIENT_SECRET"):
		return obo.SecretCredential(func() (identity.Secret, error) {
			secret, err := r.settings.Fresh("CLIENT_SECRET")
			return identity.NewSecret(secret), err
		}), nil
	case set("CLIENT_CERTIFICATE_PATH"):
		path, err := r.settings.File("CLIENT_CERTIFICATE_PATH")
		return obo.CertificateCredential(path, identity.NewSecret(r.settings.Get("CLIENT_CERTIFICATE_PASSWORD"))), err
	case set("AZURE_FEDERATED_TOKEN_FILE"):
		path, err := r.settings.File("AZURE_FEDERATED_TOKEN_FILE")
		return obo.TokenFileCredential(path), err
	case set("MANAGED_IDENTITY_CLIENT_ID"):
		id, err := r.settings.Client("MANAGED_IDENTITY_CLIENT_ID")
		return obo.ManagedIdentityCredential(id), err
	default:
		return nil, errNoCredential
	}
}

// PermissionFields are the names of the fields that say who may read a document: those of our set-up, and those of
// Microsoft's documentation. A query key cannot read an index's definition, which tells.
//
// https://learn.microsoft.com/azure/search/search-index-access-control-lists-and-rbac-push-api
func PermissionFields() []string {
	return []string{"oid", "group", "UserIds", "GroupIds", "RbacScope"}
}

// search says which index is searched, and as which application.
func (r registration) search() (serve.Search, error) {
	search := serve.Search{
		Endpoint:         r.settings.Get("AZURE_SEARCH_ENDPOINT"),
		Index:            r.settings.Get("AZURE_SEARCH_INDEX"),
		Key:              identity.NewSecret(r.settings.Get("AZURE_SEARCH_KEY")),
		PermissionFields: PermissionFields(),
	}
	if u, err := url.Parse(search.Endpoint); err != nil || u.Scheme != "https" || u.Host == "" {
		return search, shell.Wrong("AZURE_SEARCH_ENDPOINT", errors.New("want https://NAME.search.windows.net"))
	}
	if !search.Key.IsZero() {
		return search, r.settings.MayGo("AZURE_SEARCH_KEY", "AZURE_SEARCH_ENDPOINT")
	}
	var err error
	search.Credential, err = r.identity(search.Endpoint)
	return search, err
}

// SearchHosts are below which names Azure AI Search answers.
//
// https://learn.microsoft.com/azure/search/search-security-overview
func SearchHosts() []string {
	return []string{".search.windows.net", ".search.azure.us", ".search.azure.cn"}
}

// identity is the server's identity towards the search service when there is no key: the API's own registration where
// it has a secret, else the managed or workload identity of the machine. The machine's tokens go to Microsoft's hosts only:
// it may be a person's sign-in with Azure's tools, and whoever names the endpoint would get it.
func (r registration) identity(endpoint string) (azcore.TokenCredential, error) {
	options, notMicrosoft := r.options()
	secret := r.settings.Get("CLIENT_SECRET")
	if secret == "" {
		u, err := url.Parse(endpoint)
		if err != nil || !notMicrosoft && !below(u.Hostname(), SearchHosts()) || notMicrosoft && !localhost.IsLoopbackHost(u.Host) {
			return nil, shell.Usage(shell.Hint(errors.New("AZURE_SEARCH_ENDPOINT is none of Microsoft's hosts: it gets no token of this machine's identity"), "set AZURE_SEARCH_KEY"))
		}
		return r.machine()
	}
	return azidentity.NewClientSecretCredential(r.tenant.String(), r.client.String(), secret,
		&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: notMicrosoft})
}

// below reports whether a host is below one of the names, which begin with a dot.
func below(host string, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(strings.ToLower(host), name) })
}

func (r registration) options() (options azcore.ClientOptions, notMicrosoft bool) {
	_, err := entra.CloudOf(r.cloud.Authority)
	return azcore.ClientOptions{Transport: r.http, Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: r.cloud.Authority}}, err != nil
}

// machine is the managed or workload identity of the machine, or who is signed in at it with Azure's tools.
func (r registration) machine() (azcore.TokenCredential, error) {
	options, notMicrosoft := r.options()
	return azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{
		ClientOptions: options, DisableInstanceDiscovery: notMicrosoft, TenantID: r.tenant.String(),
	})
}

// SharedCache connects the cache of REDIS_URL, sealed by CACHE_SECRET; nil without one.
func SharedCache(settings *shell.Settings, logger *slog.Logger) (*rediscache.Cache, error) {
	address := settings.Get("REDIS_URL")
	if address == "" {
		return nil, nil
	}
	if err := settings.Require("CACHE_SECRET"); err != nil {
		return nil, err
	}
	roots, err := settings.Roots()
	if err != nil {
		return nil, err
	}
	cache, err := rediscache.New(rediscache.Config{
		URL: identity.NewSecret(address), Secrets: rediscache.ParseSecrets(identity.NewSecret(settings.Get("CACHE_SECRET"))),
		RootCAs: roots, Logger: logger,
	})
	if err != nil {
		return nil, shell.Usage(shell.Hint(err, "REDIS_URL is rediss://USER:PASSWORD@HOST:PORT/0, CACHE_SECRET a random text, such as openssl rand -base64 48 makes"))
	}
	return cache, nil
}
