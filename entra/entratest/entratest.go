// Package entratest starts the local Entra (package entraserver) within a Go test: over HTTPS, on a port of its own,
// with the sample tenant. Ids are the same at every start, keys and secrets are not.
//
//	entra := entratest.Start(t, nil)
//	token := entra.SignIn("alice", entra.WebClient, "api://"+entra.API+"/execute")
//	verifier, err := bearer.New(bearer.Config{Cloud: entra.Cloud(), Tenants: []identity.TenantID{entra.TenantID()}, HTTPClient: entra.Client(), … })
//
// What tests are mostly about:
//
//	refusals        Policy (MFA, consent missing, blocked, revoked, disabled), Scenario, QueueError
//	time            Advance ages what was issued, as Entra sees it; who verifies tokens has a clock of its own
//	hostile tokens  Sign, SignWith; tokens of another tenant by the claims tid and iss
//	one's own API   AddAPI, Assign for roles, AppToken for applications without a person
//	people          those of entraserver.Contoso by short name: alice, bob, carol; dana has too many groups for a token
//	counting        Count, Requests
//
// It is for tests only: whoever reaches it may sign in as anyone.
package entratest

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/localhost"
)

// Options change what is started. The zero Options, and nil, are the sample tenant as it is.
type Options struct {
	Directory       *entraserver.Directory // nil: [entraserver.Contoso]
	Logger          *slog.Logger           // nil: silence
	Now             func() time.Time       // nil: the system's clock
	AccessTokenLife time.Duration          // 0: random, 60 to 90 minutes
	Scenario        string                 // one of [entraserver.Scenarios], or ""
	// Configure changes anything else before the start.
	Configure func(*entraserver.Config)
}

// Entra is a local Entra under test. Its control API is also there over HTTP, below /_local/.
type Entra struct {
	*IDs
	URL    string // "https://localhost:PORT", without a trailing slash
	Server *entraserver.Server

	tb testing.TB
	ca *localhost.CA
}

// IDs are those of the sample tenant. [Entra.TenantID] and [Entra.ClientID] have the types that the configurations of the
// other packages want.
type IDs struct {
	Tenant, Domain      string
	API                 string // client id of the MCP server, "api://"+API its App ID URI
	WebClient, WebAgent string // client ids: public, confidential
	Other               string // a confidential client with no permission to anything
}

// Start starts a local Entra that ends with the test.
func Start(tb testing.TB, options *Options) *Entra {
	tb.Helper()
	if options == nil {
		options = &Options{}
	}
	ca, err := localhost.NewCA(time.Now()) //nolint:forbidigo // certificates are for clients of the real time
	if err != nil {
		tb.Fatal(err)
	}
	tls, err := ca.ServerTLS()
	if err != nil {
		tb.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	config := entraserver.Config{
		URL: "https://localhost:" + port, Directory: options.Directory, Logger: options.Logger, Now: options.Now, AccessTokenLife: options.AccessTokenLife,
	}
	if options.Configure != nil {
		options.Configure(&config)
	}
	entra, err := entraserver.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	server.Config.Handler, server.TLS, server.EnableHTTP2 = entra, tls, true
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // clients that do not trust the CA
	server.StartTLS()
	tb.Cleanup(server.Close)
	e := &Entra{URL: config.URL, Server: entra, tb: tb, ca: ca, IDs: &IDs{
		Tenant: entra.Directory().Tenant().String(), Domain: entra.Directory().Domain(), API: entraserver.ContosoAPI,
		WebClient: entraserver.ContosoWebClient, WebAgent: entraserver.ContosoWebAgent, Other: entraserver.ContosoOther,
	}}
	if options.Scenario != "" {
		e.Scenario(options.Scenario)
	}
	return e
}

// Authority returns the authority of the tenant, as MSAL wants it: "https://localhost:PORT/TENANT".
func (e *Entra) Authority() string { return e.URL + "/" + e.Tenant }

// Client returns a client that trusts this server and nothing else. Each call makes one of its own.
func (e *Entra) Client() *http.Client { return e.ca.Client() }

// CAPEM returns the certificate that clients have to trust.
func (e *Entra) CAPEM() []byte { return e.ca.PEM() }

// Secret returns the client secret of an application.
func (e *Entra) Secret(clientID string) identity.Secret {
	e.tb.Helper()
	app := e.Server.Directory().FindApplication(clientID)
	if app == nil {
		e.tb.Fatalf("entratest: no application %s", clientID)
	}
	return e.Server.Directory().ClientSecret(app.AppID)
}

// SignIn returns an access token for the scopes: the person ("alice") has signed in to the application with MFA if a
// policy asked for it, and has consented.
func (e *Entra) SignIn(person, clientID string, scopes ...string) identity.Secret {
	e.tb.Helper()
	token, err := e.Server.SignIn(person, clientID, "", scopes...)
	if err != nil {
		e.tb.Fatalf("entratest: sign %s in: %v", person, err)
	}
	return token
}

// SignInWithClaims is SignIn after a claims challenge: claims is the JSON of the challenge, or of the client's capabilities.
func (e *Entra) SignInWithClaims(person, clientID, claims string, scopes ...string) identity.Secret {
	e.tb.Helper()
	token, err := e.Server.SignIn(person, clientID, claims, scopes...)
	if err != nil {
		e.tb.Fatalf("entratest: sign %s in: %v", person, err)
	}
	return token
}

// Advance makes everything that was issued so far older. Tokens that are issued afterwards carry the real time.
func (e *Entra) Advance(by time.Duration) {
	e.tb.Helper()
	if err := e.Server.Advance(by); err != nil {
		e.tb.Fatalf("entratest: %v", err)
	}
}

// Policy puts policies in force, in place of those before.
func (e *Entra) Policy(p entraserver.Policies) {
	e.tb.Helper()
	if err := e.Server.SetPolicies(p); err != nil {
		e.tb.Fatalf("entratest: %v", err)
	}
}

// Scenario applies one of [entraserver.Scenarios].
func (e *Entra) Scenario(name string) {
	e.tb.Helper()
	if err := e.Server.Scenario(name); err != nil {
		e.tb.Fatalf("entratest: %v", err)
	}
}

// Fault spoils answers: see [Entra.QueueError].
type Fault = localhost.Fault

// QueueError spoils the next answers of an endpoint ("token", "devicecode", "metadata", "keys", "graph").
func (e *Entra) QueueError(f Fault) {
	e.tb.Helper()
	if err := e.Server.QueueFault(f); err != nil {
		e.tb.Fatalf("entratest: %v", err)
	}
}

// Counted says how often an endpoint was called, by detail (the grant type) and outcome.
type Counted = localhost.Counted

// Requests returns all counts since the last reset.
func (e *Entra) Requests() []Counted { return e.Server.Requests() }

// Count returns how often an endpoint was called, whatever came of it: Count("token", "") of any grant.
func (e *Entra) Count(endpoint, detail string) (n int) {
	for _, row := range e.Requests() {
		if row.Endpoint == endpoint && (detail == "" || row.Detail == detail) {
			n += row.Requests
		}
	}
	return n
}

// Sign returns a token of whatever it is given, for tests of those who have to refuse it: header and claims are laid
// over those of a good token of alice for the API, and null takes one away.
func (e *Entra) Sign(header, claims map[string]any) identity.Secret {
	e.tb.Helper()
	return e.SignWith(entraserver.SignRequest{Header: header, Claims: claims})
}

// SignWith is Sign with a choice of the person and of the key.
func (e *Entra) SignWith(r entraserver.SignRequest) identity.Secret {
	e.tb.Helper()
	token, err := e.Server.Sign(r)
	if err != nil {
		e.tb.Fatalf("entratest: %v", err)
	}
	return token
}

// Approve signs a person in with a device code, by its user code.
func (e *Entra) Approve(userCode, person string) {
	e.tb.Helper()
	if err := e.Server.ApproveDevice(userCode, person); err != nil {
		e.tb.Fatalf("entratest: approve: %v", err)
	}
}

// Reset brings everything back to the start, but for keys and secrets.
func (e *Entra) Reset() { e.Server.Reset() }

// Token posts a form to the token endpoint, and returns status and body: for tests of the wire itself.
func (e *Entra) Token(form url.Values) (status int, body []byte) {
	e.tb.Helper()
	request, err := http.NewRequestWithContext(e.tb.Context(), http.MethodPost, e.Authority()+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	if err != nil {
		e.tb.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := e.Client().Do(request)
	if err != nil {
		e.tb.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	const most = 1 << 20
	if body, err = io.ReadAll(io.LimitReader(response.Body, most)); err != nil {
		e.tb.Fatal(err)
	}
	return response.StatusCode, body
}
