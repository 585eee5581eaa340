package registrations

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/internal/doctor/check"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
	"github.com/onbehalf/onbehalf/internal/graph"
)

// registrationRoles looks for application permissions of the API's own. It needs none: whoever breaks into the server has
// them without any person.
func registrationRoles(ctx context.Context, s *state) exam.Finding {
	held, err := graph.List[graph.AppRoleAssignment](ctx, s.graph, "/servicePrincipals/"+s.apiPrincipal.ID+"/appRoleAssignments", nil, 200)
	if err != nil {
		return s.graphTrouble(err)
	}
	if len(held) == 0 {
		return exam.Good("no application permissions")
	}
	sp, err := s.principal(ctx, entra.GraphAppID)
	if err != nil {
		return s.graphTrouble(err)
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
		return exam.Warned(check.Clipped(strings.Join(changing, ", ")), "The API acts on behalf of people and needs no permission of its own; with these, whoever breaks into the server changes the tenant.", check.PortalApp+" > API permissions: remove the application permissions")
	}
	return exam.Good("%s of its own, that read alone: %s", check.Plural(len(reading), "application permission", "application permissions"), check.Clipped(strings.Join(reading, ", ")))
}

// registrationGroups looks for what the server needs when a person's groups do not fit into her token.
func registrationGroups(ctx context.Context, s *state) exam.Finding {
	switch s.apiApp.GroupMembershipClaims {
	case "", "None":
		return exam.Good("tokens hold no groups: the search service looks them up itself")
	}
	sp, err := s.principal(ctx, entra.GraphAppID)
	if err != nil {
		return s.graphTrouble(err)
	}
	everybody, people, err := s.grants(ctx, s.apiPrincipal, sp, "User.Read")
	switch {
	case err != nil:
		return s.graphTrouble(err)
	case everybody:
		return exam.Good("by User.Read of Microsoft Graph")
	}
	return exam.Warned(check.Plural(people, "person has", "people have")+" consented to User.Read of Microsoft Graph", "Who is in more than 200 groups is refused: her token says that there are more, and the server may not ask which.",
		"Consent for everybody, with User.Read among the API's permissions; or "+check.PortalApp+" > Token configuration: remove the groups claim, which searching does not need.").By(adminConsent(s.API))
}

func registrationSearchPrincipal(ctx context.Context, s *state) exam.Finding {
	sp, err := s.principal(ctx, entra.SearchAppID)
	switch {
	case errors.Is(err, graph.ErrNotFound):
		return exam.Failed("none", "The tenant has no service principal of Azure AI Search, so that no token for it can be issued (AADSTS500011, AADSTS650052). It comes with the first search service of the tenant.", "Create it, as an administrator.").By("az ad sp create --id " + entra.SearchAppID)
	case err != nil:
		return s.graphTrouble(err)
	}
	s.searchPrincipal = sp
	return exam.Good("%s", check.Clipped(sp.DisplayName))
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
		check.PortalApp+" > API permissions > Add a permission > APIs my organization uses > Azure Cognitive Search; then Grant admin consent").By(permissionAdd(s.API, entra.SearchAppID, offered[i].ID))
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
const maxGrants = 10_000

// grants returns who has consented that a client has a permission of a resource: everybody, or how many people.
func (s *state) grants(ctx context.Context, client, resource *graph.ServicePrincipal, permission string) (everybody bool, people int, err error) {
	matching := func(kind string) (n int, err error) {
		filter := "clientId eq " + graph.Quote(client.ID) + " and consentType eq " + graph.Quote(kind)
		all, err := graph.List[graph.PermissionGrant](ctx, s.graph, "/oauth2PermissionGrants", url.Values{"$filter": {filter}}, maxGrants)
		for _, grant := range all {
			if grant.ResourceID == resource.ID && slices.Contains(strings.Fields(grant.Scope), permission) {
				n++
			}
		}
		return n, err
	}
	n, err := matching("AllPrincipals") // in a large tenant, each person's own are thousands
	if err != nil || n > 0 {
		return n > 0, 0, err
	}
	people, err = matching("Principal")
	return false, people, err
}

func registrationSearchConsent(ctx context.Context, s *state) exam.Finding {
	everybody, people, err := s.grants(ctx, s.apiPrincipal, s.searchPrincipal, searchPermission)
	const fix = "As an administrator: " + check.PortalApp + " > API permissions > Grant admin consent"
	switch {
	case err != nil:
		return s.graphTrouble(err)
	case everybody:
		return exam.Good("for everybody")
	case people > 0:
		return exam.Warned(check.Plural(people, "person has", "people have")+" consented, each for one", "Everybody else is refused until she consents, too (AADSTS65001).", fix).By(adminConsent(s.API))
	}
	return exam.Failed("nobody has", "The exchange on behalf of people is refused (AADSTS65001): the person never sees the API's own permissions, so that an administrator has to consent.", fix).By(adminConsent(s.API))
}
