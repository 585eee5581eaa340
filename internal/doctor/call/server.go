// Package call takes the way of a call: with the credentials to Entra, without a token and with one to the MCP server, and
// with the token of the person who is signed in through the exchange.
package call

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/doctor/check"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
)

// Checks returns the checks of this area.
func Checks(shared *check.State) []check.Check {
	return check.Bind(&state{State: shared}, credentialChecks(), serverChecks(), personChecks())
}

// areaCheck is one of this area's.
type areaCheck = exam.Check[*state]

// state is what these checks find out for one another, beside what all share.
type state struct {
	*check.State

	appErr   error              // credential.known: what Entra says to the API's credential
	resource *protectedResource // server.metadata
	token    identity.Token     // person.token: for the MCP server
}

// serverChecks look at the MCP server from outside, as a client does that knows nothing but its URL.
//
// https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization
func serverChecks() []areaCheck {
	metadata := []string{"server.metadata"}
	return []areaCheck{
		{ID: "server.metadata", Title: "the MCP server describes itself (RFC 9728)", Needs: []string{"network.server"}, Run: serverMetadata},
		{ID: "server.resource", Title: "the server calls itself by MCP_URL", Needs: metadata, Run: serverResource},
		{ID: "server.authority", Title: "the server sends people to the tenant of the settings", Needs: []string{"server.metadata", "settings.authority", "settings.tenant"}, Unless: []string{"network.authority", "authority.tenant", "credential.known"}, Run: serverAuthority},
		{ID: "server.scopes", Title: "the server names its scope in full", Needs: []string{"server.metadata", "settings.app-id-uri"}, Unless: []string{"registration.api", "credential.known", "server.authority"}, Run: serverScopes},
		{ID: "server.challenge", Title: "the server refuses a call without a token and says where to get one", Needs: metadata, Unless: []string{"server.resource"}, Run: serverChallenge},
	}
}

// protectedResource is the metadata of a server.
type protectedResource struct {
	Resource string   `json:"resource"`
	Servers  []string `json:"authorization_servers"`
	Scopes   []string `json:"scopes_supported"`
}

// metadataURL is where RFC 9728 §3.1 has a client look first.
func metadataURL(server *url.URL) string {
	u := *server
	u.Path, u.RawPath = "/.well-known/oauth-protected-resource"+strings.TrimSuffix(u.Path, "/"), ""
	return u.String()
}

const serverFix = "Start the server with the same settings; where a proxy stands before it, let it pass /.well-known/ on."

func serverMetadata(ctx context.Context, s *state) exam.Finding {
	address := metadataURL(s.MCP)
	got, err := s.Get(ctx, s.HTTPClient, address)
	if err != nil {
		return s.Unreachable(s.HTTPClient, address, err, "MCP_URL")
	}
	var document protectedResource
	if got.Status != http.StatusOK || json.Unmarshal(got.Body, &document) != nil {
		return exam.Failed(fmt.Sprintf("HTTP %d without metadata from %s", got.Status, address), "Clients cannot find out where to sign in: another program answers at MCP_URL, its path is another, or a proxy keeps the path to itself.", serverFix).By(s.Onbehalf("serve"))
	}
	s.resource = &document
	return exam.Good("%s", address)
}

func serverResource(_ context.Context, s *state) exam.Finding {
	if got, want := s.resource.Resource, s.MCP.String(); got != want {
		return exam.Failed(check.Clipped(got), "Clients compare it with the URL that they call ("+want+") and refuse to go on (RFC 9728 §3.3).", "Set MCP_URL to the URL that clients use, letter by letter, for the server and here.")
	}
	return exam.Good("%s", s.resource.Resource)
}

func serverAuthority(_ context.Context, s *state) exam.Finding {
	want := s.Cloud.IssuerV2(s.Tenant.String())
	if slices.Contains(s.resource.Servers, want) {
		return exam.Good("%s", want)
	}
	return exam.Failed(check.Clipped(strings.Join(s.resource.Servers, ", ")), "People sign in elsewhere than at "+want+", and the server runs with other settings than these.", serverFix).By(s.Onbehalf("serve"))
}

func serverScopes(_ context.Context, s *state) exam.Finding {
	want := s.AppIDURI + "/" + check.ScopeName
	if slices.Contains(s.resource.Scopes, want) {
		return exam.Good("%s", want)
	}
	seen := check.Clipped(strings.Join(s.resource.Scopes, " "))
	if seen == "" {
		seen = "none"
	}
	if slices.Contains(s.resource.Scopes, check.ScopeName) {
		return exam.Failed(seen, "A bare name means a permission of Microsoft Graph to Entra (AADSTS650053).", serverFix).By(s.Onbehalf("serve"))
	}
	return exam.Failed(seen, "Clients do not ask for "+want+": the server runs with other settings than these.", serverFix).By(s.Onbehalf("serve"))
}

const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"onbehalf doctor","version":"1"}}}`

// initialize sends the first message of a session, with a token or without.
func (s *state) initialize(ctx context.Context, token string) (*check.Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.MCP.String(), strings.NewReader(initialize))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return s.Send(s.HTTPClient, req)
}

var metadataParam = regexp.MustCompile(`resource_metadata="([^"]*)"`)

func serverChallenge(ctx context.Context, s *state) exam.Finding {
	got, err := s.initialize(ctx, "")
	if err != nil {
		return s.Unreachable(s.HTTPClient, s.MCP.String(), err, "MCP_URL")
	}
	switch challenge := strings.Join(got.Header.Values("WWW-Authenticate"), ", "); {
	case got.Status == http.StatusOK:
		return exam.Failed("HTTP 200 without a token", "Whoever reaches the server gets in: another server answers at MCP_URL, or a proxy adds credentials of its own.", serverFix).By(s.Onbehalf("serve"))
	case got.Status != http.StatusUnauthorized:
		return exam.Failed(fmt.Sprintf("HTTP %d without a token", got.Status), "Clients start a sign-in at 401 alone.", serverFix).By(s.Onbehalf("serve"))
	case !strings.Contains(strings.ToLower(challenge), "bearer"):
		return exam.Failed("HTTP 401 without a Bearer challenge", "Clients do not learn where to sign in: a proxy answers in the server's place, or takes the header WWW-Authenticate away.", serverFix).By(s.Onbehalf("serve"))
	default:
		if found := metadataParam.FindStringSubmatch(challenge); found == nil || found[1] != metadataURL(s.MCP) {
			return exam.Warned("the challenge names no resource_metadata, or another than "+metadataURL(s.MCP), "Clients that trust the challenge end elsewhere.", serverFix).By(s.Onbehalf("serve"))
		}
	}
	return exam.Good("HTTP 401, with the address of the metadata")
}
