package signin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// Client signs a person in as a public client: no secret of its own. It is safe for concurrent use.
type Client struct {
	cfg  Config
	home home

	mu    sync.Mutex
	msals map[Key]public.Client
}

// New checks the configuration; it asks nobody.
func New(cfg Config) (*Client, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("sign-in: %w", err)
	}
	cloud, err := entra.CloudOf(cfg.Authority)
	if err != nil && !errors.Is(err, entra.ErrUnknownCloud) {
		return nil, fmt.Errorf("sign-in: %w", err)
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{Timeout: 30 * time.Second}
	}
	if cfg.Cache == nil {
		cfg.Cache = &Memory{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now //nolint:forbidigo // the one place where the system's clock is the default
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Client{cfg: cfg, home: home{cloud, cfg.Authority != "", cfg.Tenant, cfg.Client}, msals: map[Key]public.Client{}}, nil
}

// Token implements [Acquirer].
func (c *Client) Token(ctx context.Context, r Request) (identity.Token, error) {
	start := c.cfg.Now()
	token, decision, err := c.token(ctx, r)
	chain.Add(ctx, hopOf(c.cfg.Client, r, token, decision, start, c.cfg.Now().Sub(start), err))
	return token, err
}

func (c *Client) token(ctx context.Context, r Request) (identity.Token, chain.Decision, error) {
	if len(r.Scopes) == 0 {
		return identity.Token{}, chain.Failed, errors.New("sign-in: no scope was named")
	}
	key, err := c.home.keyOf(r)
	if err != nil {
		return identity.Token{}, chain.Refused, err
	}
	msal, err := c.msal(key)
	if err != nil {
		return identity.Token{}, chain.Failed, err
	}
	x := &exchange{resource: r.Resource, fresh: r.Fresh}
	ctx = context.WithValue(ctx, exchangeKey{}, x)
	var token identity.Token
	if !r.Anew {
		token, err = c.silent(ctx, msal, x, r)
		if needed := (*Needed)(nil); !errors.As(err, &needed) || r.Silent {
			return token, decisionOf(err, chain.Cached), err
		}
	}
	token, err = c.interactive(ctx, msal, key, x, r)
	return token, decisionOf(err, chain.Allowed), err
}

// home is where a client signs people in, as it was configured.
type home struct {
	cloud  entra.Cloud
	named  bool // the authority was configured; else any of Microsoft's clouds may be named by a server
	tenant string
	client identity.ClientID
}

// keyOf decides at which authority and tenant to ask, and refuses those that nobody configured.
func (h home) keyOf(r Request) (Key, error) {
	cloud := h.cloud
	if r.Authority != "" {
		named, err := entra.CloudOf(r.Authority)
		switch {
		case named.Authority == h.cloud.Authority:
		case err != nil:
			return Key{}, fmt.Errorf("sign-in at %q: %w: it is none of Microsoft's clouds and was not configured", r.Authority, ErrNotTrusted)
		case h.named:
			return Key{}, fmt.Errorf("sign-in at %q: %w: %s is configured", r.Authority, ErrNotTrusted, h.cloud.Authority)
		default:
			cloud = named
		}
	}
	if r.Tenant != "" && !isTenant(r.Tenant) {
		return Key{}, fmt.Errorf("sign-in: tenant %q: want a GUID or a domain name", r.Tenant)
	}
	tenant := cmp.Or(h.tenant, r.Tenant, "organizations")
	if differ(tenant, r.Tenant) {
		return Key{}, fmt.Errorf("sign-in in tenant %s: %w: %s is configured", r.Tenant, ErrNotTrusted, tenant)
	}
	return Key{cloud.Authority, strings.ToLower(tenant), h.client, r.Server}, nil
}

// differ reports whether both are tenants by id, and not the same. A domain name may stand for any id: then the token
// tells.
func differ(a, b string) bool {
	first, err := identity.ParseTenantID(a)
	second, err2 := identity.ParseTenantID(b)
	return err == nil && err2 == nil && first != second
}

// capabilities says that we understand claims challenges.
//
// https://learn.microsoft.com/entra/identity-platform/claims-challenge
var capabilities = []string{"CP1"} //nolint:gochecknoglobals // a constant list

// maxClients bounds MSAL's clients that are kept: a server can name a tenant that nobody has heard of with every answer.
const maxClients = 64

// msal returns MSAL's client for an entry of the cache.
func (c *Client) msal(key Key) (public.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if client, ok := c.msals[key]; ok {
		return client, nil
	}
	client, err := public.New(key.Client.String(),
		public.WithAuthority(key.Authority+key.Tenant),
		public.WithInstanceDiscovery(false),
		public.WithHTTPClient(newWire(c.cfg.HTTPClient)),
		public.WithClientCapabilities(capabilities),
		public.WithCache(&accessor{cache: c.cfg.Cache, key: key}))
	if err != nil {
		return public.Client{}, fmt.Errorf("sign-in: %w", err)
	}
	if len(c.msals) >= maxClients {
		clear(c.msals) // what they know stands in the cache
	}
	c.msals[key] = client
	return client, nil
}

// silent gets a token without the person: *Needed when that does not do.
func (c *Client) silent(ctx context.Context, msal public.Client, x *exchange, r Request) (identity.Token, error) {
	accounts, err := msal.Accounts(ctx)
	if err != nil {
		return identity.Token{}, fmt.Errorf("sign-in: %w", err)
	}
	accounts = slices.DeleteFunc(accounts, func(a public.Account) bool { return !matches(r.Account, a) })
	switch len(accounts) {
	case 0:
		return identity.Token{}, &Needed{Request: r}
	case 1:
	default:
		return identity.Token{}, &Ambiguous{Accounts: accountsOf(accounts)}
	}
	result, err := msal.AcquireTokenSilent(ctx, scopeStrings(r.Scopes), public.WithSilentAccount(accounts[0]), public.WithClaims(r.Claims))
	return silently(ctx, result, err, x, r)
}

// silently reads what MSAL made of its cache: *Needed when only the person can help.
func silently(ctx context.Context, result public.AuthResult, err error, x *exchange, r Request) (identity.Token, error) {
	if err == nil {
		return tokenOf(result)
	}
	if x.refusal == nil {
		if ctx.Err() != nil || !isCacheMiss(err) {
			return identity.Token{}, fmt.Errorf("sign-in: %w", unreachable(err))
		}
		return identity.Token{}, &Needed{Request: r}
	}
	if asksForPerson(x.refusal) {
		return identity.Token{}, &Needed{Request: r, Cause: x.refusal}
	}
	return identity.Token{}, fmt.Errorf("sign-in: refresh: %w", x.refusal)
}

// isCacheMiss recognizes MSAL's error for "neither access nor refresh token", which has no type.
func isCacheMiss(err error) bool { return strings.Contains(err.Error(), "no token found") }

// asksForPerson reports whether a new sign-in can mend the refusal of a refresh token.
func asksForPerson(e *entra.Error) bool {
	return slices.Contains([]string{"invalid_grant", "interaction_required", "login_required", "consent_required"}, e.Code)
}

// interactive asks the person.
func (c *Client) interactive(ctx context.Context, msal public.Client, key Key, x *exchange, r Request) (identity.Token, error) {
	method := c.methodNow()
	if method == Auto {
		return identity.Token{}, &Needed{Request: r}
	}
	result, err := c.signIn(ctx, method, msal, key, x, r)
	if errors.Is(err, ErrNoBrowser) && c.cfg.Method == Auto && c.cfg.Prompt != nil && ctx.Err() == nil {
		method = ByDeviceCode
		result, err = c.signIn(ctx, method, msal, key, x, r)
	}
	if err != nil {
		return identity.Token{}, err
	}
	if !matches(r.Account, result.Account) {
		return identity.Token{}, fmt.Errorf("sign-in by %s: it was %s who signed in, not %s", method, result.Account.PreferredUsername, r.Account)
	}
	c.cfg.Logger.InfoContext(ctx, "signed in", slog.String("method", method.String()), slog.String("server", r.Server))
	return tokenOf(result)
}

func (c *Client) signIn(ctx context.Context, method Method, msal public.Client, key Key, x *exchange, r Request) (public.AuthResult, error) {
	x.refusal = nil
	attempt := c.browser
	if method == ByDeviceCode {
		attempt = c.deviceCode
	}
	result, err := attempt(ctx, msal, key, r)
	if err == nil {
		return result, nil
	}
	refusal := x.refusal
	if redirected := (*entra.Error)(nil); errors.As(err, &redirected) {
		refusal = redirected
	}
	if refusal != nil && refusal.Code != "authorization_pending" && ctx.Err() == nil {
		return result, &Refused{Method: method, Err: refusal}
	}
	return result, fmt.Errorf("sign-in by %s: %w", method, unreachable(err))
}

func (c *Client) methodNow() Method {
	switch {
	case c.cfg.Method != Auto:
		return c.cfg.Method
	case c.cfg.Open != nil:
		return ByBrowser
	case c.cfg.Prompt != nil:
		return ByDeviceCode
	default:
		return Auto
	}
}

func tokenOf(result public.AuthResult) (identity.Token, error) {
	token := identity.Token{
		Value:    identity.NewSecret(result.AccessToken),
		Audience: audienceOf(result.AccessToken),
		Expires:  result.ExpiresOn,
	}
	var err, err2 error
	token.Tenant, err = identity.ParseTenantID(cmp.Or(result.IDToken.TenantID, result.Account.Realm))
	token.Object, err2 = identity.ParseObjectID(cmp.Or(result.IDToken.Oid, result.Account.LocalAccountID))
	if err = errors.Join(err, err2); err != nil {
		return identity.Token{}, fmt.Errorf("sign-in: the answer does not say who signed in: %w", err)
	}
	return token, nil
}

func scopeStrings(scopes []entra.Scope) []string {
	texts := make([]string, len(scopes))
	for i, scope := range scopes {
		texts[i] = scope.String()
	}
	return texts
}

func decisionOf(err error, good chain.Decision) chain.Decision {
	var needed *Needed
	var refused *Refused
	switch {
	case err == nil:
		return good
	case errors.As(err, &needed), errors.As(err, &refused), errors.Is(err, ErrNotTrusted):
		return chain.Refused
	default:
		return chain.Failed
	}
}

func hopOf(client identity.ClientID, r Request, token identity.Token, decision chain.Decision, start time.Time, took time.Duration, err error) chain.Hop {
	hop := chain.Hop{
		Station: chain.SignIn, Decision: decision, Client: client.String(), Audience: token.Audience,
		Subject: token.Object.String(), Tenant: token.Tenant.String(), Scopes: scopeStrings(r.Scopes),
		Expires: token.Expires, Start: start, Took: took,
	}
	if refusal := (*entra.Error)(nil); errors.As(err, &refusal) {
		hop.Reason = fmt.Sprintf("AADSTS%d", refusal.Number())
		hop.CorrelationID, hop.TraceID, hop.Status = refusal.Correlation, refusal.Trace, refusal.Status
	}
	return hop
}
