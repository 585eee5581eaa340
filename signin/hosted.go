package signin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// HostedConfig says how a web application signs people in. All of it comes from its operator.
type HostedConfig struct {
	Authority string // "https://HOST/" of Entra; "": the public cloud
	Tenant    string // GUID or domain name
	Client    identity.ClientID
	// Secret returns the application's secret. It is asked for every time, so that the secret can be changed meanwhile.
	Secret func() (identity.Secret, error)
	// Redirect is the registered address of the page that calls [Hosted.Finish].
	Redirect *url.URL

	HTTPClient *http.Client     // for Entra; nil: a client of 30 seconds
	Now        func() time.Time // nil: the system's clock
	Logger     *slog.Logger     // nil: none. No token, code or secret is logged
}

// Hosted signs people in to a web application: a confidential client, whose people come back to a page of its own. Each
// sign-in gives a [Session] with a cache of its own, since MSAL's cache for people is one list that it walks along, and
// ends with the session. It is safe for concurrent use.
type Hosted struct {
	cfg  HostedConfig
	key  Key
	home home
	wire *metadataCache
}

// NewHosted checks the configuration; it asks nobody.
func NewHosted(cfg HostedConfig) (*Hosted, error) {
	var mistakes []error
	if cfg.Client.IsZero() {
		mistakes = append(mistakes, errors.New("the client id is missing: the web application's application id"))
	}
	if cfg.Secret == nil {
		mistakes = append(mistakes, errors.New("the application's secret is missing"))
	}
	if !isTenant(cfg.Tenant) {
		mistakes = append(mistakes, fmt.Errorf("tenant %q: want a GUID or a domain name", cfg.Tenant))
	}
	if cfg.Redirect == nil || cfg.Redirect.Host == "" || cfg.Redirect.Scheme != "https" && !isLoopback(cfg.Redirect.Hostname()) {
		mistakes = append(mistakes, errors.New("the redirect address is missing: want https, or http on this machine"))
	}
	cloud, err := entra.CloudOf(cfg.Authority)
	if err != nil && !errors.Is(err, entra.ErrUnknownCloud) {
		mistakes = append(mistakes, err)
	}
	if err = errors.Join(mistakes...); err != nil {
		return nil, fmt.Errorf("sign-in: %w", err)
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{Timeout: 30 * time.Second}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now //nolint:forbidigo // the one place where the system's clock is the default
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Hosted{
		cfg:  cfg,
		home: home{cloud, true, cfg.Tenant, cfg.Client},
		key:  Key{cloud.Authority, strings.ToLower(cfg.Tenant), cfg.Client, cfg.Redirect.String()},
		wire: newMetadataCache(newWire(cfg.HTTPClient), cfg.Now),
	}, nil
}

// Start says what a sign-in is for.
type Start struct {
	Scopes  []entra.Scope // of one API
	Claims  string        // a claims challenge: JSON; "" for none
	Hint    string        // the person's name (UPN), where it is known who has to sign in
	Consent bool          // ask the person for consent even if Entra remembers one
	Choose  bool          // let the person choose an account even if only one is signed in
}

// Attempt is a sign-in that has begun. It belongs to the browser that began it: keep it on the server, under State, and
// take it back only from that browser, once.
type Attempt struct {
	URL   string // where to send the browser
	State string // comes back with it

	nonce, verifier string
	start           Start
}

// Begin makes the address where a person signs in.
//
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
func (h *Hosted) Begin(ctx context.Context, start Start) (*Attempt, error) {
	if len(start.Scopes) == 0 {
		return nil, errors.New("sign-in: no scope was named")
	}
	msal, err := h.msal(&Memory{})
	if err != nil {
		return nil, err
	}
	a := &Attempt{State: randomText(), nonce: randomText(), verifier: randomText(), start: start}
	address, err := msal.AuthCodeURL(ctx, h.cfg.Client.String(), h.cfg.Redirect.String(), scopeStrings(start.Scopes), confidential.WithClaims(start.Claims))
	if err != nil {
		return nil, fmt.Errorf("sign-in: %w", unreachable(err))
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" {
		return nil, errors.New("the authority names an authorization endpoint that is not https")
	}
	sum := sha256.Sum256([]byte(a.verifier))
	query := u.Query()
	query.Set("scope", strings.Join(append(scopeStrings(start.Scopes), "openid", "offline_access", "profile"), " "))
	query.Set("state", a.State)
	query.Set("nonce", a.nonce)
	query.Set("response_mode", "query") // a form posted from another site would come without the cookies of ours (SameSite)
	query.Set("code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]))
	query.Set("code_challenge_method", "S256")
	query.Set("client_info", "1")
	switch {
	case start.Consent:
		query.Set("prompt", "consent")
	case start.Choose:
		query.Set("prompt", "select_account")
	}
	if start.Hint != "" {
		query.Set("login_hint", start.Hint)
	}
	u.RawQuery = query.Encode()
	a.URL = u.String()
	return a, nil
}

// Finish redeems what the browser came back with: the query of the redirect address.
//
// Errors: *[Refused] when Entra or the person said no; any other error means that the answer is not one to this attempt,
// or that Entra could not be asked.
func (h *Hosted) Finish(ctx context.Context, a *Attempt, answer url.Values) (*Session, error) {
	if subtle.ConstantTimeCompare([]byte(answer.Get("state")), []byte(a.State)) != 1 {
		return nil, errors.New("sign-in: the answer belongs to another sign-in")
	}
	got := readAnswer(answer, h.key)
	if refusal := (*entra.Error)(nil); errors.As(got.err, &refusal) {
		return nil, &Refused{Method: ByBrowser, Err: refusal}
	}
	if got.err != nil {
		return nil, fmt.Errorf("sign-in: %w", got.err)
	}
	s := &Session{hosted: h}
	msal, err := h.msal(&s.cache)
	if err != nil {
		return nil, err
	}
	x := &exchange{}
	ctx = context.WithValue(ctx, exchangeKey{}, x)
	result, err := msal.AcquireTokenByAuthCode(ctx, got.code, h.cfg.Redirect.String(), scopeStrings(a.start.Scopes),
		confidential.WithChallenge(a.verifier), confidential.WithClaims(a.start.Claims))
	if err != nil {
		if x.refusal != nil {
			return nil, &Refused{Method: ByBrowser, Err: x.refusal}
		}
		return nil, fmt.Errorf("sign-in: %w", unreachable(err))
	}
	if s.Person, err = h.readIDToken(result.IDToken.RawToken, a.nonce); err != nil {
		return nil, fmt.Errorf("sign-in: %w", err)
	}
	s.account = result.Account
	h.cfg.Logger.InfoContext(ctx, "signed in", slog.String("method", "web"))
	return s, nil
}

// Person is who signed in, as the id_token says it.
type Person struct {
	Tenant  identity.TenantID
	Object  identity.ObjectID
	Name    string // for display
	UPN     string // preferred_username: for display
	Session string // sid: names Entra's session, for a sign-out that Entra tells us of; "" when the token has none
	Hint    string // login_hint: names the account when signing out; "" when the token has none
	At      time.Time
}

// Key returns tenant and object as "tid/oid".
func (p Person) Key() string { return p.Tenant.String() + "/" + p.Object.String() }

// readIDToken reads the claims of an id_token. It came from the token endpoint itself, over TLS: that stands for its
// signature (OpenID Connect Core §3.1.3.7, number 6); what binds it to this client, tenant, time and attempt is checked.
func (h *Hosted) readIDToken(token, nonce string) (Person, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return Person{}, errors.New("the authority's answer holds no id_token")
	}
	var claims struct {
		Issuer   string `json:"iss"`
		Audience string `json:"aud"`
		Expires  int64  `json:"exp"`
		Nonce    string `json:"nonce"`
		Tenant   string `json:"tid"`
		Object   string `json:"oid"`
		Name     string `json:"name"`
		UPN      string `json:"preferred_username"`
		Session  string `json:"sid"`
		Hint     string `json:"login_hint"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	if err != nil {
		return Person{}, errors.New("the id_token cannot be read")
	}
	p := Person{Name: claims.Name, UPN: claims.UPN, Session: claims.Session, Hint: claims.Hint, At: h.cfg.Now()}
	var err1, err2 error
	p.Tenant, err1 = identity.ParseTenantID(claims.Tenant)
	p.Object, err2 = identity.ParseObjectID(claims.Object)
	switch {
	case err1 != nil || err2 != nil:
		return Person{}, errors.New("the id_token does not say who signed in")
	case subtle.ConstantTimeCompare([]byte(claims.Nonce), []byte(nonce)) != 1:
		return Person{}, errors.New("the id_token belongs to another sign-in (nonce)")
	case !strings.EqualFold(claims.Audience, h.cfg.Client.String()):
		return Person{}, errors.New("the id_token is for another application (aud)")
	case claims.Issuer != h.home.cloud.IssuerV2(p.Tenant.String()):
		return Person{}, errors.New("the id_token is of another issuer (iss)")
	case differ(h.cfg.Tenant, p.Tenant.String()):
		return Person{}, fmt.Errorf("%w: the sign-in was in tenant %s, %s is configured", ErrNotTrusted, p.Tenant, h.cfg.Tenant)
	case h.cfg.Now().After(time.Unix(claims.Expires, 0).Add(clockSkew)):
		return Person{}, errors.New("the id_token has expired")
	}
	return p, nil
}

// clockSkew is how far Entra's clock and ours may differ.
const clockSkew = 5 * time.Minute

// SignOutURL returns where to send a browser to sign out at Entra too; Entra sends it on to back, which must be a
// registered redirect address.
//
// https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc#send-a-sign-out-request
func (h *Hosted) SignOutURL(p Person, back *url.URL) string {
	query := url.Values{"client_id": {h.cfg.Client.String()}, "post_logout_redirect_uri": {back.String()}}
	if p.Hint != "" {
		query.Set("logout_hint", p.Hint)
	}
	return h.key.Authority + h.key.Tenant + "/oauth2/v2.0/logout?" + query.Encode()
}

// Session is one sign-in of one person: an [Acquirer] of that person's tokens, from a cache that is the session's alone.
// It never asks the person: that is [Hosted.Begin]'s, for which a *[Needed] says what to demand. It is safe for
// concurrent use.
type Session struct {
	Person Person

	hosted  *Hosted
	cache   Memory
	account confidential.Account
}

var _ Acquirer = (*Session)(nil)

// Token implements [Acquirer]. Tokens of another person never come from it: the cache holds none.
func (s *Session) Token(ctx context.Context, r Request) (identity.Token, error) {
	now := s.hosted.cfg.Now
	start := now()
	token, decision, err := s.token(ctx, r)
	chain.Add(ctx, hopOf(s.hosted.cfg.Client, r, token, decision, start, now().Sub(start), err))
	return token, err
}

func (s *Session) token(ctx context.Context, r Request) (identity.Token, chain.Decision, error) {
	if len(r.Scopes) == 0 {
		return identity.Token{}, chain.Failed, errors.New("sign-in: no scope was named")
	}
	if _, err := s.hosted.home.keyOf(r); err != nil {
		return identity.Token{}, chain.Refused, err
	}
	if r.Anew || r.Account != "" && !(Account{Name: s.Person.UPN, Object: s.Person.Object.String()}).Is(r.Account) {
		return identity.Token{}, chain.Refused, &Needed{Request: r}
	}
	msal, err := s.hosted.msal(&s.cache)
	if err != nil {
		return identity.Token{}, chain.Failed, err
	}
	// MSAL's confidential client takes a challenge to no cached sign-in, not even to its refresh token, which may well
	// answer it: the challenge goes with the request beside MSAL.
	x := &exchange{resource: r.Resource, fresh: r.Fresh || r.Claims != "", claims: r.Claims}
	result, err := msal.AcquireTokenSilent(context.WithValue(ctx, exchangeKey{}, x), scopeStrings(r.Scopes), confidential.WithSilentAccount(s.account))
	token, err := silently(ctx, result, err, x, r)
	if err == nil && (token.Object != s.Person.Object || token.Tenant != s.Person.Tenant) {
		return identity.Token{}, chain.Failed, errors.New("sign-in: the token is another person's")
	}
	return token, decisionOf(err, chain.Cached), err
}

// msal makes MSAL's client around a cache. It is made anew each time, and costs some microseconds: so that between two
// requests nothing is kept of a session but its tokens.
func (h *Hosted) msal(cache *Memory) (confidential.Client, error) {
	secret, err := h.cfg.Secret()
	if err != nil {
		return confidential.Client{}, fmt.Errorf("sign-in: the application's secret: %w", err)
	}
	credential, err := confidential.NewCredFromSecret(secret.Reveal())
	if err != nil {
		return confidential.Client{}, errors.New("sign-in: the application has no secret")
	}
	client, err := confidential.New(h.key.Authority+h.key.Tenant, h.cfg.Client.String(), credential,
		confidential.WithInstanceDiscovery(false),
		confidential.WithAzureRegion("DisableMsalForceRegion"), // an environment variable of MSAL's own would send us elsewhere
		confidential.WithHTTPClient(h.wire),
		confidential.WithClientCapabilities(slices.Clone(capabilities)),
		confidential.WithCache(&accessor{cache: cache, key: h.key}))
	if err != nil {
		return confidential.Client{}, fmt.Errorf("sign-in: %w", err)
	}
	return client, nil
}
