package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/internal/doctor/exam"
	"github.com/onbehalf/onbehalf/signin"
)

// serverChecks look at the MCP server from outside, as a client does that knows nothing but its URL.
//
// https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization
func serverChecks() []check {
	metadata := []string{"server.metadata"}
	return []check{
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

const serverFix = "Start the server with the same settings: onbehalf serve --env FILE; where a proxy stands before it, let it pass /.well-known/ on"

func serverMetadata(ctx context.Context, s *state) exam.Finding {
	address := metadataURL(s.mcp)
	got, err := s.get(ctx, s.HTTPClient, address)
	if err != nil {
		return s.unreachable(s.HTTPClient, address, err, "MCP_URL")
	}
	var document protectedResource
	if got.status != http.StatusOK || json.Unmarshal(got.body, &document) != nil {
		return exam.Failed(fmt.Sprintf("HTTP %d without metadata from %s", got.status, address), "Clients cannot find out where to sign in: another program answers at MCP_URL, its path is another, or a proxy keeps the path to itself.", serverFix)
	}
	s.resource = &document
	return exam.Good("%s", address)
}

func serverResource(_ context.Context, s *state) exam.Finding {
	if got, want := s.resource.Resource, s.mcp.String(); got != want {
		return exam.Failed(clipped(got), "Clients compare it with the URL that they call ("+want+") and refuse to go on (RFC 9728 §3.3).", "Set MCP_URL to the URL that clients use, letter by letter, for the server and here.")
	}
	return exam.Good("%s", s.resource.Resource)
}

func serverAuthority(_ context.Context, s *state) exam.Finding {
	want := s.cloud.IssuerV2(s.tenant.String())
	if slices.Contains(s.resource.Servers, want) {
		return exam.Good("%s", want)
	}
	return exam.Failed(clipped(strings.Join(s.resource.Servers, ", ")), "People sign in elsewhere than at "+want+", and the server runs with other settings than these.", serverFix)
}

func serverScopes(_ context.Context, s *state) exam.Finding {
	want := s.appIDURI + "/" + scopeName
	if slices.Contains(s.resource.Scopes, want) {
		return exam.Good("%s", want)
	}
	seen := clipped(strings.Join(s.resource.Scopes, " "))
	if seen == "" {
		seen = "none"
	}
	if slices.Contains(s.resource.Scopes, scopeName) {
		return exam.Failed(seen, "A bare name means a permission of Microsoft Graph to Entra (AADSTS650053).", serverFix)
	}
	return exam.Failed(seen, "Clients do not ask for "+want+": the server runs with other settings than these.", serverFix)
}

const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"onbehalf doctor","version":"1"}}}`

// initialize sends the first message of a session, with a token or without.
func (s *state) initialize(ctx context.Context, token string) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.mcp.String(), strings.NewReader(initialize))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return s.send(s.HTTPClient, req)
}

var metadataParam = regexp.MustCompile(`resource_metadata="([^"]*)"`)

func serverChallenge(ctx context.Context, s *state) exam.Finding {
	got, err := s.initialize(ctx, "")
	if err != nil {
		return s.unreachable(s.HTTPClient, s.mcp.String(), err, "MCP_URL")
	}
	switch challenge := strings.Join(got.header.Values("WWW-Authenticate"), ", "); {
	case got.status == http.StatusOK:
		return exam.Failed("HTTP 200 without a token", "Whoever reaches the server gets in: another server answers at MCP_URL, or a proxy adds credentials of its own.", serverFix)
	case got.status != http.StatusUnauthorized:
		return exam.Failed(fmt.Sprintf("HTTP %d without a token", got.status), "Clients start a sign-in at 401 alone.", serverFix)
	case !strings.Contains(strings.ToLower(challenge), "bearer"):
		return exam.Failed("HTTP 401 without a Bearer challenge", "Clients do not learn where to sign in: a proxy answers in the server's place, or takes the header WWW-Authenticate away.", serverFix)
	default:
		if found := metadataParam.FindStringSubmatch(challenge); found == nil || found[1] != metadataURL(s.mcp) {
			return exam.Warned("the challenge names no resource_metadata, or another than "+metadataURL(s.mcp), "Clients that trust the challenge end elsewhere.", serverFix)
		}
	}
	return exam.Good("HTTP 401, with the address of the metadata")
}

// serverAccepts shows the person's token to the server as it runs: with whatever settings that was started.
func serverAccepts(ctx context.Context, s *state) exam.Finding {
	got, err := s.initialize(ctx, s.token.Value.Reveal())
	if err != nil {
		return s.unreachable(s.HTTPClient, s.mcp.String(), err, "MCP_URL")
	}
	if got.status == http.StatusOK {
		return exam.Good("HTTP 200")
	}
	code, description := signin.Reason(got.header)
	return exam.Failed(strings.TrimSpace(fmt.Sprintf("HTTP %d %s", got.status, clipped(code+" "+description))), "The server refuses a token that is good by these settings: it runs with others.", serverFix)
}
