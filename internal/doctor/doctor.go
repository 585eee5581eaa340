// Package doctor checks a set-up, from the settings to an answer of the search service, and names the cause of what
// does not work and who mends it how. It changes nothing, anywhere, and needs no more rights than who runs it has: what
// it may not look at it skips, and says how to get the right.
//
// The checks are in the files named after what they look at, in the order in which a call passes there. Package exam
// runs them, package explain puts errors and tokens into words.
package doctor

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
	"github.com/onbehalf/onbehalf/internal/graph"
	"github.com/onbehalf/onbehalf/search"
)

// Config is what the doctor looks at, and with what. Functions that are nil are things that nobody can do here: the
// checks that need them are skipped.
type Config struct {
	Setting  func(name string) string // "" for one that is not set
	File     string                   // the settings file that was named; "" for none
	Unread   string                   // a settings file that is there and was not read; "" for none
	LooksFor time.Duration            // how long before its end a credential is warned of; 0 means 30 days

	Cloud func() (entra.Cloud, error) // as the server takes it from the settings

	HTTPClient  *http.Client // for the server and the search service; required
	EntraClient *http.Client // for the authority and Microsoft Graph; required
	Now         func() time.Time

	// AppToken returns a token of the API's own registration, by the credential of the settings. An answer of Entra's
	// that says no is an *[entra.Error].
	AppToken func(ctx context.Context, scope string) (identity.Secret, error)
	// GraphToken returns somebody's token for Microsoft Graph, of whom it says who; nil: the API's own is tried.
	GraphToken func(ctx context.Context) (identity.Secret, error)
	GraphAs    string
	// Person returns the token for the MCP server of the person who is signed in here, without asking her.
	Person func(ctx context.Context) (identity.Token, error)
	// Exchange exchanges a caller's token on behalf of her.
	Exchange func(ctx context.Context, c *identity.Caller, s entra.Scope) (identity.Token, error)
	// SearchCredential is the server's identity towards the search service, where no key is set; SearchAs says whose it is.
	SearchCredential func() (azcore.TokenCredential, error)
	SearchAs         string
	// PermissionFields are the fields of an index by which the server lets nobody filter.
	PermissionFields []string
	// Redis asks the shared token cache of REDIS_URL for a sign of life.
	Redis func(ctx context.Context) error
}

// state is what the checks find out for one another. Each field is written by the one check that its comment names, and
// read by those that need that check.
type state struct {
	Config

	cloud    entra.Cloud       // settings.authority
	tenant   identity.TenantID // settings.tenant
	api      identity.ClientID // settings.api
	web      identity.ClientID // settings.web-client; zero when there is none
	agent    identity.ClientID // settings.agent; zero when there is none
	appIDURI string            // settings.app-id-uri
	mcp      *url.URL          // settings.mcp-url
	webURL   *url.URL          // settings.web-url
	service  string            // settings.search-endpoint
	index    string            // settings.index
	metadata *answer           // network.authority
	keys     keySet            // authority.keys
	graph    *graph.Client     // graph.rights

	apiApp          *graph.Application      // registration.api
	apiPrincipal    *graph.ServicePrincipal // registration.api-principal
	searchPrincipal *graph.ServicePrincipal // registration.search-principal
	webApp          *registered             // registration.web-client
	agentApp        *registered             // registration.agent

	appErr      error              // credential.known: what Entra says to the API's credential
	resource    *protectedResource // server.metadata
	token       identity.Token     // person.token: for the MCP server
	caller      *identity.Caller   // person.accepted
	searchToken identity.Token     // exchange.search

	searched    search.Index       // search.access: as the server
	public      *search.Result     // search.access: the answer without a person
	publicErr   error              // search.access: what was said instead
	publicCount int64              // search.public
	definition  *search.Definition // search.definition
}

// check is one of the doctor's.
type check = exam.Check[*state]

// checks returns all of them, in the order in which a call passes what they look at.
func checks() []check {
	return slices.Concat(
		settingsChecks(), networkChecks(), authorityChecks(), rightsChecks(), registrationChecks(), clientChecks(), credentialChecks(),
		serverChecks(), personChecks(), searchChecks(), cacheChecks(),
	)
}

// Listed is a check as the documentation lists it.
type Listed struct {
	ID, Title string
	After     []string // the checks that it waits for
}

// List returns all checks.
func List() []Listed {
	var list []Listed
	for _, c := range checks() {
		list = append(list, Listed{c.ID, c.Title, slices.Concat(c.Needs, c.Unless)})
	}
	return list
}

// Run runs all checks. Observe, which may be nil, is told of each result as soon as all before it are known,
// until ctx ends.
func Run(ctx context.Context, cfg Config, observe func(exam.Result)) *exam.Report {
	if cfg.LooksFor <= 0 {
		cfg.LooksFor = 30 * 24 * time.Hour
	}
	return exam.Run(ctx, checks(), &state{Config: cfg}, exam.Limits{}, cfg.Now, observe)
}
