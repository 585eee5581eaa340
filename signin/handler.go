package signin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"golang.org/x/oauth2"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// HandlerConfig says what a [Handler] may do for a server.
type HandlerConfig struct {
	HTTPClient *http.Client // for the server's metadata; nil: a client of 30 seconds

	// Scopes are what the person or the developer knows this server to need: they need no confirmation, and are asked
	// for in place of those of the server's metadata.
	Scopes []entra.Scope
	// APIs are App ID URIs that the person or the developer knows to be this server's: their scopes need no confirmation.
	APIs    []string
	Account string // see Request.Account

	// Resource is sent as RFC 8707's parameter: "" sends it where the server's resource is the App ID URI of the scopes
	// (else Entra answers AADSTS9010010), NoResource never, anything else verbatim.
	Resource string

	Ledger Ledger // what was agreed with which server; nil: in memory

	// Confirm asks the person whether this server may have tokens of these scopes from this authority; nil: no.
	Confirm func(ctx context.Context, asked Grant) error
	// Ask asks the person whether to sign in now because this server wants it; nil: yes, since Acquirer asks anyway.
	Ask func(ctx context.Context, cause Cause) error

	Now    func() time.Time // nil: the system's clock
	Logger *slog.Logger     // nil: none
}

// NoResource is the HandlerConfig.Resource that leaves the parameter out.
const NoResource = "none"

// Cause is why a server wants the person to sign in.
type Cause struct {
	Server string        // whose challenge it is: show it
	Scopes []entra.Scope // what the token will be for
	Claims string        // what more than the last sign-in is demanded: JSON; "" for nothing
	Reason error         // why the cached sign-in does not do; nil when there is none
}

// maxSignIns bounds how often a server can make the person sign in within signInWindow.
const (
	maxSignIns   = 3
	signInWindow = time.Hour
)

// ErrTooMany says that a server asked the person to sign in too often.
var ErrTooMany = errors.New("the server has asked for a sign-in three times within the hour")

// ErrForbidden says that the server lets this person not do it, whoever signs in how.
var ErrForbidden = errors.New("the server forbids it to this person")

// ErrStillRefused says that the server refuses a token that was issued for it just now: signing in again will not help.
var ErrStillRefused = errors.New("the server refuses a token that was issued just now: its operator has to look into that (audience, issuer or clock)")

// Handler is an OAuthHandler of the MCP SDK for one server: use it in a transport to that server and to no other, since
// the SDK asks it for a token without saying where that goes. It is safe for concurrent use: one sign-in serves all
// requests that wait for it, and what the person declined is not asked again.
//
// Entra's discovery document has no code_challenge_methods_supported, for which the MCP specification would have a
// client refuse it. This handler does not: it knows that it talks to Entra, whose support for PKCE with S256 is
// documented, and every code it redeems carries a verifier.
//
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
type Handler struct {
	server   *url.URL
	acquirer Acquirer
	cfg      HandlerConfig
	client   *http.Client
	ledger   Ledger
	now      func() time.Time
	flights  flights

	turn chan struct{} // held by whoever changes what follows; mu alone guards reading
	mu   sync.Mutex

	current           identity.Token
	renewed           string           // a token that was got because the server refused the one before
	grant             Grant            // of the current token
	denied            map[string]error // what the person declined, or failed at, by challenge
	asks              int              // how often the person was asked anything
	signIns, confirms []time.Time      // when the person was asked to sign in, and to confirm a grant
}

var _ auth.OAuthHandler = (*Handler)(nil)

// NewHandler makes the handler for the MCP server at this URL (https, or http to this machine).
func NewHandler(server *url.URL, acquirer Acquirer, cfg HandlerConfig) (*Handler, error) {
	if server == nil || acquirer == nil {
		return nil, errors.New("sign-in: a handler wants its server's URL and an Acquirer")
	}
	checked, err := ServerURL(server.String())
	if err != nil {
		return nil, err
	}
	h := &Handler{server: checked, acquirer: acquirer, cfg: cfg, client: cfg.HTTPClient, ledger: cfg.Ledger, now: cfg.Now, turn: make(chan struct{}, 1), denied: map[string]error{}}
	if h.client == nil {
		h.client = &http.Client{Timeout: 30 * time.Second}
	}
	h.client = SameOrigin(h.client)
	if h.ledger == nil {
		h.ledger = &Notes{}
	}
	if h.now == nil {
		h.now = time.Now //nolint:forbidigo // the one place where the system's clock is the default
	}
	if h.cfg.Logger == nil {
		h.cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return h, nil
}

// SameOrigin returns a copy of the client that follows a redirect within the origin only: a token, and trust in an
// address, do not travel to another host.
func SameOrigin(client *http.Client) *http.Client {
	own := *client
	own.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		first := via[0].URL
		if req.URL.Scheme != first.Scheme || !sameHost(req.URL, first) {
			return fmt.Errorf("%w: the server redirects to another host, %s", ErrNotTrusted, req.URL.Host)
		}
		if len(via) >= 5 {
			return errors.New("too many redirects")
		}
		return nil
	}
	return &own
}

// expiryMargin is how long a token must still live to be sent: a call may take its time.
const expiryMargin = time.Minute

// TokenSource implements [auth.OAuthHandler]: the token at hand, or one from the cache, renewed where it has expired.
// It never asks the person: without a token the server will answer 401 and say what it wants.
func (h *Handler) TokenSource(ctx context.Context) (oauth2.TokenSource, error) {
	token, ok := h.usable()
	if !ok {
		err := h.flights.do(ctx, "silent", h.renewSilently)
		if needed := (*Needed)(nil); errors.As(err, &needed) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if token, ok = h.usable(); !ok {
			return nil, nil
		}
	}
	return oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token.Value.Reveal(), TokenType: "Bearer", Expiry: token.Expires}), nil
}

// Token returns the token that the handler would send now, and whether there is one.
func (h *Handler) Token() (identity.Token, bool) { return h.usable() }

func (h *Handler) usable() (identity.Token, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.current, !h.current.Value.IsZero() && h.now().Add(expiryMargin).Before(h.current.Expires)
}

func (h *Handler) renewSilently(ctx context.Context) error {
	if err := h.takeTurn(ctx); err != nil {
		return err
	}
	defer h.endTurn()
	grant := h.grant
	if grant.Server == "" {
		var found bool
		var err error
		if grant, found, err = h.ledger.Grant(ctx, canonical(h.server)); err != nil || !found {
			return err
		}
		if len(h.cfg.Scopes) > 0 && !slices.Equal(h.cfg.Scopes, grant.Scopes) {
			return nil // other scopes than last time: ask the server
		}
	}
	token, err := h.acquirer.Token(ctx, h.request(grant, "", true, false))
	if err != nil {
		return err
	}
	return h.keep(token, grant)
}

// Authorize implements [auth.OAuthHandler]: it gets a token that answers the challenge, if need be by asking the person.
func (h *Handler) Authorize(ctx context.Context, req *http.Request, resp *http.Response) error {
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 8192)) // so that the connection can be used again
	if req.URL.Scheme != h.server.Scheme || !sameHost(req.URL, h.server) {
		return fmt.Errorf("%w: the handler is for %s, the request went to %s", ErrNotTrusted, h.server, req.URL.Host)
	}
	c, err := parseChallenge(resp.Header)
	if err != nil {
		return err
	}
	sent := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
	key := fmt.Sprintf("%d %s %q %s", resp.StatusCode, c.code, c.scopes, c.claims)
	return h.flights.do(ctx, key, func(ctx context.Context) error {
		if err := h.takeTurn(ctx); err != nil {
			return err
		}
		defer h.endTurn()
		if err, declined := h.denied[key]; declined {
			return err
		}
		before := h.asks
		err := h.authorize(ctx, resp.StatusCode, c, sent)
		if err != nil && ctx.Err() == nil && h.asks > before {
			h.denied[key] = err // what the person was asked once is not asked twice
		}
		return err
	})
}

func (h *Handler) authorize(ctx context.Context, status int, c challenge, sent string) error {
	current := h.current.Value.Reveal()
	stepUp := c.claims != "" || c.code == "insufficient_scope"
	switch {
	case current != "" && sent != current && !stepUp:
		return nil // renewed meanwhile
	case status == http.StatusForbidden && !stepUp:
		return fmt.Errorf("%w (HTTP 403 %s)", ErrForbidden, cmp.Or(c.code, "without a reason"))
	case current != "" && sent == h.renewed && !stepUp:
		return ErrStillRefused
	}
	grant, err := h.agree(ctx, c)
	if err != nil {
		return err
	}
	claims := ""
	if c.claims != "" {
		if claims, err = filterClaims(c.claims); err != nil {
			return err
		}
	}
	refused := sent != "" && sent == current && !stepUp
	token, err := h.acquire(ctx, grant, claims, refused)
	if err != nil {
		return err
	}
	grant.Demanded = ""
	if err := h.keep(token, grant); err != nil {
		return err
	}
	if refused {
		h.renewed = token.Value.Reveal()
	}
	if err := h.ledger.Remember(ctx, grant); err != nil {
		h.cfg.Logger.WarnContext(ctx, "what was agreed with the server could not be remembered", slog.Any("error", err))
	}
	return nil
}

// agree finds out what the server wants and whether that may be had.
func (h *Handler) agree(ctx context.Context, c challenge) (Grant, error) {
	asked := h.grant
	if asked.Server == "" || c.code != "insufficient_scope" && c.claims == "" {
		m, err := h.discover(ctx, c)
		if err != nil {
			return Grant{}, err
		}
		if asked, err = h.wanted(m, c); err != nil {
			return Grant{}, err
		}
	} else if c.code == "insufficient_scope" {
		more, err := h.apiScopes(c.scopes, scopeStrings(asked.Scopes))
		if err != nil {
			return Grant{}, err
		}
		if len(more) == 0 || everyScope(more, func(s entra.Scope) bool { return slices.Contains(asked.Scopes, s) }) {
			return Grant{}, fmt.Errorf("the server refuses for want of a scope that the token was issued with: %s", strings.Join(c.scopes, " "))
		}
		names := append(scopeStrings(asked.Scopes), scopeStrings(more)...)
		if asked.Scopes, err = h.apiScopes(names, nil); err != nil {
			return Grant{}, err
		}
	}
	return h.allow(ctx, asked)
}

// wanted reads metadata and challenge as a grant that is asked for.
func (h *Handler) wanted(m metadata, c challenge) (Grant, error) {
	if err := h.checkResource(m.Resource); err != nil {
		return Grant{}, err
	}
	authority, tenant, err := authorityOf(m.Servers)
	if err != nil {
		return Grant{}, err
	}
	scopes := h.cfg.Scopes
	if len(scopes) == 0 {
		names := c.scopes
		if len(names) == 0 {
			names = m.Scopes
		}
		if scopes, err = h.apiScopes(names, m.Scopes); err != nil {
			return Grant{}, err
		}
	}
	if len(scopes) == 0 {
		return Grant{}, errors.New("the server says neither in its answer nor in its metadata which scope it wants")
	}
	asked := Grant{Server: canonical(h.server), Authority: authority, Tenant: tenant, Scopes: scopes, Since: h.now().UTC()}
	switch h.cfg.Resource {
	case NoResource:
	case "":
		if m.Resource == scopes[0].Resource() {
			asked.Resource = m.Resource
		}
	default:
		asked.Resource = h.cfg.Resource
	}
	return asked, nil
}

// acquire gets the token: silently if it can be, else by asking the person, if the server has not done so too often.
func (h *Handler) acquire(ctx context.Context, grant Grant, claims string, fresh bool) (identity.Token, error) {
	token, err := h.acquirer.Token(ctx, h.request(grant, claims, true, fresh))
	needed := (*Needed)(nil)
	if !errors.As(err, &needed) {
		return token, err
	}
	if err = h.mayAsk(&h.signIns); err != nil {
		return identity.Token{}, err
	}
	if h.cfg.Ask != nil {
		cause := Cause{Server: grant.Server, Scopes: grant.Scopes, Claims: claims, Reason: needed.Cause}
		if err = h.cfg.Ask(ctx, cause); err != nil {
			h.remember(ctx, grant, claims, err)
			return identity.Token{}, err
		}
	}
	return h.acquirer.Token(ctx, h.request(grant, claims, false, fresh))
}

// remember keeps a demand that the person could not be asked about, so that signing in later answers it.
func (h *Handler) remember(ctx context.Context, grant Grant, claims string, reason error) {
	if needed := (*Needed)(nil); claims == "" || !errors.As(reason, &needed) {
		return
	}
	grant.Demanded = claims
	if err := h.ledger.Remember(ctx, grant); err != nil {
		h.cfg.Logger.WarnContext(ctx, "what the server demanded could not be remembered", slog.Any("error", err))
	}
}

// mayAsk counts how often this server made us ask the person.
func (h *Handler) mayAsk(times *[]time.Time) error {
	since := h.now().Add(-signInWindow)
	*times = slices.DeleteFunc(*times, func(t time.Time) bool { return t.Before(since) })
	if len(*times) >= maxSignIns {
		return ErrTooMany
	}
	*times = append(*times, h.now())
	h.asks++
	return nil
}

// Forget forgets that the person declined: the next challenge asks again.
func (h *Handler) Forget() {
	h.turn <- struct{}{}
	defer h.endTurn()
	clear(h.denied)
}

// Login asks the person to sign in for the server, whoever is signed in already, and returns the token.
func (h *Handler) Login(ctx context.Context) (identity.Token, error) {
	if err := h.takeTurn(ctx); err != nil {
		return identity.Token{}, err
	}
	defer h.endTurn()
	c, err := h.knock(ctx)
	if err != nil {
		return identity.Token{}, err
	}
	grant, err := h.agree(ctx, c)
	if err != nil {
		return identity.Token{}, err
	}
	before, _, err := h.ledger.Grant(ctx, grant.Server)
	if err != nil {
		return identity.Token{}, err
	}
	grant.Demanded = ""
	request := h.request(grant, before.Demanded, false, false)
	request.Anew = true
	token, err := h.acquirer.Token(ctx, request)
	if refused := (*Refused)(nil); errors.As(err, &refused) && before.Demanded != "" {
		before.Demanded = "" // the authority cannot or will not meet it: it must not stand in the way of every later sign-in
		err = errors.Join(err, h.ledger.Remember(ctx, before))
	}
	if err != nil {
		return identity.Token{}, err
	}
	if err := h.keep(token, grant); err != nil {
		return identity.Token{}, err
	}
	return token, h.ledger.Remember(ctx, grant)
}

// knock asks the server without a token, to be told where to sign in.
func (h *Handler) knock(ctx context.Context) (challenge, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.server.String(), nil)
	if err != nil {
		return challenge{}, err
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := h.client.Do(req)
	if err != nil {
		return challenge{}, fmt.Errorf("the server: %w", err)
	}
	defer resp.Body.Close()
	return parseChallenge(resp.Header)
}

func (h *Handler) request(g Grant, claims string, silent, fresh bool) Request {
	return Request{
		Server: g.Server, Scopes: g.Scopes, Authority: g.Authority, Tenant: g.Tenant, Claims: claims,
		Resource: g.Resource, Account: h.cfg.Account, Silent: silent, Fresh: fresh,
	}
}

// keep makes the token the current one, unless it is of another tenant than the server said.
func (h *Handler) keep(token identity.Token, grant Grant) error {
	if differ(grant.Tenant, token.Tenant.String()) {
		return fmt.Errorf("%w: the server wants tenant %s, the sign-in was in %s", ErrNotTrusted, grant.Tenant, token.Tenant)
	}
	h.mu.Lock()
	h.current, h.grant = token, grant
	h.mu.Unlock()
	return nil
}

func (h *Handler) takeTurn(ctx context.Context) error {
	select {
	case h.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *Handler) endTurn() { <-h.turn }
