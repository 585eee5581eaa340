package entraserver

import (
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/identity"
)

// What reading people and groups takes, as Microsoft documents it for each operation.
//
// https://learn.microsoft.com/graph/permissions-reference
func readPeople() []string {
	return []string{"User.Read.All", "User.ReadBasic.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}
}

func readGroups() []string {
	return []string{"GroupMember.Read.All", "Group.Read.All", "Group.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}
}

func readMemberships() []string {
	return []string{
		"User.ReadBasic.All GroupMember.Read.All", "User.Read.All GroupMember.Read.All", "User.ReadBasic.All Group.Read.All",
		"User.Read.All Group.Read.All", "Directory.Read.All", "Directory.ReadWrite.All",
	}
}

// graphPeopleRoutes also serve /me, which is rewritten to the person of the token before.
func graphPeopleRoutes() []graphRoute {
	me := []string{"User.Read", "User.ReadWrite"}
	return []graphRoute{
		{"GET", "users", 200, readPeople(), nil, (*graphCall).listPeople},
		{"GET", "users/{}", 200, readPeople(), me, (*graphCall).getPerson},
		{"GET", "users/{}/memberOf", 200, readMemberships(), me, (*graphCall).listDirectGroups},
		{"GET", "users/{}/memberOf/microsoft.graph.group", 200, readMemberships(), me, (*graphCall).listDirectGroups},
		{"GET", "users/{}/transitiveMemberOf", 200, readMemberships(), me, (*graphCall).listAllGroups},
		{"GET", "users/{}/transitiveMemberOf/microsoft.graph.group", 200, readMemberships(), me, (*graphCall).listAllGroups},
		{"POST", "users/{}/getMemberGroups", 200, readMemberships(), me, (*graphCall).getMemberGroups},
		{"POST", "users/{}/checkMemberGroups", 200, readMemberships(), me, (*graphCall).checkMemberGroups},
		{"GET", "groups", 200, readGroups(), nil, (*graphCall).listGroups},
		{"GET", "groups/{}", 200, readGroups(), nil, (*graphCall).getGroup},
		{"GET", "groups/{}/members", 200, readGroups(), nil, (*graphCall).listMembers},
		{"POST", "groups/{}/getMemberGroups", 200, readGroups(), nil, (*graphCall).getMemberGroups},
		{"POST", "directoryObjects/getByIds", 200, []string{"Directory.Read.All", "Directory.ReadWrite.All"}, nil, (*graphCall).getByIDs},
		{"GET", "organization", 200, []string{"User.Read", "Organization.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"}, nil, (*graphCall).listOrganizations},
	}
}

// personProperties holds those that Graph returns unasked, and accountEnabled where it is asked for.
func (c *graphCall) personProperties(p *Person) map[string]any {
	properties := map[string]any{
		"id": p.ID.String(), "userPrincipalName": p.UPN, "displayName": p.Name, "givenName": orNull(p.GivenName), "surname": orNull(p.Surname),
		"mail": orNull(p.Mail), "businessPhones": []any{}, "jobTitle": nil, "mobilePhone": nil, "officeLocation": nil, "preferredLanguage": nil,
	}
	if len(c.query.selected) > 0 || len(c.query.filter) > 0 {
		properties["accountEnabled"] = p.Enabled
	}
	return properties
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func groupProperties(g *Group) map[string]any {
	return map[string]any{
		"id": g.ID.String(), "displayName": g.Name, "mailNickname": orNull(g.MailNickname), "securityEnabled": g.SecurityEnabled,
		"mailEnabled": false, "groupTypes": []any{}, "description": nil, "mail": nil,
	}
}

// person finds the person that the first key names: by id or full UPN.
func (c *graphCall) person() (*Person, error) {
	key := c.keys[0]
	if !strings.ContainsAny(key, "@-") {
		return nil, errGraphMissing(clipText(key, 100))
	}
	p := c.dir.FindPerson(key)
	if p == nil {
		return nil, errGraphMissing(clipText(key, 100))
	}
	return p, nil
}

func (c *graphCall) listPeople() (any, error) {
	people := c.dir.People()
	all := make([]map[string]any, 0, len(people))
	for _, p := range people {
		all = append(all, c.personProperties(p))
	}
	return c.list("users", all)
}

func (c *graphCall) getPerson() (any, error) {
	p, err := c.person()
	if err != nil {
		return nil, err
	}
	return c.one("users", c.personProperties(p))
}

func (c *graphCall) listGroups() (any, error) {
	all := []map[string]any{}
	for _, g := range c.dir.Groups() {
		all = append(all, groupProperties(g))
	}
	return c.list("groups", all)
}

func (c *graphCall) group() (*Group, error) {
	id, err := identity.ParseObjectID(c.keys[0])
	if err != nil {
		return nil, errGraphBad("Invalid object identifier '" + clipText(c.keys[0], 100) + "'.")
	}
	g := c.dir.Group(id)
	if g == nil {
		return nil, errGraphMissing(id.String())
	}
	return g, nil
}

func (c *graphCall) getGroup() (any, error) {
	g, err := c.group()
	if err != nil {
		return nil, err
	}
	return c.one("groups", groupProperties(g))
}

func (c *graphCall) listMembers() (any, error) {
	g, err := c.group()
	if err != nil {
		return nil, err
	}
	all := []map[string]any{}
	for _, id := range c.dir.Members(g.ID) {
		if object := c.directoryObject(id); object != nil {
			all = append(all, object)
		}
	}
	return c.list("directoryObjects", all)
}

// directoryObject gives any object with its type, as mixed lists hold them.
func (c *graphCall) directoryObject(id identity.ObjectID) map[string]any {
	var properties map[string]any
	if p := c.dir.Person(id); p != nil {
		properties = c.personProperties(p)
		properties["@odata.type"] = "#microsoft.graph.user"
	} else if g := c.dir.Group(id); g != nil {
		properties = groupProperties(g)
		properties["@odata.type"] = "#microsoft.graph.group"
	} else if sp := c.dir.ServicePrincipal(id); sp != nil {
		properties = map[string]any{"@odata.type": "#microsoft.graph.servicePrincipal", "id": id.String(), "appId": sp.AppID.String(), "displayName": sp.DisplayName}
	}
	return properties
}

// getByIDs gives those objects of a list of ids that are there, whole: $select is not had.
//
// https://learn.microsoft.com/graph/api/directoryobject-getbyids
func (c *graphCall) getByIDs() (any, error) {
	var body struct {
		IDs   []string `json:"ids"`
		Types []string `json:"types"`
	}
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	if len(body.IDs) > maxIDsAsked {
		return nil, errGraphBad("Too many ids specified, only 1000 are allowed.")
	}
	if len(c.query.raw) > 0 {
		return nil, errGraphQuery("The local Microsoft Graph has no query options for getByIds.")
	}
	wanted := func(object map[string]any) bool {
		kind, _ := object["@odata.type"].(string)
		return len(body.Types) == 0 || slices.ContainsFunc(body.Types, func(t string) bool {
			return strings.EqualFold(t, "directoryObject") || strings.EqualFold("#microsoft.graph."+t, kind)
		})
	}
	found := []map[string]any{}
	for _, text := range body.IDs {
		id, err := identity.ParseObjectID(text)
		if err != nil {
			return nil, errGraphBad("Invalid GUID:" + clipText(text, 100))
		}
		if object := c.directoryObject(id); object != nil && wanted(object) {
			found = append(found, object)
		}
	}
	return map[string]any{"@odata.context": c.context() + "directoryObjects", "value": found}, nil
}

func (c *graphCall) listDirectGroups() (any, error) { return c.memberships(c.dir.MemberOf) }

func (c *graphCall) listAllGroups() (any, error) { return c.memberships(c.dir.TransitiveMemberOf) }

// memberships gives ids alone to who may not read groups: Graph then shows the other properties as null.
//
// https://learn.microsoft.com/graph/permissions-overview#limited-information-returned-for-inaccessible-member-objects
func (c *graphCall) memberships(of func(identity.ObjectID) []identity.ObjectID) (any, error) {
	p, err := c.person()
	if err != nil {
		return nil, err
	}
	mayRead := slices.ContainsFunc(readGroups(), c.token.has)
	all := []map[string]any{}
	for _, id := range of(p.ID) {
		g := c.dir.Group(id)
		if g == nil {
			continue
		}
		properties := groupProperties(g)
		if !mayRead {
			for name := range properties {
				if name != "id" {
					properties[name] = nil
				}
			}
		}
		properties["@odata.type"] = "#microsoft.graph.group"
		all = append(all, properties)
	}
	entity := "directoryObjects"
	if strings.Contains(c.r.URL.Path, "microsoft.graph.group") {
		entity = "groups"
	}
	return c.list(entity, all)
}

// member is the person, group or service principal whose groups are asked for.
func (c *graphCall) member() (identity.ObjectID, error) {
	if strings.HasPrefix(strings.ToLower(c.r.URL.Path), graphPrefix+"groups") {
		g, err := c.group()
		if err != nil {
			return identity.ObjectID{}, err
		}
		return g.ID, nil
	}
	p, err := c.person()
	if err != nil {
		return identity.ObjectID{}, err
	}
	return p.ID, nil
}

// getMemberGroups gives all groups or an error.
//
// https://learn.microsoft.com/graph/api/directoryobject-getmembergroups
func (c *graphCall) getMemberGroups() (any, error) {
	var body struct {
		SecurityEnabledOnly *bool `json:"securityEnabledOnly"`
	}
	member, err := c.member()
	if err != nil {
		return nil, err
	}
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	if body.SecurityEnabledOnly == nil {
		return nil, errGraphBad("A value is required for property 'securityEnabledOnly'.")
	}
	ids := []string{}
	for _, id := range c.dir.TransitiveMemberOf(member) {
		if g := c.dir.Group(id); g != nil && (g.SecurityEnabled || !*body.SecurityEnabledOnly) {
			ids = append(ids, id.String())
		}
	}
	if len(ids) > maxGroupIDs {
		return nil, &graphError{400, "Directory_ResultSizeLimitExceeded", "The result set is too big: more than 11,000 groups."}
	}
	return map[string]any{"@odata.context": c.context() + "Collection(Edm.String)", "value": ids}, nil
}

func (c *graphCall) checkMemberGroups() (any, error) {
	var body struct {
		GroupIDs []identity.ObjectID `json:"groupIds"`
	}
	member, err := c.member()
	if err != nil {
		return nil, err
	}
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	if len(body.GroupIDs) == 0 || len(body.GroupIDs) > maxGroupsAsked {
		return nil, errGraphBad("Property 'groupIds' must hold 1 to 20 ids.")
	}
	in := []string{}
	for _, id := range c.dir.TransitiveMemberOf(member) {
		if slices.Contains(body.GroupIDs, id) {
			in = append(in, id.String())
		}
	}
	return map[string]any{"@odata.context": c.context() + "Collection(Edm.String)", "value": in}, nil
}

func (c *graphCall) listOrganizations() (any, error) {
	return c.list("organization", []map[string]any{{
		"id": c.dir.Tenant().String(), "displayName": "Contoso (local Entra)", "tenantType": "AAD", "countryLetterCode": nil,
		"verifiedDomains": []any{map[string]any{"name": c.dir.Domain(), "isDefault": true, "isInitial": true, "type": "Managed", "capabilities": "Email"}},
	}})
}
