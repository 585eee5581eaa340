package registrations

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/internal/doctor/check"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
	"github.com/onbehalf/onbehalf/internal/graph"
)

// clientChecks look at the registrations of the clients by Microsoft Graph: the public client of the command line, and
// the web agent.
func clientChecks() []areaCheck {
	web, agent := []string{"registration.web-client"}, []string{"registration.agent"}
	return []areaCheck{
		{ID: "registration.web-client", Title: "WEB_CLIENT_ID is registered in the tenant", Needs: []string{"graph.rights", "settings.web-client"}, Run: registrationWebClient},
		{ID: "registration.public-flow", Title: "the public client may sign people in with a device code", Needs: web, Run: registrationPublicFlow},
		{ID: "registration.redirect", Title: "the public client may sign people in with the browser on their machine", Needs: web, Run: registrationRedirect},
		{ID: "registration.web-permission", Title: "the public client asks for the API's scope", Needs: []string{"registration.web-client", "registration.scope"}, Run: registrationWebPermission},
		{ID: "registration.pre-authorized", Title: "people are not asked for consent to the public client", Needs: []string{"registration.web-client", "registration.scope", "registration.api-principal"}, Run: registrationPreAuthorized},
		{ID: "registration.known-client", Title: "the API knows the public client, so that one consent covers both", Needs: []string{"registration.web-client", "registration.api"}, Run: registrationKnownClient},
		{ID: "registration.agent", Title: "AGENT_CLIENT_ID is registered in the tenant", Needs: []string{"graph.rights", "settings.agent"}, Run: registrationAgent},
		{ID: "registration.agent-redirect", Title: "the web agent's callback is a redirect URI of its registration", Needs: []string{"registration.agent", "settings.web-url"}, Run: registrationAgentRedirect},
		{ID: "registration.agent-secret", Title: "AGENT_CLIENT_SECRET is registered, and is good for a while", Needs: agent, Unless: []string{"settings.quotes"}, Run: registrationAgentSecret},
		{ID: "registration.agent-pre-authorized", Title: "people are not asked for consent to the web agent", Needs: []string{"registration.agent", "registration.scope", "registration.api-principal"}, Run: registrationAgentPreAuthorized},
	}
}

// registered is an application with its service principal.
type registered struct {
	app       *graph.Application
	principal *graph.ServicePrincipal
}

// find looks an application up, and says what is missing.
func (s *state) find(ctx context.Context, id, setting, place string) (*registered, exam.Finding) {
	app, err := graph.Get[graph.Application](ctx, s.graph, graph.ByAppID("applications", id), nil)
	if errors.Is(err, graph.ErrNotFound) {
		return nil, exam.Failed(id, "No registration of the tenant "+s.Tenant.String()+" has this application id (AADSTS700016).", setting+": "+place+" > Overview > Application (client) ID")
	}
	if err != nil {
		return nil, s.graphTrouble(err)
	}
	sp, err := s.principal(ctx, id)
	if errors.Is(err, graph.ErrNotFound) {
		return nil, exam.Failed(check.Clipped(app.DisplayName)+" has no service principal", "Without one the tenant does not know the application (AADSTS700016).", "Create it.").By("az ad sp create --id " + id)
	}
	if err != nil {
		return nil, s.graphTrouble(err)
	}
	return &registered{&app, sp}, exam.Good("%s", check.Clipped(app.DisplayName))
}

func registrationWebClient(ctx context.Context, s *state) (found exam.Finding) {
	s.webApp, found = s.find(ctx, s.Web.String(), "WEB_CLIENT_ID", check.PortalClient)
	return found
}

func registrationPublicFlow(_ context.Context, s *state) exam.Finding {
	if public := s.webApp.app.IsFallbackPublicClient; public != nil && *public {
		return exam.Good("public client flows are allowed")
	}
	return exam.Failed("public client flows are not allowed", "Sign-in by device code ends with the demand for a secret (AADSTS7000218).", check.PortalClient+" > Authentication > Allow public client flows: Yes").By(azUpdate(s.Web, "--is-fallback-public-client", "true"))
}

func registrationRedirect(_ context.Context, s *state) exam.Finding {
	var uris []string
	if s.webApp.app.PublicClient != nil {
		uris = s.webApp.app.PublicClient.RedirectURIs
	}
	for _, uri := range uris {
		// Entra disregards the port of http://localhost, RFC 8252 §7.3.
		if u, err := url.Parse(uri); err == nil && u.Scheme == "http" && u.Hostname() == "localhost" && strings.Trim(u.Path, "/") == "" {
			return exam.Good("%s", uri)
		}
	}
	return exam.Failed("http://localhost is not among "+check.Clipped(fmt.Sprint(uris)), "Sign-in by browser ends at an address that is not registered (AADSTS50011).", check.PortalClient+" > Authentication > Add a platform > Mobile and desktop applications > http://localhost").By(azUpdate(s.Web, "--public-client-redirect-uris", append(slices.Clone(uris), "http://localhost")...))
}

func registrationWebPermission(_ context.Context, s *state) exam.Finding {
	scope, _ := s.executeScope()
	if asksFor(s.webApp.app, s.API.String(), scope.ID) {
		return exam.Good("%s", check.ScopeName)
	}
	return exam.Warned("not listed", "Where the client is not pre-authorized, an administrator cannot consent to it for everybody.", check.PortalClient+" > API permissions > Add a permission > My APIs > the API > "+check.ScopeName).By(permissionAdd(s.Web, s.API.String(), scope.ID))
}

func registrationPreAuthorized(ctx context.Context, s *state) exam.Finding {
	return s.preAuthorized(ctx, s.webApp)
}

// preAuthorized reports whether a client gets the API's scope without asking people.
func (s *state) preAuthorized(ctx context.Context, client *registered) exam.Finding {
	scope, _ := s.executeScope()
	id := client.app.AppID
	if slices.ContainsFunc(s.apiApp.API.PreAuthorizedApplications, func(p graph.PreAuthorizedApp) bool {
		return strings.EqualFold(p.AppID, id) && slices.Contains(p.DelegatedPermissionIDs, scope.ID)
	}) {
		return exam.Good("pre-authorized")
	}
	everybody, _, err := s.grants(ctx, client.principal, s.apiPrincipal, check.ScopeName)
	if err != nil {
		return s.graphTrouble(err)
	}
	if everybody {
		return exam.Good("an administrator has consented for everybody")
	}
	return exam.Warned("neither pre-authorized nor consented to", "Each person is asked at her first sign-in, and refused where people may not consent by themselves (AADSTS65001, AADSTS90094).", check.PortalApp+" > Expose an API > Authorized client applications > Add: "+id)
}

func registrationKnownClient(_ context.Context, s *state) exam.Finding {
	if slices.ContainsFunc(s.apiApp.API.KnownClientApplications, func(id string) bool { return strings.EqualFold(id, s.Web.String()) }) {
		return exam.Good("known")
	}
	known := append(slices.Clone(s.apiApp.API.KnownClientApplications), s.Web.String())
	return exam.Warned("not in knownClientApplications", "A person who consents to the client is not asked for what the API needs behind it; then an administrator has to consent for the API.", check.PortalApp+" > Manifest: add "+s.Web.String()+" to knownClientApplications").By(azUpdate(s.API, "--set", "api.knownClientApplications="+asJSON(known)))
}

func registrationAgent(ctx context.Context, s *state) (found exam.Finding) {
	if s.Agent.IsZero() {
		return exam.Skip("no web agent is set up", "")
	}
	s.agentApp, found = s.find(ctx, s.Agent.String(), "AGENT_CLIENT_ID", check.PortalAgent)
	return found
}

// callbackPath is where the web agent gets its answers from Entra; see package web.
const callbackPath = "/signin/callback"

func registrationAgentRedirect(_ context.Context, s *state) exam.Finding {
	want := strings.TrimSuffix(s.WebURL.String(), "/") + callbackPath
	var uris []string
	if s.agentApp.app.Web != nil {
		uris = s.agentApp.app.Web.RedirectURIs
	}
	if slices.Contains(uris, want) {
		return exam.Good("%s", want)
	}
	return exam.Failed(want+" is not among "+check.Clipped(fmt.Sprint(uris)), "Sign-in at the web agent ends at an address that is not registered (AADSTS50011).", check.PortalAgent+" > Authentication > Web > Redirect URIs > Add, or correct WEB_URL.").By(azUpdate(s.Agent, "--web-redirect-uris", append(slices.Clone(uris), want)...))
}

func registrationAgentSecret(_ context.Context, s *state) exam.Finding {
	return secretRegistered(s, s.agentApp.app, s.Setting("AGENT_CLIENT_SECRET"), check.PortalAgent)
}

func registrationAgentPreAuthorized(ctx context.Context, s *state) exam.Finding {
	return s.preAuthorized(ctx, s.agentApp)
}
