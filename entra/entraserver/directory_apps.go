package entraserver

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/identity"
)

// AddApplication registers an application. Its App ID URIs must be nobody else's.
func (d *Directory) AddApplication(a *Application) error {
	if a.ID.IsZero() || a.AppID.IsZero() || a.DisplayName == "" {
		return errors.New("an application needs an id, an appId and a displayName")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.apps[a.AppID] != nil {
		return fmt.Errorf("application %s: %w", a.AppID, ErrExists)
	}
	return d.storeApplication(a.Clone(), nil)
}

// UpdateApplication changes a copy of the application and stores it, or fails with the error of change.
func (d *Directory) UpdateApplication(id identity.ClientID, change func(*Application) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.apps[id]
	if old == nil {
		return fmt.Errorf("application %s: %w", id, ErrNoObject)
	}
	a := old.Clone()
	if err := change(a); err != nil {
		return err
	}
	a.ID, a.AppID = old.ID, old.AppID
	return d.storeApplication(a, old)
}

// storeApplication keeps the index of App ID URIs true. The caller holds mu.
func (d *Directory) storeApplication(a, old *Application) error {
	for _, uri := range a.IdentifierURIs {
		if owner, taken := d.byURI[uriKey(uri)]; taken && owner != a.AppID {
			return fmt.Errorf("identifier URI %s: %w", uri, ErrExists)
		}
	}
	if old != nil {
		for _, uri := range old.IdentifierURIs {
			delete(d.byURI, uriKey(uri))
		}
	}
	for _, uri := range a.IdentifierURIs {
		d.byURI[uriKey(uri)] = a.AppID
	}
	d.apps[a.AppID] = a
	return nil
}

func uriKey(uri string) string { return strings.ToLower(strings.TrimSuffix(uri, "/")) }

// DeleteApplication removes an application together with its service principal, its consents and assignments.
func (d *Directory) DeleteApplication(id identity.ClientID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.apps[id]
	if a == nil {
		return fmt.Errorf("application %s: %w", id, ErrNoObject)
	}
	for _, uri := range a.IdentifierURIs {
		delete(d.byURI, uriKey(uri))
	}
	delete(d.apps, id)
	if sp, ok := d.principalOf[id]; ok {
		d.dropPrincipal(sp)
	}
	return nil
}

// Application returns the registration by application id, or nil.
func (d *Directory) Application(id identity.ClientID) *Application {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.apps[id]
}

// FindApplication returns the registration by application id, App ID URI (a trailing slash more or less does not
// matter), object id or display name; nil when there is none.
func (d *Directory) FindApplication(name string) *Application {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if id, err := identity.ParseClientID(name); err == nil && d.apps[id] != nil {
		return d.apps[id]
	}
	if id, ok := d.byURI[uriKey(name)]; ok {
		return d.apps[id]
	}
	for _, a := range d.apps {
		if strings.EqualFold(a.ID.String(), name) || strings.EqualFold(a.DisplayName, name) {
			return a
		}
	}
	return nil
}

// resource returns the application that an audience names (application id or App ID URI), or nil.
func (d *Directory) resource(name string) *Application {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if id, err := identity.ParseClientID(name); err == nil {
		return d.apps[id]
	}
	return d.apps[d.byURI[uriKey(name)]]
}

// Applications returns all registrations, Microsoft's too, by name and id.
func (d *Directory) Applications() []*Application {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.SortedFunc(maps.Values(d.apps), func(a, b *Application) int {
		return cmp.Or(cmp.Compare(a.DisplayName, b.DisplayName), cmp.Compare(a.AppID.String(), b.AppID.String()))
	})
}

// ClientSecret returns the text of an application's first secret, zero when it has none: the sample's secrets are new
// at each start, and whoever starts the tenant has to hand them out.
func (d *Directory) ClientSecret(id identity.ClientID) identity.Secret {
	a := d.Application(id)
	if a == nil || len(a.PasswordCredentials) == 0 {
		return identity.Secret{}
	}
	return a.PasswordCredentials[0].Secret
}

// AddServicePrincipal lets an application, or a managed identity (without a registration), act in the tenant.
func (d *Directory) AddServicePrincipal(sp *ServicePrincipal) error {
	if sp.ID.IsZero() || sp.AppID.IsZero() {
		return errors.New("a service principal needs an id and an appId")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, taken := d.principalOf[sp.AppID]; taken || d.principals[sp.ID] != nil {
		return fmt.Errorf("service principal of %s: %w", sp.AppID, ErrExists)
	}
	copied := *sp
	d.principals[sp.ID], d.principalOf[sp.AppID] = &copied, sp.ID
	return nil
}

// UpdateServicePrincipal changes a copy of the service principal and stores it; its ids stay.
func (d *Directory) UpdateServicePrincipal(id identity.ObjectID, change func(*ServicePrincipal)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.principals[id]
	if old == nil {
		return fmt.Errorf("service principal %s: %w", id, ErrNoObject)
	}
	sp := *old
	change(&sp)
	sp.ID, sp.AppID = old.ID, old.AppID
	d.principals[id] = &sp
	return nil
}

// DeleteServicePrincipal removes it with its consents and assignments; its application stays.
func (d *Directory) DeleteServicePrincipal(id identity.ObjectID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.principals[id] == nil {
		return fmt.Errorf("service principal %s: %w", id, ErrNoObject)
	}
	d.dropPrincipal(id)
	return nil
}

// dropPrincipal is for callers that hold mu.
func (d *Directory) dropPrincipal(id identity.ObjectID) {
	delete(d.principalOf, d.principals[id].AppID)
	delete(d.principals, id)
	maps.DeleteFunc(d.grants, func(_ string, g *PermissionGrant) bool { return g.ClientID == id || g.ResourceID == id })
	maps.DeleteFunc(d.assignments, func(_ string, a *RoleAssignment) bool { return a.PrincipalID == id || a.ResourceID == id })
}

// ServicePrincipal returns it by object id, or nil.
func (d *Directory) ServicePrincipal(id identity.ObjectID) *ServicePrincipal {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.principals[id]
}

// PrincipalOf returns the service principal of an application, or nil: without one, the tenant does not know the
// application, be it registered or not.
func (d *Directory) PrincipalOf(id identity.ClientID) *ServicePrincipal {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.principals[d.principalOf[id]]
}

// ServicePrincipals returns all of them, by name and id.
func (d *Directory) ServicePrincipals() []*ServicePrincipal {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.SortedFunc(maps.Values(d.principals), func(a, b *ServicePrincipal) int {
		return cmp.Or(cmp.Compare(a.DisplayName, b.DisplayName), cmp.Compare(a.ID.String(), b.ID.String()))
	})
}
