package signin

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// Grant is what was agreed for a server: where to sign in for it and what may be asked for. It is remembered, so that
// the next call knows without asking the server again, and is the person's to revoke.
//
// A hostile server can name the person's real authority and another server's scope, and would then be handed that
// server's token. Therefore a scope is asked for only if its App ID URI is the server's own URL, or if the person has
// confirmed this triple of server, scopes and authority.
type Grant struct {
	Server    string            `json:"server"`
	Authority string            `json:"authority"`
	Tenant    string            `json:"tenant"`
	Client    identity.ClientID `json:"client,omitzero"`
	Scopes    []entra.Scope     `json:"scopes"`
	Resource  string            `json:"resource,omitempty"` // the parameter, where it is sent
	Confirmed bool              `json:"confirmed"`          // by the person; else the App ID URI is the server's URL
	Since     time.Time         `json:"since"`
	Demanded  string            `json:"demanded,omitempty"` // a claims challenge that nobody could be asked about: the next Login answers it
}

// covers reports whether a grant that the person confirmed allows what another one asks for.
func (g Grant) covers(asked Grant) bool {
	return g.Confirmed && g.Server == asked.Server && g.Authority == asked.Authority && g.Tenant == asked.Tenant &&
		!slices.ContainsFunc(asked.Scopes, func(s entra.Scope) bool { return !slices.Contains(g.Scopes, s) })
}

// Ledger remembers grants, one for each server.
type Ledger interface {
	Grant(ctx context.Context, server string) (Grant, bool, error)
	Remember(ctx context.Context, grant Grant) error
	Grants(ctx context.Context) ([]Grant, error)
	Revoke(ctx context.Context, server string) error
}

// Notes is a ledger that ends with the process. The zero Notes are ready.
type Notes struct {
	mu     sync.Mutex
	grants map[string]Grant
}

// Grant implements [Ledger].
func (n *Notes) Grant(_ context.Context, server string) (Grant, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	grant, ok := n.grants[server]
	return grant, ok, nil
}

// Remember implements [Ledger].
func (n *Notes) Remember(_ context.Context, grant Grant) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.grants == nil {
		n.grants = map[string]Grant{}
	}
	n.grants[grant.Server] = grant
	return nil
}

// Grants implements [Ledger].
func (n *Notes) Grants(context.Context) ([]Grant, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	grants := make([]Grant, 0, len(n.grants))
	for _, grant := range n.grants {
		grants = append(grants, grant)
	}
	slices.SortFunc(grants, func(a, b Grant) int { return strings.Compare(a.Server, b.Server) })
	return grants, nil
}

// Revoke implements [Ledger].
func (n *Notes) Revoke(_ context.Context, server string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.grants, server)
	return nil
}

// allow decides whether a token for these scopes may be had for this server, and asks the person where only the person
// can tell. It returns the grant to remember.
func (h *Handler) allow(ctx context.Context, asked Grant) (Grant, error) {
	if everyScope(asked.Scopes, func(s entra.Scope) bool { return s.Resource() == asked.Server }) {
		return asked, nil // the token goes to whom it was made for
	}
	if api, ours := microsoftAPI(asked.Scopes); ours {
		return Grant{}, fmt.Errorf("%w: %s asks for a token of Microsoft's own API %s", ErrNotTrusted, asked.Server, api)
	}
	asked.Confirmed = true
	if everyScope(asked.Scopes, func(s entra.Scope) bool {
		return slices.Contains(h.cfg.Scopes, s) || slices.Contains(h.cfg.APIs, s.Resource())
	}) {
		return asked, nil // the person or the developer named them
	}
	known, found, err := h.ledger.Grant(ctx, asked.Server)
	if err != nil {
		return Grant{}, fmt.Errorf("who may ask for what: %w", err)
	}
	if found && known.covers(asked) {
		return asked, nil
	}
	if h.cfg.Confirm == nil {
		return Grant{}, fmt.Errorf("%w: %s asks for %s, which is not its own address, and nobody confirmed that", ErrNotTrusted, asked.Server, asked.Scopes[0])
	}
	if err := h.mayAsk(&h.confirms); err != nil {
		return Grant{}, err
	}
	if err := h.cfg.Confirm(ctx, asked); err != nil {
		return Grant{}, fmt.Errorf("%w: %s asks for %s: %w", ErrNotTrusted, asked.Server, asked.Scopes[0], err)
	}
	return asked, nil
}

func everyScope(scopes []entra.Scope, ok func(entra.Scope) bool) bool {
	return !slices.ContainsFunc(scopes, func(s entra.Scope) bool { return !ok(s) })
}

// microsoftDomains hold the App ID URIs of Microsoft's own APIs.
var microsoftDomains = []string{ //nolint:gochecknoglobals // a constant list
	"microsoft.com", "microsoft.us", "microsoftgraph.chinacloudapi.cn", "azure.com", "azure.us", "azure.cn", "azure.net",
	"windows.net", "chinacloudapi.cn", "usgovcloudapi.net", "microsoftonline.com", "microsoftonline.us", "microsoftonline.cn",
	"office.com", "office.net", "office365.com", "office365.us", "outlook.com", "sharepoint.com", "sharepoint.us", "sharepoint.cn",
	"onmicrosoft.us", "dynamics.com", "powerbi.com", "powerapps.com", "powerplatform.com", "visualstudio.com", "vsassets.io",
	"skype.com", "teams.microsoft.us", "yammer.com", "onenote.com", "azuredatabricks.net", "windowsazure.com",
}

// microsoftAPI reports a scope of Microsoft's own APIs: by the domain of its App ID URI, or by a bare application id,
// under which every API of Microsoft's can be asked for and which no other API needs.
func microsoftAPI(scopes []entra.Scope) (string, bool) {
	for _, scope := range scopes {
		resource := strings.ToLower(scope.Resource())
		bare := strings.TrimPrefix(resource, "api://")
		if id, err := identity.ParseClientID(bare); err == nil {
			if bare == resource || isMicrosoftApp(id) {
				return scope.Resource(), true
			}
			continue
		}
		u, err := url.Parse(resource)
		if err != nil || u.Scheme == "" {
			return scope.Resource(), true // a form that no API of one's own has: spn:…, urn-less names
		}
		host := u.Hostname()
		if slices.ContainsFunc(microsoftDomains, func(d string) bool { return host == d || strings.HasSuffix(host, "."+d) }) {
			return scope.Resource(), true
		}
	}
	return "", false
}

func isMicrosoftApp(id identity.ClientID) bool {
	return slices.Contains([]string{entra.SearchAppID, entra.GraphAppID}, id.String()) || strings.HasSuffix(id.String(), "-0000-0000-c000-000000000000")
}
