package entraserver

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/onbehalf/onbehalf/identity"
)

// ErrExists says that an object with the same id, name or App ID URI is there already.
var ErrExists = errors.New("it exists already")

// ErrNoObject says that the directory has no such object.
var ErrNoObject = errors.New("no such object")

// Directory is everything that a tenant knows: people, groups, applications, service principals, consents, role
// assignments. It is safe for concurrent use.
type Directory struct {
	tenant identity.TenantID
	domain string

	mu sync.RWMutex
	tables
}

// tables is the content of a directory. Objects are never changed in place, so a copy of the maps is a snapshot.
type tables struct {
	people      map[identity.ObjectID]*Person
	byUPN       map[string]identity.ObjectID // lower case
	groups      map[identity.ObjectID]*Group
	memberOf    map[identity.ObjectID][]identity.ObjectID // member → its direct groups
	members     map[identity.ObjectID][]identity.ObjectID // group → its direct members
	apps        map[identity.ClientID]*Application
	byURI       map[string]identity.ClientID // App ID URI in lower case, without a trailing slash
	principals  map[identity.ObjectID]*ServicePrincipal
	principalOf map[identity.ClientID]identity.ObjectID
	grants      map[string]*PermissionGrant
	assignments map[string]*RoleAssignment
}

// NewDirectory returns an empty tenant. The domain is its one verified domain, such as "contoso.example".
func NewDirectory(tenant identity.TenantID, domain string) *Directory {
	return &Directory{tenant: tenant, domain: strings.ToLower(domain), tables: tables{
		people: map[identity.ObjectID]*Person{}, byUPN: map[string]identity.ObjectID{},
		groups: map[identity.ObjectID]*Group{}, memberOf: map[identity.ObjectID][]identity.ObjectID{}, members: map[identity.ObjectID][]identity.ObjectID{},
		apps: map[identity.ClientID]*Application{}, byURI: map[string]identity.ClientID{},
		principals: map[identity.ObjectID]*ServicePrincipal{}, principalOf: map[identity.ClientID]identity.ObjectID{},
		grants: map[string]*PermissionGrant{}, assignments: map[string]*RoleAssignment{},
	}}
}

// Tenant returns the tenant's id.
func (d *Directory) Tenant() identity.TenantID { return d.tenant }

// Domain returns the tenant's verified domain.
func (d *Directory) Domain() string { return d.domain }

// snapshot copies the tables; restore puts the copy back.
func (d *Directory) snapshot() tables {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.clone()
}

func (d *Directory) restore(t tables) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tables = t.clone()
}

func (t tables) clone() tables {
	clip := func(m map[identity.ObjectID][]identity.ObjectID) map[identity.ObjectID][]identity.ObjectID {
		out := make(map[identity.ObjectID][]identity.ObjectID, len(m))
		for k, v := range m {
			out[k] = slices.Clip(v) // so that an append to one copy never shows in another
		}
		return out
	}
	return tables{
		maps.Clone(t.people), maps.Clone(t.byUPN), maps.Clone(t.groups), clip(t.memberOf), clip(t.members), maps.Clone(t.apps), maps.Clone(t.byURI),
		maps.Clone(t.principals), maps.Clone(t.principalOf), maps.Clone(t.grants), maps.Clone(t.assignments),
	}
}

// AddPerson adds a person to the tenant, or fails with [ErrExists].
func (d *Directory) AddPerson(p *Person) error {
	if p.ID.IsZero() || p.UPN == "" || p.Name == "" {
		return errors.New("a person needs an id, a UPN and a name")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	key := strings.ToLower(p.UPN)
	if _, taken := d.byUPN[key]; taken || d.people[p.ID] != nil || d.groups[p.ID] != nil {
		return fmt.Errorf("person %s: %w", p.UPN, ErrExists)
	}
	copied := *p
	d.people[p.ID], d.byUPN[key] = &copied, p.ID
	return nil
}

// UpdatePerson changes a copy of the person and stores it. The UPN and the id stay.
func (d *Directory) UpdatePerson(id identity.ObjectID, change func(*Person)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.people[id]
	if old == nil {
		return fmt.Errorf("person %s: %w", id, ErrNoObject)
	}
	p := *old
	change(&p)
	p.ID, p.UPN = old.ID, old.UPN
	d.people[id] = &p
	return nil
}

// Person returns the person by object id, or nil.
func (d *Directory) Person(id identity.ObjectID) *Person {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.people[id]
}

// FindPerson returns the person by UPN, object id, or the part of the UPN before the @ when it is of the tenant's own
// domain; nil when there is none.
func (d *Directory) FindPerson(name string) *Person {
	if id, err := identity.ParseObjectID(name); err == nil {
		return d.Person(id)
	}
	name = strings.ToLower(name)
	if !strings.Contains(name, "@") {
		name += "@" + d.domain
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.people[d.byUPN[name]]
}

// People returns everyone, by UPN.
func (d *Directory) People() []*Person {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.SortedFunc(maps.Values(d.people), func(a, b *Person) int { return cmp.Compare(a.UPN, b.UPN) })
}

// AddGroup adds a group to the tenant, or fails with [ErrExists].
func (d *Directory) AddGroup(g *Group) error {
	if g.ID.IsZero() || g.Name == "" {
		return errors.New("a group needs an id and a name")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.groups[g.ID] != nil || d.people[g.ID] != nil {
		return fmt.Errorf("group %s: %w", g.ID, ErrExists)
	}
	copied := *g
	d.groups[g.ID] = &copied
	return nil
}

// Group returns the group by object id, or nil.
func (d *Directory) Group(id identity.ObjectID) *Group {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.groups[id]
}

// Groups returns all groups, by name and id.
func (d *Directory) Groups() []*Group {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.SortedFunc(maps.Values(d.groups), func(a, b *Group) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID.String(), b.ID.String()))
	})
}

// AddMember puts a person, a group or a service principal into a group. Doing so twice changes nothing.
func (d *Directory) AddMember(group, member identity.ObjectID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.groups[group] == nil {
		return fmt.Errorf("group %s: %w", group, ErrNoObject)
	}
	if d.people[member] == nil && d.groups[member] == nil && d.principals[member] == nil {
		return fmt.Errorf("member %s: %w", member, ErrNoObject)
	}
	if slices.Contains(d.memberOf[member], group) {
		return nil
	}
	d.memberOf[member] = append(d.memberOf[member], group)
	d.members[group] = append(d.members[group], member)
	return nil
}

// RemoveMember takes a member out of a group.
func (d *Directory) RemoveMember(group, member identity.ObjectID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Contains(d.memberOf[member], group) {
		return fmt.Errorf("member %s of group %s: %w", member, group, ErrNoObject)
	}
	without := func(list []identity.ObjectID, id identity.ObjectID) []identity.ObjectID {
		return slices.DeleteFunc(slices.Clone(list), func(x identity.ObjectID) bool { return x == id })
	}
	d.memberOf[member], d.members[group] = without(d.memberOf[member], group), without(d.members[group], member)
	return nil
}

// Members returns the direct members of a group: ids of people, groups and service principals.
func (d *Directory) Members(group identity.ObjectID) []identity.ObjectID {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.Clone(d.members[group])
}

// MemberOf returns the groups that hold the member directly.
func (d *Directory) MemberOf(member identity.ObjectID) []identity.ObjectID {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.Clone(d.memberOf[member])
}

// TransitiveMemberOf returns the groups that hold the member, directly or by way of other groups; each once, nearer
// ones first. Groups that hold one another end it no less.
func (d *Directory) TransitiveMemberOf(member identity.ObjectID) []identity.ObjectID {
	d.mu.RLock()
	defer d.mu.RUnlock()
	found := slices.Clone(d.memberOf[member])
	seen := make(map[identity.ObjectID]bool, len(found))
	for _, id := range found {
		seen[id] = true
	}
	for i := 0; i < len(found); i++ {
		for _, up := range d.memberOf[found[i]] {
			if !seen[up] {
				seen[up] = true
				found = append(found, up)
			}
		}
	}
	return found
}
