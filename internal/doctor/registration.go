package doctor

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
	"github.com/onbehalf/onbehalf/internal/graph"
)

// registrationChecks look at the API's registration by Microsoft Graph.
//
// https://learn.microsoft.com/graph/api/resources/application
func registrationChecks() []check {
	api := []string{"registration.api"}
	return []check{
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

// azUpdate is the command that sets a property of a registration. Values come from the tenant: they are quoted, so that
// nothing in them becomes a command of whoever pastes it.
func azUpdate(id identity.ClientID, flag string, values ...string) string {
	words := []string{"az ad app update --id", id.String(), flag}
	for _, value := range values {
		words = append(words, shellQuote(value))
	}
	return strings.Join(words, " ")
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9@%+=:,./_-]+$`)

// shellQuote writes a word for a POSIX shell.
func shellQuote(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	word = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, word)
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// graphTrouble is what is said when Graph does not let itself be asked.
func graphTrouble(err error) exam.Finding {
	if errors.Is(err, graph.ErrForbidden) {
		return exam.Skip("no rights at Graph for this", rightsFix)
	}
	return exam.Failed(firstLine(err), "Microsoft Graph did not answer the question.", "Try again; https://status.cloud.microsoft shows outages.")
}

func registrationAPI(ctx context.Context, s *state) exam.Finding {
	app, err := graph.Get[graph.Application](ctx, s.graph, graph.ByAppID("applications", s.api.String()), nil)
	if errors.Is(err, graph.ErrNotFound) {
		const fix = "API_CLIENT_ID: " + portalApp + " > Overview > Application (client) ID; where there is none yet: onbehalf setup entra"
		if other, found := graph.Get[graph.Application](ctx, s.graph, "/applications/"+s.api.String(), nil); found == nil {
			return exam.Failed(s.api.String(), "That is the object id of the registration "+clipped(other.DisplayName)+", whose application id is "+clipped(other.AppID)+".", fix)
		}
		return exam.Failed(s.api.String(), "No registration of the tenant "+s.tenant.String()+" has this application id: another tenant, a typing error, or it was deleted.", fix)
	}
	if err != nil {
		return graphTrouble(err)
	}
	if app.API == nil {
		app.API = &graph.APISettings{}
	}
	s.apiApp = &app
	return exam.Good("%s", clipped(app.DisplayName))
}

// principal returns the service principal of an application.
func (s *state) principal(ctx context.Context, appID string) (*graph.ServicePrincipal, error) {
	sp, err := graph.Get[graph.ServicePrincipal](ctx, s.graph, graph.ByAppID("servicePrincipals", appID), nil)
	if err != nil {
		return nil, err
	}
	return &sp, nil
}

func registrationPrincipal(ctx context.Context, s *state) exam.Finding {
	sp, err := s.principal(ctx, s.api.String())
	switch {
	case errors.Is(err, graph.ErrNotFound):
		return exam.Failed("none", "A registration acts in a tenant through its service principal (enterprise application); without one nobody gets a token for it (AADSTS500011).", "az ad sp create --id "+s.api.String())
	case err != nil:
		return graphTrouble(err)
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
	return exam.Failed(seen, "The API's registration makes Entra issue v1 tokens, whatever endpoint clients use: another issuer, other claims. The server takes v2.", azUpdate(s.api, "--requested-access-token-version", "2")+", or "+portalApp+" > Manifest")
}

func registrationURIs(_ context.Context, s *state) exam.Finding {
	uris := s.apiApp.IdentifierURIs
	if slices.Contains(uris, s.appIDURI) {
		return exam.Good("%s", strings.Join(uris, ", "))
	}
	seen := "none"
	if len(uris) > 0 {
		seen = clipped(strings.Join(uris, ", "))
	}
	return exam.Failed(seen, "The server tells clients to ask for "+s.appIDURI+"/"+scopeName+", which Entra then does not know (AADSTS500011).", azUpdate(s.api, "--identifier-uris", append(slices.Clone(uris), s.appIDURI)...)+", or set API_APP_ID_URI to one of those")
}

func registrationResource(ctx context.Context, s *state) exam.Finding {
	resource := s.mcp.String()
	switch {
	case slices.Contains(s.apiApp.IdentifierURIs, resource):
		return exam.Good("%s", resource)
	case onLoopback(s.mcp):
		return exam.Good("%s is on this machine, and no App ID URI can be: clients here leave resource out", resource)
	}
	cause := "Clients that follow the MCP specification (VS Code, Claude) send the server's URL as resource; Entra compares it with the App ID URIs and refuses (AADSTS9010010)."
	fix := azUpdate(s.api, "--identifier-uris", append([]string{resource}, s.apiApp.IdentifierURIs...)...) + "; API_APP_ID_URI is best the same"
	if domains, err := s.domains(ctx); err == nil && !slices.ContainsFunc(domains, s.below) {
		cause += " The domain of " + s.mcp.Hostname() + " is not verified in the tenant, which an App ID URI needs."
		fix = "First Entra admin center > Custom domain names > Add; then " + fix
	}
	return exam.Warned(resource+" is none of "+clipped(strings.Join(s.apiApp.IdentifierURIs, ", ")), cause, fix)
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
	host := strings.ToLower(s.mcp.Hostname())
	return host == domain || strings.HasSuffix(host, "."+domain)
}

// executeScope returns the id of the scope that calls need, if it is there and enabled.
func (s *state) executeScope() (graph.PermissionScope, bool) {
	scopes := s.apiApp.API.OAuth2PermissionScopes
	i := slices.IndexFunc(scopes, func(p graph.PermissionScope) bool { return p.Value == scopeName })
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
		return exam.Failed("offered are: "+clipped(strings.Join(append(names, ""), " ")), "Clients ask for "+s.appIDURI+"/"+scopeName+", which does not exist (AADSTS65005, AADSTS650053).", portalApp+" > Expose an API > Add a scope: "+scopeName)
	case !scope.IsEnabled:
		return exam.Failed("disabled", "Nobody gets a disabled scope.", portalApp+" > Expose an API > "+scopeName+" > State: Enabled")
	case scope.Type != "User":
		return exam.Good("%s, which administrators alone may consent to", scopeName)
	}
	return exam.Good("%s", scopeName)
}

func registrationAudience(_ context.Context, s *state) exam.Finding {
	if got := s.apiApp.SignInAudience; got != "AzureADMyOrg" && got != "" {
		return exam.Warned(got, "People of other tenants can sign in for the API; the server then refuses their tokens, tenant by tenant.", azUpdate(s.api, "--sign-in-audience", "AzureADMyOrg"))
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
		return exam.Warned("not asked for", cause, portalApp+" > Token configuration > Add optional claim > Access > "+name)
	}
}

func registrationConfidential(_ context.Context, s *state) exam.Finding {
	if public := s.apiApp.IsFallbackPublicClient; public != nil && *public {
		return exam.Warned("allows public client flows", "The API has a credential and signs nobody in; as a public client, anybody may ask for tokens in its name, and a credential may be refused (AADSTS700025).", portalApp+" > Authentication > Allow public client flows: No")
	}
	return exam.Good("confidential")
}

func registrationAssignment(_ context.Context, s *state) exam.Finding {
	if required := s.apiPrincipal.AppRoleAssignmentRequired; required != nil && *required {
		return exam.Warned("assignment is required", "Who is not assigned, directly or by a group, is refused at sign-in (AADSTS50105). That may be meant.", "Entra admin center > Enterprise applications > the API > Users and groups, or Properties > Assignment required: No")
	}
	return exam.Good("no assignment is required")
}

// registrationRoles looks for application permissions of the API's own. It needs none: whoever breaks into the server has
// them without any person.
func registrationRoles(ctx context.Context, s *state) exam.Finding {
	held, err := graph.List[graph.AppRoleAssignment](ctx, s.graph, "/servicePrincipals/"+s.apiPrincipal.ID+"/appRoleAssignments", nil, 200)
	if err != nil {
		return graphTrouble(err)
	}
	if len(held) == 0 {
		return exam.Good("no application permissions")
	}
	sp, err := s.principal(ctx, entra.GraphAppID)
	if err != nil {
		return graphTrouble(err)
	}
	var reading, changing []string
	for _, assignment := range held {
		i := slices.IndexFunc(sp.AppRoles, func(r graph.AppRole) bool { return r.ID == assignment.AppRoleID && assignment.ResourceID == sp.ID })
		switch {
		case i < 0:
		case strings.Contains(sp.AppRoles[i].Value, "Write") || strings.Contains(sp.AppRoles[i].Value, "FullControl"):
			changing = append(changing, sp.AppRoles[i].Value)
		default:
			reading = append(reading, sp.AppRoles[i].Value)
		}
	}
	if len(changing) > 0 {
		return exam.Warned(clipped(strings.Join(changing, ", ")), "The API acts on behalf of people and needs no permission of its own; with these, whoever breaks into the server changes the tenant.", portalApp+" > API permissions: remove the application permissions")
	}
	return exam.Good("%s of its own, that read alone: %s", plural(len(reading), "application permission", "application permissions"), clipped(strings.Join(reading, ", ")))
}

// registrationGroups looks for what the server needs when a person's groups do not fit into her token.
func registrationGroups(ctx context.Context, s *state) exam.Finding {
	switch s.apiApp.GroupMembershipClaims {
	case "", "None":
		return exam.Good("tokens hold no groups: the search service looks them up itself")
	}
	sp, err := s.principal(ctx, entra.GraphAppID)
	if err != nil {
		return graphTrouble(err)
	}
	everybody, people, err := s.grants(ctx, s.apiPrincipal, sp, "User.Read")
	switch {
	case err != nil:
		return graphTrouble(err)
	case everybody:
		return exam.Good("by User.Read of Microsoft Graph")
	}
	return exam.Warned(plural(people, "person has", "people have")+" consented to User.Read of Microsoft Graph", "Who is in more than 200 groups is refused: her token says that there are more, and the server may not ask which.",
		"az ad app permission admin-consent --id "+s.api.String()+" with User.Read among its permissions; or "+portalApp+" > Token configuration: remove the groups claim, which searching does not need")
}

func registrationSearchPrincipal(ctx context.Context, s *state) exam.Finding {
	sp, err := s.principal(ctx, entra.SearchAppID)
	switch {
	case errors.Is(err, graph.ErrNotFound):
		return exam.Failed("none", "The tenant has no service principal of Azure AI Search, so that no token for it can be issued (AADSTS500011, AADSTS650052). It comes with the first search service of the tenant.", "az ad sp create --id "+entra.SearchAppID)
	case err != nil:
		return graphTrouble(err)
	}
	s.searchPrincipal = sp
	return exam.Good("%s", clipped(sp.DisplayName))
}

// searchPermission is the delegated permission of Azure AI Search.
const searchPermission = "user_impersonation"

func registrationSearchPermission(_ context.Context, s *state) exam.Finding {
	offered := s.searchPrincipal.OAuth2PermissionScopes
	i := slices.IndexFunc(offered, func(p graph.PermissionScope) bool { return p.Value == searchPermission })
	if i < 0 {
		return exam.Skip("the tenant's Azure AI Search does not list "+searchPermission, "")
	}
	if asksFor(s.apiApp, entra.SearchAppID, offered[i].ID) {
		return exam.Good("%s", searchPermission)
	}
	return exam.Failed("not listed", "The exchange asks for what the registration lists and has consent for; Azure AI Search is not among it (AADSTS650057, AADSTS65001).",
		permissionAdd(s.api, entra.SearchAppID, offered[i].ID))
}

// permissionAdd is the command that lists a delegated permission in a registration.
func permissionAdd(client identity.ClientID, resource, permission string) string {
	return "az ad app permission add --id " + client.String() + " --api " + resource + " --api-permissions " + shellQuote(permission+"=Scope")
}

// asksFor reports whether a registration lists a delegated permission of an API.
func asksFor(app *graph.Application, resource, permission string) bool {
	return slices.ContainsFunc(app.RequiredResourceAccess, func(r graph.RequiredResourceAccess) bool {
		return strings.EqualFold(r.ResourceAppID, resource) && slices.ContainsFunc(r.ResourceAccess, func(a graph.ResourceAccess) bool {
			return strings.EqualFold(a.ID, permission) && a.Type == "Scope"
		})
	})
}

// maxGrants bounds how many consents of one application are read.
const maxGrants = 2000

// grants returns who has consented that a client has a permission of a resource: everybody, or how many people.
func (s *state) grants(ctx context.Context, client, resource *graph.ServicePrincipal, permission string) (everybody bool, people int, err error) {
	all, err := graph.List[graph.PermissionGrant](ctx, s.graph, "/oauth2PermissionGrants", url.Values{"$filter": {"clientId eq " + graph.Quote(client.ID)}}, maxGrants)
	if err != nil {
		return false, 0, err
	}
	for _, grant := range all {
		if grant.ResourceID != resource.ID || !slices.Contains(strings.Fields(grant.Scope), permission) {
			continue
		}
		if grant.ConsentType == "AllPrincipals" {
			everybody = true
		} else {
			people++
		}
	}
	return everybody, people, nil
}

func registrationSearchConsent(ctx context.Context, s *state) exam.Finding {
	everybody, people, err := s.grants(ctx, s.apiPrincipal, s.searchPrincipal, searchPermission)
	fix := "az ad app permission admin-consent --id " + s.api.String() + ", or " + portalApp + " > API permissions > Grant admin consent"
	switch {
	case err != nil:
		return graphTrouble(err)
	case everybody:
		return exam.Good("for everybody")
	case people > 0:
		return exam.Warned(plural(people, "person has", "people have")+" consented, each for one", "Everybody else is refused until she consents, too (AADSTS65001).", fix)
	}
	return exam.Failed("nobody has", "The exchange on behalf of people is refused (AADSTS65001): the person never sees the API's own permissions, so that an administrator has to consent.", fix)
}
