package registrations

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/internal/graph"
	"github.com/onbehalf/onbehalf/internal/provision/graphcalls"
)

// Present is what a tenant holds of a deployment.
type Present struct {
	Tenant     graph.Organization
	Apps       map[Role]*graph.Application      // nil where there is none
	Principals map[Role]*graph.ServicePrincipal // nil likewise
	Search     *graph.ServicePrincipal
	Graph      *graph.ServicePrincipal // of Microsoft Graph, where it is needed
	Identity   *graph.ServicePrincipal // of the managed identity that is to be trusted
	Federated  []graph.FederatedCredential
	Grants     []graph.PermissionGrant // that the API has
	Gone       []Role                  // the state file names them, and they are not there
	Untagged   []graph.Application     // the state file names them, and they do not bear its tag
	Aside      []graph.Application     // the state file knows them, and they are not of this plan
	Strangers  []graph.Application     // bear the deployment's name in a tag, and the state file does not know them
}

// maxStrangers bounds how many applications with a deployment's tag are looked at.
const maxStrangers = 50

// applicationProperties are those that plans are made of. Certificates are told only when they are asked for by name.
const applicationProperties = "id,appId,displayName,signInAudience,identifierUris,isFallbackPublicClient,api,publicClient,web,spa," +
	"requiredResourceAccess,optionalClaims,passwordCredentials,keyCredentials,tags"

// Read asks Microsoft Graph what there is. The state learns the ids of what it finds by this deployment's tag, as after
// an interruption, and with Adopt of what bears its name. What the state names and Graph does not show is asked for
// again after a pause: it may have been made a moment ago.
func Read(ctx context.Context, c *graph.Client, d *Desired, s *State, pause graphcalls.Pause) (*Present, error) {
	p := &Present{Apps: map[Role]*graph.Application{}, Principals: map[Role]*graph.ServicePrincipal{}}
	tenants, err := graph.List[graph.Organization](ctx, c, "/organization", nil, 1)
	if err != nil || len(tenants) != 1 {
		return nil, fmt.Errorf("read the tenant: %w", errors.Join(err, missingIf(len(tenants) == 0 && err == nil)))
	}
	p.Tenant = tenants[0]
	if s.Tenant != "" && !strings.EqualFold(s.Tenant, p.Tenant.ID) {
		return nil, fmt.Errorf("the state file is of the tenant %s, and the sign-in is for %s", s.Tenant, p.Tenant.ID)
	}
	if err := p.readApps(ctx, c, d, s, pause); err != nil {
		return nil, err
	}
	if err := p.readPrincipals(ctx, c, d, s, pause); err != nil {
		return nil, err
	}
	return p, p.readCredentials(ctx, c)
}

func missingIf(missing bool) error {
	if missing {
		return graph.ErrNotFound
	}
	return nil
}

// again asks for what the state names until Graph shows it, for two seconds.
func again[T any](ctx context.Context, pause graphcalls.Pause, read func() (T, error)) (T, error) {
	out, err := read()
	for wait := 200 * time.Millisecond; errors.Is(err, graph.ErrNotFound) && wait < 2*time.Second; wait *= 2 {
		if pauseErr := pause(ctx, wait); pauseErr != nil {
			return out, pauseErr
		}
		out, err = read()
	}
	return out, err
}

func (p *Present) readApps(ctx context.Context, c *graph.Client, d *Desired, s *State, pause graphcalls.Pause) error {
	for _, r := range d.roles() {
		id := s.IDs[idObject(r)]
		if id == "" {
			continue
		}
		app, err := again(ctx, pause, func() (*graph.Application, error) { return readApp(ctx, c, id) })
		if errors.Is(err, graph.ErrNotFound) {
			p.Gone = append(p.Gone, r)
			s.forget(r)
			continue
		}
		if err != nil {
			return err
		}
		if !s.owns(app.Tags) && !d.Adopt {
			p.Untagged = append(p.Untagged, *app) // the file could name anybody's
			continue
		}
		p.Apps[r] = app
	}
	return p.findTagged(ctx, c, d, s)
}

func readApp(ctx context.Context, c *graph.Client, object string) (*graph.Application, error) {
	app, err := graph.Get[graph.Application](ctx, c, "/applications/"+url.PathEscape(object), url.Values{"$select": {applicationProperties}})
	if err != nil {
		return nil, fmt.Errorf("read the application %s: %w", object, err)
	}
	return &app, nil
}

// findTagged looks for applications that bear the deployment's tags and are not known yet.
func (p *Present) findTagged(ctx context.Context, c *graph.Client, d *Desired, s *State) error {
	filter := "tags/any(t:t eq " + graph.Quote(tagName(d.Name)) + ")"
	tagged, err := graph.List[graph.Application](ctx, c, "/applications", url.Values{"$filter": {filter}, "$select": {"id,appId,displayName,tags"}}, maxStrangers)
	if err != nil {
		return fmt.Errorf("look for applications of %s: %w", d.Name, err)
	}
	for _, found := range tagged {
		r, ok := roleOf(found.Tags, d.roles())
		if ok && p.Apps[r] != nil && p.Apps[r].ID == found.ID {
			continue
		}
		if !ok && s.knows(found) {
			p.Aside = append(p.Aside, found)
			continue
		}
		if !ok || p.Apps[r] != nil || !s.owns(found.Tags) && !d.Adopt {
			p.Strangers = append(p.Strangers, found)
			continue
		}
		if err = s.adopt(found.Tags); err != nil {
			return err
		}
		if p.Apps[r], err = readApp(ctx, c, found.ID); err != nil {
			return err
		}
		s.IDs[idObject(r)] = found.ID
	}
	for r, app := range p.Apps {
		s.IDs[idApp(r)] = app.AppID
	}
	return nil
}

// knows reports whether an application is one that the state names, whatever it is for.
func (s *State) knows(app graph.Application) bool {
	return slices.ContainsFunc(allRoles(), func(r Role) bool { return s.IDs[idObject(r)] == app.ID }) && s.owns(app.Tags)
}

// adopt takes the deployment of an application over.
func (s *State) adopt(tags []string) error {
	if s.owns(tags) {
		return nil
	}
	i := slices.IndexFunc(tags, func(t string) bool { return strings.HasPrefix(t, tagDeployment) })
	if i < 0 {
		return nil // tags are among what a plan sets
	}
	if s.Deployment != "" {
		return errors.New("the applications with this name are of two deployments: take one away, or choose another name")
	}
	id := strings.TrimPrefix(tags[i], tagDeployment)
	if !graphcalls.IsID(id) {
		return fmt.Errorf("the tag %q of an application holds no id", tags[i])
	}
	s.Deployment = id
	return nil
}

func roleOf(tags []string, roles []Role) (Role, bool) {
	for _, r := range roles {
		if slices.Contains(tags, tagRole(r)) {
			return r, true
		}
	}
	return "", false
}

func (p *Present) readPrincipals(ctx context.Context, c *graph.Client, d *Desired, s *State, pause graphcalls.Pause) error {
	for r, app := range p.Apps {
		read := func() (*graph.ServicePrincipal, error) { return readPrincipal(ctx, c, app.AppID) }
		if s.IDs[idPrincipal(r)] != "" {
			readOnce := read
			read = func() (*graph.ServicePrincipal, error) { return again(ctx, pause, readOnce) }
		}
		sp, err := read()
		switch {
		case errors.Is(err, graph.ErrNotFound):
			delete(s.IDs, idPrincipal(r))
		case err != nil:
			return err
		default:
			p.Principals[r], s.IDs[idPrincipal(r)] = sp, sp.ID
		}
	}
	if err := p.readSearch(ctx, c, s); err != nil {
		return err
	}
	return p.readOthers(ctx, c, d, s)
}

// readSearch reads the service principal of Azure AI Search, which a tenant may be without.
func (p *Present) readSearch(ctx context.Context, c *graph.Client, s *State) error {
	delete(s.IDs, idSearchSP)
	delete(s.IDs, idSearchScope)
	sp, err := readPrincipal(ctx, c, entra.SearchAppID)
	if errors.Is(err, graph.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	p.Search, s.IDs[idSearchSP] = sp, sp.ID
	s.IDs[idSearchScope], err = scopeID(sp.OAuth2PermissionScopes, userImpersonation)
	return err
}

// readOthers reads what has to be there where it is asked for.
func (p *Present) readOthers(ctx context.Context, c *graph.Client, d *Desired, s *State) (err error) {
	if d.ReadGroups {
		if p.Graph, err = readPrincipal(ctx, c, entra.GraphAppID); err != nil {
			return err
		}
		s.IDs[idGraphSP] = p.Graph.ID
	}
	if d.Credential.Identity.IsZero() {
		return nil
	}
	p.Identity, err = readPrincipal(ctx, c, d.Credential.Identity.String())
	if errors.Is(err, graph.ErrNotFound) {
		return fmt.Errorf("the tenant knows no managed identity with the client id %s", d.Credential.Identity)
	}
	return err
}

// scopeID finds a delegated permission by its short name.
func scopeID(scopes []graph.PermissionScope, value string) (string, error) {
	for _, s := range scopes {
		if s.Value == value && graphcalls.IsID(s.ID) {
			return s.ID, nil
		}
	}
	return "", fmt.Errorf("Azure AI Search offers no permission %s in this tenant", value) //nolint:staticcheck // a proper name
}

func readPrincipal(ctx context.Context, c *graph.Client, appID string) (*graph.ServicePrincipal, error) {
	sp, err := graph.Get[graph.ServicePrincipal](ctx, c, graph.ByAppID("servicePrincipals", appID), url.Values{"$select": {"id,appId,displayName,accountEnabled,oauth2PermissionScopes"}})
	if err != nil {
		return nil, fmt.Errorf("read the service principal of %s: %w", appID, err)
	}
	return &sp, nil
}

// readCredentials reads what else belongs to the API.
func (p *Present) readCredentials(ctx context.Context, c *graph.Client) (err error) {
	if app := p.Apps[API]; app != nil {
		const most = 20 // Entra allows no more
		if p.Federated, err = graph.List[graph.FederatedCredential](ctx, c, "/applications/"+app.ID+"/federatedIdentityCredentials", nil, most); err != nil {
			return fmt.Errorf("read the federated credentials of the %s: %w", API.title(), err)
		}
	}
	if sp := p.Principals[API]; sp != nil {
		const most = 1000
		filter := url.Values{"$filter": {"clientId eq " + graph.Quote(sp.ID)}}
		if p.Grants, err = graph.List[graph.PermissionGrant](ctx, c, "/oauth2PermissionGrants", filter, most); err != nil {
			return fmt.Errorf("read the consents of the %s: %w", API.title(), err)
		}
	}
	return nil
}
