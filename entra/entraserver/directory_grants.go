package entraserver

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/identity"
)

// Consent types of a [PermissionGrant].
const (
	AllPrincipals = "AllPrincipals" // an administrator's, for everyone
	OnePrincipal  = "Principal"     // one person's
)

// AddGrant stores a consent. Client, resource and, for one person's consent, the person must exist; a second grant for
// the same three is [ErrExists].
func (d *Directory) AddGrant(g *PermissionGrant) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.principals[g.ClientID] == nil || d.principals[g.ResourceID] == nil {
		return fmt.Errorf("consent: client or resource: %w", ErrNoObject)
	}
	if (g.ConsentType == OnePrincipal) != (d.people[g.PrincipalID] != nil) || g.ConsentType != OnePrincipal && g.ConsentType != AllPrincipals {
		return fmt.Errorf("consent of type %q: %w", g.ConsentType, ErrNoObject)
	}
	for _, other := range d.grants {
		if other.ClientID == g.ClientID && other.ResourceID == g.ResourceID && other.ConsentType == g.ConsentType && other.PrincipalID == g.PrincipalID {
			return fmt.Errorf("consent: %w", ErrExists)
		}
	}
	copied := *g
	if copied.ID == "" {
		copied.ID = newGUID()
	}
	g.ID = copied.ID
	d.grants[copied.ID] = &copied
	return nil
}

// SetGrantScope replaces the permissions of a consent; none removes it.
func (d *Directory) SetGrantScope(id, scope string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.grants[id]
	if old == nil {
		return fmt.Errorf("consent %s: %w", id, ErrNoObject)
	}
	g := *old
	g.Scope = scope
	d.grants[id] = &g
	return nil
}

// DeleteGrant takes a consent back.
func (d *Directory) DeleteGrant(id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.grants[id] == nil {
		return fmt.Errorf("consent %s: %w", id, ErrNoObject)
	}
	delete(d.grants, id)
	return nil
}

// Grants returns all consents, by id.
func (d *Directory) Grants() []*PermissionGrant {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.SortedFunc(maps.Values(d.grants), func(a, b *PermissionGrant) int { return cmp.Compare(a.ID, b.ID) })
}

// Consent adds permissions to what the person, or for a zero person everyone, has granted the client.
func (d *Directory) Consent(client, resource identity.ClientID, person identity.ObjectID, scopes ...string) error {
	from, to := d.PrincipalOf(client), d.PrincipalOf(resource)
	if from == nil || to == nil {
		return fmt.Errorf("consent of %s for %s: %w", client, resource, ErrNoObject)
	}
	g := &PermissionGrant{ClientID: from.ID, ResourceID: to.ID, ConsentType: AllPrincipals, PrincipalID: person, Scope: strings.Join(scopes, " ")}
	if !person.IsZero() {
		g.ConsentType = OnePrincipal
	}
	for _, old := range d.Grants() {
		if old.ClientID == g.ClientID && old.ResourceID == g.ResourceID && old.PrincipalID == g.PrincipalID {
			return d.SetGrantScope(old.ID, strings.Join(union(strings.Fields(old.Scope), scopes), " "))
		}
	}
	return d.AddGrant(g)
}

// Granted returns the permissions of the resource that the client may use for the person: consented by the person or an
// administrator, or pre-authorized by the resource.
func (d *Directory) Granted(client, resource identity.ClientID, person identity.ObjectID) []string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var granted []string
	from, to := d.principalOf[client], d.principalOf[resource]
	for _, g := range d.grants {
		if g.ClientID == from && g.ResourceID == to && (g.ConsentType == AllPrincipals || g.PrincipalID == person) {
			granted = union(granted, strings.Fields(g.Scope))
		}
	}
	api := d.apps[resource]
	if api == nil {
		return granted
	}
	for _, pre := range api.API.PreAuthorized {
		if pre.AppID != client {
			continue
		}
		for _, scope := range api.API.Scopes {
			if slices.Contains(pre.DelegatedPermissionIDs, scope.ID) {
				granted = union(granted, []string{scope.Value})
			}
		}
	}
	return granted
}

// union appends what is missing, without regard to case.
func union(have, more []string) []string {
	for _, m := range more {
		if !slices.ContainsFunc(have, func(h string) bool { return strings.EqualFold(h, m) }) {
			have = append(have, m)
		}
	}
	return have
}

// Assign gives an application role; an existing assignment is [ErrExists].
func (d *Directory) Assign(a *RoleAssignment) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.principals[a.ResourceID] == nil {
		return fmt.Errorf("role assignment: resource %s: %w", a.ResourceID, ErrNoObject)
	}
	switch {
	case d.people[a.PrincipalID] != nil:
		a.PrincipalType = "User"
	case d.groups[a.PrincipalID] != nil:
		a.PrincipalType = "Group"
	case d.principals[a.PrincipalID] != nil:
		a.PrincipalType = "ServicePrincipal"
	default:
		return fmt.Errorf("role assignment: principal %s: %w", a.PrincipalID, ErrNoObject)
	}
	for _, other := range d.assignments {
		if other.PrincipalID == a.PrincipalID && other.ResourceID == a.ResourceID && other.AppRoleID == a.AppRoleID {
			return fmt.Errorf("role assignment: %w", ErrExists)
		}
	}
	if a.ID == "" {
		a.ID = newGUID()
	}
	copied := *a
	d.assignments[a.ID] = &copied
	return nil
}

// Unassign takes a role away.
func (d *Directory) Unassign(id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.assignments[id] == nil {
		return fmt.Errorf("role assignment %s: %w", id, ErrNoObject)
	}
	delete(d.assignments, id)
	return nil
}

// Assignments returns all role assignments, by id.
func (d *Directory) Assignments() []*RoleAssignment {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.SortedFunc(maps.Values(d.assignments), func(a, b *RoleAssignment) int { return cmp.Compare(a.ID, b.ID) })
}

// RolesOf returns the values of the resource's roles that the principal has, also by way of its direct groups (Entra
// does not look deeper), and whether it is assigned at all.
func (d *Directory) RolesOf(principal identity.ObjectID, resource identity.ClientID) (roles []string, assigned bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if len(d.assignments) == 0 {
		return nil, false
	}
	to, api := d.principalOf[resource], d.apps[resource]
	for _, a := range d.assignments {
		if a.ResourceID != to || a.PrincipalID != principal && !slices.Contains(d.memberOf[principal], a.PrincipalID) {
			continue
		}
		assigned = true
		if api == nil {
			continue
		}
		for _, role := range api.AppRoles {
			if role.ID == a.AppRoleID && role.IsEnabled {
				roles = union(roles, []string{role.Value})
			}
		}
	}
	slices.Sort(roles)
	return roles, assigned
}
