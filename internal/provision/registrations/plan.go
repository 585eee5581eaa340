package registrations

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/internal/graph"
	"github.com/onbehalf/onbehalf/internal/provision/changes"
	"github.com/onbehalf/onbehalf/internal/provision/graphcalls"
)

// Plan is what has to be done: rows for people and calls of Microsoft Graph, the one as true as the other.
type Plan struct {
	Tenant   graph.Organization
	Changes  []changes.Change
	Steps    []graphcalls.Call
	Settings []Setting // what the settings are to hold in the end
	Blocked  error     // why it must not be done as it is

	digest string // of what is to be
	asked  string // the App ID URI that the tenant may refuse
	uri    string // the one in force, "" where that is not known before
}

// Empty reports whether there is nothing to do.
func (p *Plan) Empty() bool {
	return len(p.Steps) == 0 && !slices.ContainsFunc(p.Changes, func(c changes.Change) bool { return c.Object == objectSettings })
}

// Setting is a NAME=value line; the value may be a reference.
type Setting struct{ Name, Value string }

// objectSettings is the row of the settings file.
const objectSettings = "settings"

// builder makes a plan.
type builder struct {
	Plan
	drift bool // the same was applied to its end before
	d     *Desired
	p     *Present
	s     *State

	trusted graph.Application // the API with our own clients pre-authorized
}

// Make compares what there is to be with what there is. The state learns the deployment's id, those of what it found, and
// what was chosen.
func Make(d *Desired, p *Present, s *State) (*Plan, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	s.begin(p.Tenant.ID)
	s.choose(d)
	digest := d.digest()
	b := &builder{Plan: Plan{Tenant: p.Tenant, digest: digest}, drift: s.Applied == digest, d: d, p: p, s: s}
	b.search()
	for _, r := range d.roles() {
		if err := b.application(r); err != nil {
			return nil, err
		}
	}
	if err := b.trust(); err != nil {
		return nil, err
	}
	b.credentials()
	b.consents()
	if err := b.trustOthers(); err != nil {
		return nil, err
	}
	b.settings()
	b.strangers()
	return &b.Plan, nil
}

func (b *builder) row(c changes.Change)   { b.Changes = append(b.Changes, c) }
func (b *builder) step(s graphcalls.Call) { b.Steps = append(b.Steps, s) }

// object names an application in rows.
func (b *builder) object(r Role) string {
	name := b.d.displayName(r)
	if app := b.p.Apps[r]; app != nil {
		name = graphcalls.OneLine(app.DisplayName)
	}
	return r.title() + " " + name
}

// search makes sure that the tenant knows Azure AI Search: its permission is what the API asks for.
func (b *builder) search() {
	const object = "Azure AI Search"
	if sp := b.p.Search; sp != nil {
		if sp.AccountEnabled != nil && !*sp.AccountEnabled {
			b.row(changes.Change{Mark: changes.Warn, Object: object, Note: "its service principal is disabled in this tenant: nobody gets a token for it"})
		}
		return
	}
	b.row(changes.Change{Mark: changes.Create, Object: object, Note: "the tenant does not know the service yet: its service principal " + entra.SearchAppID})
	b.step(graphcalls.Call{
		Do: "make the service principal of Azure AI Search", Method: http.MethodPost, Path: "/servicePrincipals", Right: graphcalls.ManageApps,
		Body: map[string]any{"appId": entra.SearchAppID},
		Save: []graphcalls.Save{{As: idSearchSP, Member: "id"}},
	})
	b.step(graphcalls.Call{
		Do: "read the permissions of Azure AI Search", Method: http.MethodGet, Fresh: true, Right: graphcalls.ManageApps,
		Path: graph.ByAppID("servicePrincipals", entra.SearchAppID) + "?$select=oauth2PermissionScopes",
		Save: []graphcalls.Save{{As: idSearchScope, Scope: userImpersonation}},
	})
}

// application registers an application, or brings it to what it is to be.
func (b *builder) application(r Role) error {
	have := graph.Application{}
	if app := b.p.Apps[r]; app != nil {
		have = *app
	}
	if slices.Contains(b.p.Gone, r) {
		b.row(changes.Change{Mark: changes.Warn, Object: b.object(r), Note: "somebody deleted it: it will be registered anew, with another client id", Drift: true})
	}
	leaves, patch, err := compare(have, b.want(r, have))
	if err != nil {
		return err
	}
	if have.ID == "" {
		b.register(r, leaves, patch)
	} else {
		b.change(r, leaves, patch)
	}
	if r == API {
		b.appIDURIs(have)
	}
	b.principal(r)
	if have.ID != "" {
		b.foreign(r, have)
		if len(leaves) == 0 {
			b.row(changes.Change{Mark: changes.Keep, Object: b.object(r)})
		}
	}
	return nil
}

func (b *builder) register(r Role, leaves []leaf, patch map[string]any) {
	object := b.object(r)
	b.row(changes.Change{Mark: changes.Create, Object: object})
	for _, l := range leaves {
		b.row(changes.Change{Mark: changes.Create, Object: object, Property: l.path, New: l.newText})
	}
	b.step(graphcalls.Call{
		Do: "register the " + object, Method: http.MethodPost, Path: "/applications", Body: patch, Fresh: r != API || b.p.Search == nil, Right: graphcalls.ManageApps,
		Save: []graphcalls.Save{{As: idObject(r), Member: "id"}, {As: idApp(r), Member: "appId"}},
	})
}

func (b *builder) change(r Role, leaves []leaf, patch map[string]any) {
	for _, l := range leaves {
		b.row(changes.Change{Mark: changes.Modify, Object: b.object(r), Property: l.path, Old: l.oldText, New: l.newText, Drift: b.drift})
	}
	if len(leaves) == 0 {
		return
	}
	b.step(graphcalls.Call{
		Do: "change the " + b.object(r), Method: http.MethodPatch, Path: "/applications/" + b.ref(idObject(r)), Body: patch, Right: graphcalls.ManageApps,
		Fresh: true,
	})
}

// principal lets the application act in the tenant.
func (b *builder) principal(r Role) {
	sp := b.p.Principals[r]
	if sp != nil {
		if sp.AccountEnabled != nil && !*sp.AccountEnabled {
			b.row(changes.Change{Mark: changes.Warn, Object: b.object(r), Note: "somebody disabled it (Enterprise applications > Properties > Enabled for users to sign in): nobody gets a token for it", Drift: true})
		}
		return
	}
	b.row(changes.Change{Mark: changes.Create, Object: b.object(r), Property: "service principal"})
	b.step(graphcalls.Call{
		Do: "make the service principal of the " + b.object(r), Method: http.MethodPost, Path: "/servicePrincipals", Fresh: true, Right: graphcalls.ManageApps,
		Body: map[string]any{"appId": b.ref(idApp(r))},
		Save: []graphcalls.Save{{As: idPrincipal(r), Member: "id"}},
	})
}

// appIDURIs adds the two App ID URIs, the server's own URL in a call of its own: a policy of the tenant may refuse it.
// That comes after version 2 of tokens, which lifts the restriction in tenants without such a policy.
//
// https://learn.microsoft.com/entra/identity-platform/identifier-uri-restrictions
func (b *builder) appIDURIs(have graph.Application) {
	const property = "identifierUris"
	api, object := "api://"+b.ref(idApp(API)), b.object(API)
	all := have.IdentifierURIs
	b.uri = api
	mark, drift := changes.Modify, b.drift
	if have.ID == "" {
		mark, drift = changes.Create, false
	}
	step := graphcalls.Call{Method: http.MethodPatch, Path: "/applications/" + b.ref(idObject(API)), Fresh: true, Right: graphcalls.ManageApps}
	if !slices.Contains(all, api) {
		all = append(slices.Clone(all), api)
		b.row(changes.Change{Mark: mark, Object: object, Property: property, New: "+ " + graphcalls.Show(api), Drift: drift})
		step.Do, step.Body = "add the App ID URI api://CLIENT-ID", map[string]any{property: texts(all)}
		b.step(step)
	}
	own := b.d.appIDURI()
	switch {
	case slices.Contains(all, own):
		b.uri = own
	case slices.Contains(b.s.Refused, own) && !b.d.Retry:
		b.row(changes.Change{Mark: changes.Warn, Object: object, Property: property, Note: own + ": " + RefusedURI})
	default:
		b.row(changes.Change{Mark: mark, Object: object, Property: property, New: "+ " + own, Note: "where the tenant's policy allows it", Drift: drift})
		step.Do, step.Asks, step.Body = "add the App ID URI "+own, true, map[string]any{property: texts(append([]string{own}, all...))}
		b.step(step)
		b.asked, b.uri = own, ""
	}
}

// RefusedURI says what follows when the server's URL cannot be an App ID URI.
const RefusedURI = "the tenant refuses it as App ID URI (a policy wants a URL below a verified domain, or another application has it). " +
	"Clients that send the server's URL as parameter resource, as the MCP specification has it, cannot sign in (AADSTS9010010); onbehalf's own leave it out. " +
	"With an MCP_URL below a verified domain, or --retry-refused after the policy changed, it is tried again"

// trust pre-authorizes our own clients at the API, after all of them are there.
func (b *builder) trust() error {
	have := graph.Application{}
	if app := b.p.Apps[API]; app != nil {
		have = *app
	}
	own := []string{b.ref(idApp(Client))}
	if !b.d.SkipAgent {
		own = append(own, b.ref(idApp(Agent)))
	}
	b.trusted = b.withClients(have, own)
	b.trusted.API.KnownClientApplications = union(b.trusted.API.KnownClientApplications, own...)
	return b.clients(have, b.trusted, "pre-authorize the clients at the API")
}

// trustOthers pre-authorizes the clients of others, last and in a call of its own: one that the tenant does not know would
// take the rest with it.
func (b *builder) trustOthers() error {
	var others []string
	for _, id := range b.d.PreAuthorize {
		others = append(others, id.String())
	}
	return b.clients(b.trusted, b.withClients(b.trusted, others), "pre-authorize clients of others: "+strings.Join(others, ", "))
}

// withClients is the API with clients that need no consent.
func (b *builder) withClients(have graph.Application, clients []string) graph.Application {
	api := new(graph.APISettings)
	if have.API != nil {
		*api = *have.API
	}
	api.PreAuthorizedApplications = slices.Clone(api.PreAuthorizedApplications)
	for _, id := range clients {
		api.PreAuthorizedApplications = preAuthorize(api.PreAuthorizedApplications, id, b.s.IDs[idExecute])
	}
	have.API = api
	return have
}

// clients makes the call that changes which clients the API trusts.
func (b *builder) clients(have, want graph.Application, do string) error {
	leaves, patch, err := compare(have, want)
	if err != nil || len(leaves) == 0 {
		return err
	}
	mark := changes.Modify
	if b.p.Apps[API] == nil {
		mark = changes.Create
	}
	for _, l := range leaves {
		b.row(changes.Change{Mark: mark, Object: b.object(API), Property: l.path, Old: l.oldText, New: l.newText, Drift: b.drift && mark == changes.Modify})
	}
	b.step(graphcalls.Call{Do: do, Method: http.MethodPatch, Path: "/applications/" + b.ref(idObject(API)), Body: patch, Fresh: true, Right: graphcalls.ManageApps})
	return nil
}

func preAuthorize(all []graph.PreAuthorizedApp, id, scope string) []graph.PreAuthorizedApp {
	i := slices.IndexFunc(all, func(p graph.PreAuthorizedApp) bool { return strings.EqualFold(p.AppID, id) })
	if i < 0 {
		return append(all, graph.PreAuthorizedApp{AppID: id, DelegatedPermissionIDs: []string{scope}})
	}
	all[i].DelegatedPermissionIDs = union(all[i].DelegatedPermissionIDs, scope)
	return all
}

// consents are what the API may do on behalf of everyone.
func (b *builder) consents() {
	b.consent("Azure AI Search", b.p.Search, idSearchSP, userImpersonation)
	if !b.d.ReadGroups {
		return
	}
	if b.p.Graph == nil {
		b.step(graphcalls.Call{
			Do: "find Microsoft Graph", Method: http.MethodGet, Path: graph.ByAppID("servicePrincipals", entra.GraphAppID) + "?$select=id", Right: graphcalls.ManageApps,
			Save: []graphcalls.Save{{As: idGraphSP, Member: "id"}},
		})
	}
	var names []string
	for _, p := range groupPermissions() {
		names = append(names, p.name)
	}
	b.consent("Microsoft Graph", b.p.Graph, idGraphSP, names...)
}

func (b *builder) consent(resource string, sp *graph.ServicePrincipal, id string, scopes ...string) {
	object, all := "consent: API to "+resource, strings.Join(scopes, " ")
	step := graphcalls.Call{Do: "consent that the API uses " + resource + " on behalf of everyone", Right: graphcalls.GrantConsent, Fresh: true}
	i := slices.IndexFunc(b.p.Grants, func(g graph.PermissionGrant) bool {
		return sp != nil && g.ResourceID == sp.ID && g.ConsentType == "AllPrincipals"
	})
	if i < 0 {
		b.row(changes.Change{Mark: changes.Create, Object: object, Note: all + ", for everyone", Drift: b.drift})
		step.Method, step.Path = http.MethodPost, "/oauth2PermissionGrants"
		step.Body = map[string]any{"clientId": b.ref(idPrincipal(API)), "consentType": "AllPrincipals", "resourceId": b.ref(id), "scope": all}
		b.step(step)
		return
	}
	old := strings.Fields(b.p.Grants[i].Scope)
	fresh := union(old, scopes...)
	if len(fresh) == len(old) {
		b.row(changes.Change{Mark: changes.Keep, Object: object})
		return
	}
	b.row(changes.Change{Mark: changes.Modify, Object: object, Old: strings.Join(old, " "), New: strings.Join(fresh, " "), Drift: b.drift})
	step.Method, step.Path = http.MethodPatch, "/oauth2PermissionGrants/"+url.PathEscape(b.p.Grants[i].ID)
	step.Body = map[string]any{"scope": strings.Join(fresh, " ")}
	b.step(step)
}

// strangers are what a plan does not touch and people should know.
func (b *builder) strangers() {
	for _, app := range b.p.Untagged {
		object := "application " + graphcalls.OneLine(app.DisplayName)
		b.row(changes.Change{Mark: changes.Warn, Object: object, Note: app.AppID + " does not bear this deployment's tag, and the state file names it"})
		b.Blocked = fmt.Errorf("the state file names the %s, which does not bear this deployment's tag", object)
	}
	for _, app := range b.p.Aside {
		b.row(changes.Change{Mark: changes.Warn, Object: "application " + graphcalls.OneLine(app.DisplayName), Note: app.AppID + " was made by an earlier run and is not of this plan: left alone"})
	}
	for _, app := range b.p.Strangers {
		b.row(changes.Change{Mark: changes.Warn, Object: "application " + app.DisplayName, Note: app.AppID + " bears the tags of " + b.d.Name + ", and the state file does not know it"})
		if r, ok := roleOf(app.Tags, b.d.roles()); ok && b.p.Apps[r] == nil {
			b.Blocked = fmt.Errorf("the tenant has a %s of the deployment %q that the state file does not know", r.title(), b.d.Name)
		}
	}
}

// dateOf shows when something ends.
func dateOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }
