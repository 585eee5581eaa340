// Package check is what all checks have in common: what they are given, what one finds out for others, how they ask over
// HTTP, and the words in which trouble is told. The checks themselves are in the packages beside it, by what they look at.
package check

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
)

// Config is what the doctor looks at, and with what. Functions that are nil are things that nobody can do here: the
// checks that need them are skipped.
type Config struct {
	Setting  func(name string) string // "" for one that is not set
	File     string                   // the settings file that was named; "" for none
	Unread   string                   // a settings file that is there and was not read; "" for none
	LooksFor time.Duration            // how long before its end a credential is warned of; 0 means 30 days
	Skip     []string                 // checks that are left out, by id or area ("server")

	Authority func() (entra.Cloud, error) // as the server takes it from the settings

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

// State is what the checks find out for one another. Each field is written by the one check that its comment names, and
// read by those that need that check.
type State struct {
	Config

	Cloud    entra.Cloud       // settings.authority
	Tenant   identity.TenantID // settings.tenant
	API      identity.ClientID // settings.api
	Web      identity.ClientID // settings.web-client; zero when there is none
	Agent    identity.ClientID // settings.agent; zero when there is none
	AppIDURI string            // settings.app-id-uri
	MCP      *url.URL          // settings.mcp-url
	WebURL   *url.URL          // settings.web-url
	Service  string            // settings.search-endpoint
	Index    string            // settings.index

	Keys        KeySet           // authority.keys
	Caller      *identity.Caller // person.accepted
	SearchToken identity.Token   // exchange.search
}

// Check is one of the doctor's.
type Check = exam.Check[*State]

// Bind makes checks of an area, which share a state of their own beside what all share, ready to run.
func Bind[S any](own S, checks ...[]exam.Check[S]) []Check {
	var bound []Check
	for _, c := range slices.Concat(checks...) {
		bound = append(bound, Check{ID: c.ID, Title: c.Title, Needs: c.Needs, Unless: c.Unless, Run: func(ctx context.Context, _ *State) exam.Finding {
			return c.Run(ctx, own)
		}})
	}
	return bound
}
