// Package signin gets the person's access token for an MCP server that Entra ID protects: by device code, or by browser
// with PKCE, from a cache where there is one, and anew when a server asks for more.
//
// A [Client] signs in. A [Handler] makes it an OAuthHandler of the MCP SDK: it finds out what a server wants, decides
// whether that may be trusted, and keeps many requests from asking the person many times. Package signin/vault keeps
// the cache encrypted on disk.
//
// It does not verify tokens (see package bearer) and exchanges none (see package obo).
package signin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// Request says which token is wanted.
type Request struct {
	Server    string        // the MCP server the token is for: cached for it and used for no other
	Scopes    []entra.Scope // fully qualified, all of one App ID URI
	Authority string        // as the server names it, such as "https://login.microsoftonline.com/"; "": the configured one
	Tenant    string        // as the server names it; "": the configured one
	Claims    string        // a claims challenge: JSON. A token that was issued before does not answer it
	Resource  string        // RFC 8707, sent when not empty
	Account   string        // whose token: name (UPN) or object id; "": the only one there is
	Silent    bool          // do not ask the person: *Needed instead
	Fresh     bool          // a cached access token will not do, a cached refresh token will
	Anew      bool          // ask the person even if somebody is signed in
}

// Acquirer gets tokens: from its cache or by a refresh token first, else it asks the person.
//
// Errors: [*Needed] when the person must sign in and may not or cannot be asked, [*Ambiguous] when several accounts
// would do, [*Refused] (with an [*entra.Error] inside) when Entra said no, [ErrNotTrusted] for an authority that
// was not configured; any other error means that Entra could not be asked.
type Acquirer interface {
	Token(ctx context.Context, r Request) (identity.Token, error)
}

// Method is a way to sign in.
type Method int

// The ways to sign in.
const (
	Auto         Method = iota // the browser where Config.Open is set, else the device code
	ByBrowser                  // authorization code with PKCE, answered on a loopback port
	ByDeviceCode               // a code to type on another device
)

// String names the method as people read it.
func (m Method) String() string {
	switch m {
	case ByBrowser:
		return "browser"
	case ByDeviceCode:
		return "device code"
	default:
		return "automatic"
	}
}

// DeviceCode is what the person needs to sign in on another device.
type DeviceCode struct {
	UserCode        string
	VerificationURL string
	Expires         time.Time
	Server          string // for whom the token will be: show it
}

// Config says how to sign in. Authority, Tenant and Client come from the person or an administrator, never from a server.
type Config struct {
	Authority string // "https://HOST/" of Entra; "": the public cloud. Microsoft's other clouds are known without it
	Tenant    string // GUID or domain name; "": the tenant that the server names, else "organizations"
	Client    identity.ClientID

	HTTPClient *http.Client // for Entra; nil: a client of 30 seconds
	Method     Method

	// Prompt shows a device code to the person. It runs beside the waiting and ends with its context; nil: no sign-in by
	// device code. An error of it ends the sign-in.
	Prompt func(ctx context.Context, code DeviceCode) error
	// Open opens a URL in the person's browser; nil: no sign-in by browser. An error of it ends the sign-in.
	Open func(ctx context.Context, address string) error

	Cache  Cache            // nil: in memory
	Now    func() time.Time // nil: the system's clock
	Logger *slog.Logger     // nil: none. No token, code or secret is logged
}

// validate reports every mistake at once.
func (c *Config) validate() error {
	var mistakes []error
	if c.Client.IsZero() {
		mistakes = append(mistakes, errors.New("the client id is missing: the public client's application id"))
	}
	if _, err := entra.CloudOf(c.Authority); err != nil && !errors.Is(err, entra.ErrUnknownCloud) {
		mistakes = append(mistakes, err)
	}
	if c.Tenant != "" && !isTenant(c.Tenant) {
		mistakes = append(mistakes, fmt.Errorf("tenant %q: want a GUID or a domain name", c.Tenant))
	}
	if c.Method == ByBrowser && c.Open == nil {
		mistakes = append(mistakes, errors.New("sign-in by browser needs a way to open one"))
	}
	if c.Method == ByDeviceCode && c.Prompt == nil {
		mistakes = append(mistakes, errors.New("sign-in by device code needs a way to show the code"))
	}
	return errors.Join(mistakes...)
}

// isTenant accepts what may stand in an authority's path: letters, digits, dots and hyphens.
func isTenant(s string) bool {
	if s == "" || len(s) > 253 || s[0] == '.' {
		return false
	}
	for _, r := range []byte(s) {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (r < '0' || r > '9') && r != '.' && r != '-' {
			return false
		}
	}
	return true
}

// ErrNotTrusted says that a server asked for something that nobody confirmed: an unknown authority, another tenant, a
// scope of another API.
var ErrNotTrusted = errors.New("not trusted")

// Needed says that the person must sign in, and that this was not asked for or is not possible here.
type Needed struct { //nolint:errname // an outcome that callers look for by this name
	Request Request
	URL     *url.URL // where to send the person, when the sign-in is a web page of ours; else nil
	Cause   error    // why what was cached did not do; nil when there was nothing
}

// Error says that nobody is signed in, or why the cached sign-in no longer does.
func (n *Needed) Error() string {
	if n.Cause != nil {
		return "sign-in needed: " + n.Cause.Error()
	}
	return "sign-in needed"
}

// Unwrap returns the cause.
func (n *Needed) Unwrap() error { return n.Cause }

// Ambiguous says that several accounts are signed in and none was chosen.
type Ambiguous struct { //nolint:errname // as Needed
	Accounts []Account
}

// Error lists the accounts.
func (a *Ambiguous) Error() string {
	names := make([]string, len(a.Accounts))
	for i, account := range a.Accounts {
		names[i] = account.Name
	}
	return "several accounts are signed in: " + strings.Join(names, ", ")
}

// Refused says that Entra, or the person there, said no.
type Refused struct { //nolint:errname // as Needed
	Method Method
	Err    *entra.Error
}

// Error names the method and Entra's code.
func (r *Refused) Error() string { return "sign-in by " + r.Method.String() + ": " + r.Err.Error() }

// Unwrap returns Entra's error.
func (r *Refused) Unwrap() error { return r.Err }

// Conditional Access can forbid a way to sign in (an "authentication flows" condition) and leave the other one open.
//
// https://learn.microsoft.com/entra/identity/conditional-access/concept-authentication-flows
const (
	blockedByPolicy         = 53003
	blockedBySecurityPolicy = 530032
)

// Other returns the other method when a policy blocks this one, and whether one does.
func (r *Refused) Other() (Method, bool) {
	if n := r.Err.Number(); n != blockedByPolicy && n != blockedBySecurityPolicy {
		return Auto, false
	}
	if r.Method == ByDeviceCode {
		return ByBrowser, true
	}
	return ByDeviceCode, true
}
