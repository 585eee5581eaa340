// Package bearer verifies: it turns the access token of an HTTP request into an [identity.Caller], or answers 401 and
// 403 in the words of RFC 6750, RFC 9728 and Entra, so that a client knows what to do next.
//
// A [Verifier] is made once from a [Config]. Its [Verifier.Middleware] goes around any HTTP handler, an MCP server's or
// that of a plain API, which finds the caller by [CallerFromContext]; its [Verifier.MetadataHandler] goes beside it. What
// learns later that the person must sign in again says so with [Raise]; a [ToolGate] asks more of the callers of single
// MCP tools.
//
// The package signs nobody in (see package signin) and obtains no token for a downstream API (see package obo).
package bearer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// Config says whose tokens are accepted, and for what. [New] validates it whole.
type Config struct {
	// Cloud is where the tokens come from; the zero Cloud is Microsoft's public one.
	Cloud entra.Cloud
	// Tenants whose tokens are accepted: one for a server of one company, several for an allow-list. There is no way
	// to accept every tenant: anyone can make one.
	Tenants []identity.TenantID
	// Audiences are the values of aud that mean this server: the client id (a GUID) in v2 tokens; in v1 tokens also
	// the App ID URI, as api://… or https://….
	Audiences []string
	// Clients that may call (azp, in v1 tokens appid); empty: any that the tenant lets get a token.
	Clients []identity.ClientID
	// Scopes that every person's token must hold, fully qualified, as a client must ask for them. Their short names
	// are looked for in the claim scp.
	Scopes []entra.Scope

	// AcceptV1 also accepts tokens of version 1.0 (the App's requestedAccessTokenVersion is null or 1).
	AcceptV1 bool
	// AllowAgents also accepts the user account that belongs to an agent (xms_sub_fct 13), which is not a person.
	AllowAgents bool
	// AllowAppOnly also accepts applications without a person, if they hold a role. Each tool decides by the role; no
	// token can be exchanged on behalf of such a caller.
	AllowAppOnly bool

	// Resource is the public URL of the MCP server, exactly as clients connect to it (RFC 9728 resource): https, or
	// http on loopback.
	Resource *url.URL
	// AuthorizationServers are what the metadata names; nil: the first tenant's v2.0 issuer.
	AuthorizationServers []string
	// Documentation is an URL for people (resource_documentation), or "".
	Documentation string

	// Groups returns the object ids of all groups of a person whose token has no room for them (overage, beyond 200).
	// nil: such a token is refused, since a missing list must not be read as an empty one. An error that is or wraps a
	// [*Challenge] is answered with it; any other with 503.
	// https://learn.microsoft.com/security/zero-trust/develop/configure-tokens-group-claims-app-roles#group-overages
	Groups func(ctx context.Context, c *identity.Caller) ([]string, error)

	// Skew is how far the clocks of Entra and this machine may differ: 0 means one minute, at most five.
	Skew time.Duration
	// CacheSize is how many verified tokens are remembered, for at most a minute and never past their expiry; 0 means
	// 8192 (about 4 KiB each), negative none.
	CacheSize int

	// HTTPClient fetches the signing keys; nil: one with a timeout. Redirects are never followed.
	HTTPClient *http.Client
	// Now is the clock; nil: [time.Now].
	Now func() time.Time
	// Logger gets what operators must know, never a token; nil: nothing is logged.
	Logger *slog.Logger
}

const (
	defaultSkew  = time.Minute
	maxSkew      = 5 * time.Minute
	defaultCache = 8192
)

// Verifier verifies access tokens. It is safe for concurrent use.
type Verifier struct {
	cfg         Config
	names       []string // short names of cfg.Scopes
	keys        *keySet
	cache       *cache
	groups      singleflight.Group
	metadata    []byte
	metadataURL string
}

// New validates the configuration, reporting every mistake, and compiles it. Nothing is fetched before the first token
// comes.
func New(cfg Config) (*Verifier, error) {
	if cfg.Cloud.Authority == "" {
		cfg.Cloud = entra.Clouds()[0]
	}
	if cfg.Skew == 0 {
		cfg.Skew = defaultSkew
	}
	if cfg.Now == nil {
		cfg.Now = time.Now //nolint:forbidigo // the one place where the default clock is chosen
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("bearer: %w", err)
	}
	cfg.Tenants, cfg.Audiences = slices.Clone(cfg.Tenants), slices.Clone(cfg.Audiences)
	cfg.Clients, cfg.Scopes = slices.Clone(cfg.Clients), slices.Clone(cfg.Scopes)
	if len(cfg.AuthorizationServers) == 0 {
		cfg.AuthorizationServers = []string{cfg.Cloud.IssuerV2(cfg.Tenants[0].String())}
	}
	v := &Verifier{cfg: cfg, cache: newCache(cfg.CacheSize)}
	for _, scope := range cfg.Scopes {
		v.names = append(v.names, scope.Name())
	}
	v.keys = &keySet{url: cfg.keysURL(), client: keyClient(cfg.HTTPClient), now: cfg.Now, log: cfg.Logger}
	v.metadataURL = metadataURL(cfg.Resource)
	var err error
	v.metadata, err = cfg.metadataDocument()
	return v, err
}

// keysURL is where the signing keys are: those of the one tenant, or of the whole cloud.
func (cfg *Config) keysURL() string {
	segment := "common"
	if len(cfg.Tenants) == 1 {
		segment = cfg.Tenants[0].String()
	}
	return cfg.Cloud.Authority + segment + "/discovery/v2.0/keys"
}

func keyClient(client *http.Client) *http.Client {
	own := &http.Client{Timeout: fetchTimeout}
	if client != nil {
		*own = *client
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return own
}

func (cfg *Config) validate() error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	authority, err := url.Parse(cfg.Cloud.Authority)
	wrong(err != nil || authority.Scheme != "https" || authority.Host == "" || !strings.HasSuffix(cfg.Cloud.Authority, "/"),
		"Cloud.Authority %q: want https://HOST/", cfg.Cloud.Authority)
	wrong(len(cfg.Tenants) == 0, "Tenants: name at least one")
	for _, t := range cfg.Tenants {
		wrong(t.IsZero(), "Tenants: an id is empty")
	}
	wrong(len(cfg.Audiences) == 0, "Audiences: name at least one, the client id of this API")
	for _, audience := range cfg.Audiences {
		wrong(!isAudience(audience), "Audiences: %q: want a client id or an App ID URI (api://… or https://…)", audience)
		wrong(isMicrosoft(audience), "Audiences: %q is an API of Microsoft's: its tokens are not for this server", audience)
	}
	for _, c := range cfg.Clients {
		wrong(c.IsZero(), "Clients: an id is empty")
	}
	wrong(len(cfg.Scopes) == 0, "Scopes: name at least one, such as api://CLIENT-ID/execute")
	for _, scope := range cfg.Scopes {
		wrong(scope.IsZero(), "Scopes: a scope is empty")
	}
	wrong(!isResource(cfg.Resource), "Resource: want the server's public URL: https, or http on loopback, without query and fragment")
	for _, server := range cfg.AuthorizationServers {
		u, err := url.Parse(server)
		wrong(err != nil || u.Scheme != "https" || u.Host == "", "AuthorizationServers: %q: want an https URL", server)
	}
	wrong(cfg.Skew < 0 || cfg.Skew > maxSkew, "Skew: want at most %v", maxSkew)
	return errors.Join(errs...)
}

func isAudience(s string) bool {
	if _, err := identity.ParseClientID(s); err == nil {
		return true
	}
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && (u.Scheme == "api" || u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()))
}

func isMicrosoft(audience string) bool {
	host := ""
	if u, err := url.Parse(audience); err == nil {
		host = u.Host
	}
	return audience == entra.GraphAppID || audience == entra.SearchAppID || slices.ContainsFunc(entra.Clouds(), func(c entra.Cloud) bool {
		return host != "" && (c.Graph == "https://"+host || c.SearchResource == "https://"+host)
	})
}

func isResource(u *url.URL) bool {
	if u == nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
