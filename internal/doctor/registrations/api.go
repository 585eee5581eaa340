package registrations

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/onbehalf/onbehalf/internal/doctor/check"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
	"github.com/onbehalf/onbehalf/internal/graph"
)

// registrationChecks look at the API's registration by Microsoft Graph.
//
// https://learn.microsoft.com/graph/api/resources/application
func registrationChecks() []areaCheck {
	api := []string{"registration.api"}
	return []areaCheck{
		{ID: "registration.api", Title: "API_CLIENT_ID is registered in the tenant", Needs: []string{"graph.rights"}, Run: registrationAPI},
		{ID: "registration.api-principal", Title: "the API has a service principal, and it is enabled", Needs: api, Run: registrationPrincipal},
		{ID: "registration.version", Title: "the API gets v2 tokens", Needs: api, Run: registrationVersion},
		{ID: "registration.uris", Title: "API_APP_ID_URI is an App ID URI of the API", Needs: []string{"registration.api", "settings.app-id-uri"}, Run: registrationURIs},
		{ID: "registration.resource", Title: "MCP_URL is an App ID URI of the API, so that clients which send resource get tokens (AADSTS9010010)", Needs: []string{"registration.api", "settings.mcp-url"}, Run: registrationResource},
		{ID: "registration.scope", Title: "the API offers the scope execute, enabled", Needs: api, Run: registrationScope},
		{ID: "registration.audience", Title: "the API is for people of this tenant alone", Needs: api, Run: registrationAudience},
		{ID: "registration.idtyp", Title: "tokens say whether they are a person's (optional claim idtyp)", Needs: api, Run: optionalClaim("idtyp", "Without it, an application's token is told from a person's by what it lacks.")},
		{ID: "registration.xms-cc", Title: "tokens say whether the client handles claims challenges (optional claim xms_cc)", Needs: api, Run: optionalClaim("xms_cc", "Where a policy demands more of a sign-in, people get words instead of a new sign-in.")},
		{ID: "registration.confidential", Title: "the API is no public client", Needs: api, Run: registrationConfidential},
		{ID: "registration.credential", Title: "the credential of the settings is registered, and is good for a while", Needs: []string{"registration.api", "settings.credential"}, Unless: []string{"settings.quotes", "settings.secret", "settings.certificate"}, Run: registrationCredential},
		{ID: "registration.assignment", Title: "everybody in the tenant may use the API", Needs: []string{"registration.api-principal"}, Run: registrationAssignment},
		{ID: "registration.roles", Title: "the API itself may change nothing in the tenant", Needs: []string{"registration.api-principal"}, Run: registrationRoles},
		{ID: "registration.groups", Title: "the groups of people who are in many can be looked up", Needs: []string{"registration.api-principal"}, Run: registrationGroups},
		{ID: "registration.search-principal", Title: "Azure AI Search is known in the tenant", Needs: []string{"graph.rights"}, Run: registrationSearchPrincipal},
		{ID: "registration.search-permission", Title: "the API asks for the permission to search on behalf of people", Needs: []string{"registration.api", "registration.search-principal"}, Run: registrationSearchPermission},
		{ID: "registration.search-consent", Title: "an administrator has consented that the API searches on behalf of people", Needs: []string{"registration.api-principal", "registration.search-permission"}, Run: registrationSearchConsent},
	}
}

func registrationAPI(ctx context.Context, s *state) exam.Finding {
	app, err := graph.Get[graph.Application](ctx, s.graph, graph.ByAppID("applications", s.API.String()), nil)
	if errors.Is(err, graph.ErrNotFound) {
		const fix = "API_CLIENT_ID: " + check.PortalApp + " > Overview > Application (client) ID. Where there is none yet, the command registers it."
		command := s.Onbehalf("setup entra apply")
		if other, found := graph.Get[graph.Application](ctx, s.graph, "/applications/"+s.API.String(), nil); found == nil {
			return exam.Failed(s.API.String(), "That is the object id of the registration "+check.Clipped(other.DisplayName)+", whose application id is "+check.Clipped(other.AppID)+".", fix)
		}
		return exam.Failed(s.API.String(), "No registration of the tenant "+s.Tenant.String()+" has this application id: another tenant, a typing error, or it was deleted.", fix).By(command)
	}
	if err != nil {
		return s.graphTrouble(err)
	}
	if app.API == nil {
		app.API = &graph.APISettings{}
	}
	s.apiApp = &app
	return exam.Good("%s", check.Clipped(app.DisplayName))
}

func registrationPrincipal(ctx context.Context, s *state) exam.Finding {
	sp, err := s.principal(ctx, s.API.String())
	switch {
	case errors.Is(err, graph.ErrNotFound):
		return exam.Failed("none", "A registration acts in a tenant through its service principal (enterprise application); without one nobody gets a token for it (AADSTS500011).", "Create it.").By("az ad sp create --id " + s.API.String())
	case err != nil:
		return s.graphTrouble(err)
	case sp.AccountEnabled != nil && !*sp.AccountEnabled:
		return exam.Failed("disabled", "Nobody gets tokens for or as a disabled application (AADSTS500014, AADSTS7000112).", "Entra admin center > Enterprise applications > the API > Properties > Enabled for users to sign-in: Yes")
	}
	s.apiPrincipal = sp
	return exam.Good("%s", sp.ID)
}

func registrationVersion(_ context.Context, s *state) exam.Finding {
	version := s.apiApp.API.RequestedAccessTokenVersion
	if version != nil && *version == 2 {
		return exam.Good("2")
	}
	seen := "null, which means 1"
	if version != nil {
		seen = strconv.Itoa(*version)
	}
	return exam.Failed(seen, "The API's registration makes Entra issue v1 tokens, whatever endpoint clients use: another issuer, other claims. The server takes v2.", check.PortalApp+" > Manifest: \"requestedAccessTokenVersion\": 2").By(azUpdate(s.API, "--requested-access-token-version", "2"))
}

func registrationURIs(_ context.Context, s *state) exam.Finding {
	uris := s.apiApp.IdentifierURIs
	if slices.Contains(uris, s.AppIDURI) {
		return exam.Good("%s", strings.Join(uris, ", "))
	}
	seen := "none"
	if len(uris) > 0 {
		seen = check.Clipped(strings.Join(uris, ", "))
	}
	return exam.Failed(seen, "The server tells clients to ask for "+s.AppIDURI+"/"+check.ScopeName+", which Entra then does not know (AADSTS500011).", "Add it at "+check.PortalApp+" > Expose an API, or set API_APP_ID_URI to one of those.").By(azUpdate(s.API, "--identifier-uris", append(slices.Clone(uris), s.AppIDURI)...))
}

func registrationResource(ctx context.Context, s *state) exam.Finding {
	resource := s.MCP.String()
	switch {
	case slices.Contains(s.apiApp.IdentifierURIs, resource):
		return exam.Good("%s", resource)
	case check.OnLoopback(s.MCP):
		return exam.Good("%s is on this machine, and no App ID URI can be: clients here leave resource out", resource)
	}
	cause := "Clients that follow the MCP specification (VS Code, Claude) send the server's URL as resource; Entra compares it with the App ID URIs and refuses (AADSTS9010010)."
	fix := "Make the URL an App ID URI at " + check.PortalApp + " > Expose an API; API_APP_ID_URI is best the same."
	if domains, err := s.domains(ctx); err == nil && !slices.ContainsFunc(domains, s.below) {
		cause += " The domain of " + s.MCP.Hostname() + " is not verified in the tenant, which an App ID URI needs."
		fix = "First Entra admin center > Custom domain names > Add. " + fix
	}
	return exam.Warned(resource+" is none of "+check.Clipped(strings.Join(s.apiApp.IdentifierURIs, ", ")), cause, fix).By(azUpdate(s.API, "--identifier-uris", append([]string{resource}, s.apiApp.IdentifierURIs...)...))
}

// domains returns the tenant's verified domains.
func (s *state) domains(ctx context.Context) ([]string, error) {
	all, err := graph.List[graph.Organization](ctx, s.graph, "/organization", nil, 10)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, organization := range all {
		for _, domain := range organization.VerifiedDomains {
			names = append(names, strings.ToLower(domain.Name))
		}
	}
	return names, nil
}

// below reports whether the server is in a domain.
func (s *state) below(domain string) bool {
	host := strings.ToLower(s.MCP.Hostname())
	return host == domain || strings.HasSuffix(host, "."+domain)
}

// executeScope returns the id of the scope that calls need, if it is there and enabled.
func (s *state) executeScope() (graph.PermissionScope, bool) {
	scopes := s.apiApp.API.OAuth2PermissionScopes
	i := slices.IndexFunc(scopes, func(p graph.PermissionScope) bool { return p.Value == check.ScopeName })
	if i < 0 {
		return graph.PermissionScope{}, false
	}
	return scopes[i], true
}

func registrationScope(_ context.Context, s *state) exam.Finding {
	scope, ok := s.executeScope()
	switch {
	case !ok:
		var names []string
		for _, other := range s.apiApp.API.OAuth2PermissionScopes {
			names = append(names, other.Value)
		}
		return exam.Failed("offered are: "+check.Clipped(strings.Join(append(names, ""), " ")), "Clients ask for "+s.AppIDURI+"/"+check.ScopeName+", which does not exist (AADSTS65005, AADSTS650053).", check.PortalApp+" > Expose an API > Add a scope: "+check.ScopeName)
	case !scope.IsEnabled:
		return exam.Failed("disabled", "Nobody gets a disabled scope.", check.PortalApp+" > Expose an API > "+check.ScopeName+" > State: Enabled")
	case scope.Type != "User":
		return exam.Good("%s, which administrators alone may consent to", check.ScopeName)
	}
	return exam.Good("%s", check.ScopeName)
}

func registrationAudience(_ context.Context, s *state) exam.Finding {
	if got := s.apiApp.SignInAudience; got != "AzureADMyOrg" && got != "" {
		return exam.Warned(got, "People of other tenants can sign in for the API; the server then refuses their tokens, tenant by tenant.", check.PortalApp+" > Authentication > Supported account types: this organizational directory only").By(azUpdate(s.API, "--sign-in-audience", "AzureADMyOrg"))
	}
	return exam.Good("AzureADMyOrg")
}

// optionalClaim checks that access tokens hold a claim that is there on request alone.
func optionalClaim(name, cause string) func(context.Context, *state) exam.Finding {
	return func(_ context.Context, s *state) exam.Finding {
		claims := s.apiApp.OptionalClaims
		if claims != nil && slices.ContainsFunc(claims.AccessToken, func(c graph.OptionalClaim) bool { return c.Name == name }) {
			return exam.Good("asked for")
		}
		return exam.Warned("not asked for", cause, check.PortalApp+" > Token configuration > Add optional claim > Access > "+name)
	}
}

func registrationConfidential(_ context.Context, s *state) exam.Finding {
	if public := s.apiApp.IsFallbackPublicClient; public != nil && *public {
		return exam.Warned("allows public client flows", "The API has a credential and signs nobody in; as a public client, anybody may ask for tokens in its name, and a credential may be refused (AADSTS700025).", check.PortalApp+" > Authentication > Allow public client flows: No")
	}
	return exam.Good("confidential")
}

func registrationAssignment(_ context.Context, s *state) exam.Finding {
	if required := s.apiPrincipal.AppRoleAssignmentRequired; required != nil && *required {
		return exam.Warned("assignment is required", "Who is not assigned, directly or by a group, is refused at sign-in (AADSTS50105). That may be meant.", "Entra admin center > Enterprise applications > the API > Users and groups, or Properties > Assignment required: No")
	}
	return exam.Good("no assignment is required")
}
