package entraserver

import (
	"errors"
	"strings"

	"github.com/onbehalf/onbehalf/identity"
)

func graphPrincipalRoutes() []graphRoute {
	readGrants := []string{"DelegatedPermissionGrant.Read.All", "DelegatedPermissionGrant.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}
	writeGrants := []string{"DelegatedPermissionGrant.ReadWrite.All"}
	writeRoles := []string{"AppRoleAssignment.ReadWrite.All"}
	const sp, grant = "servicePrincipals/{}", "oauth2PermissionGrants/{}"
	return []graphRoute{
		{"GET", "servicePrincipals", 200, readApps(), nil, (*graphCall).listPrincipals},
		{"POST", "servicePrincipals", 201, writeApps(), nil, (*graphCall).createPrincipal},
		{"GET", sp, 200, readApps(), nil, (*graphCall).getPrincipal},
		{"PATCH", sp, 204, writeApps(), nil, (*graphCall).patchPrincipal},
		{"DELETE", sp, 204, writeApps(), nil, (*graphCall).deletePrincipal},
		{"GET", sp + "/oauth2PermissionGrants", 200, readGrants, nil, (*graphCall).listGrantsOfPrincipal},
		{"GET", sp + "/appRoleAssignments", 200, readApps(), nil, (*graphCall).listRolesHeld},
		{"POST", sp + "/appRoleAssignments", 201, writeRoles, nil, (*graphCall).assignRole},
		{"DELETE", sp + "/appRoleAssignments/{}", 204, writeRoles, nil, (*graphCall).unassignRole},
		{"GET", sp + "/appRoleAssignedTo", 200, readApps(), nil, (*graphCall).listRolesGiven},
		{"POST", sp + "/appRoleAssignedTo", 201, writeRoles, nil, (*graphCall).assignRole},
		{"DELETE", sp + "/appRoleAssignedTo/{}", 204, writeRoles, nil, (*graphCall).unassignRole},
		{"GET", "oauth2PermissionGrants", 200, readGrants, nil, (*graphCall).listGrants},
		{"POST", "oauth2PermissionGrants", 201, writeGrants, nil, (*graphCall).createGrant},
		{"GET", grant, 200, readGrants, nil, (*graphCall).getGrant},
		{"PATCH", grant, 204, writeGrants, nil, (*graphCall).patchGrant},
		{"DELETE", grant, 204, writeGrants, nil, (*graphCall).deleteGrant},
	}
}

// graphRoutes is the whole of this Graph.
func graphRoutes() []graphRoute {
	return append(append(graphPeopleRoutes(), graphAppRoutes()...), graphPrincipalRoutes()...)
}

// principal finds the service principal that the first key names: its object id, or appId='…'.
func (c *graphCall) principal() (*ServicePrincipal, error) {
	key := c.keys[0]
	var found *ServicePrincipal
	if text, ok := cutKey(key, "appId"); ok {
		if id, err := identity.ParseClientID(text); err == nil {
			found = c.dir.PrincipalOf(id)
		}
	} else if id, err := identity.ParseObjectID(key); err == nil {
		found = c.dir.ServicePrincipal(id)
	} else {
		return nil, errGraphBad("Invalid object identifier '" + clipText(key, 100) + "'.")
	}
	if found == nil || !c.seen(found.ID.String()) {
		return nil, errGraphMissing(clipText(key, 100))
	}
	return found, nil
}

// principalProperties joins the service principal with what its application offers.
func (c *graphCall) principalProperties(sp *ServicePrincipal) (map[string]any, error) {
	properties, err := asProperties(sp)
	if err != nil {
		return nil, err
	}
	names := []any{sp.AppID.String()}
	properties["oauth2PermissionScopes"], properties["appRoles"], properties["tags"] = []any{}, []any{}, []any{}
	if a := c.dir.Application(sp.AppID); a != nil {
		offered, err := asProperties(struct {
			Scopes []PermissionScope `json:"oauth2PermissionScopes"`
			Roles  []AppRole         `json:"appRoles"`
			Tags   []string          `json:"tags"`
		}{append([]PermissionScope{}, a.API.Scopes...), append([]AppRole{}, a.AppRoles...), append([]string{}, a.Tags...)})
		if err != nil {
			return nil, err
		}
		properties["oauth2PermissionScopes"], properties["appRoles"], properties["tags"] = offered["oauth2PermissionScopes"], offered["appRoles"], offered["tags"]
		for _, uri := range a.IdentifierURIs {
			names = append(names, uri)
		}
		properties["appDisplayName"], properties["signInAudience"] = a.DisplayName, a.SignInAudience
	}
	properties["servicePrincipalNames"] = names
	return properties, nil
}

func (c *graphCall) listPrincipals() (any, error) {
	all := []map[string]any{}
	for _, sp := range c.dir.ServicePrincipals() {
		if !c.seen(sp.ID.String()) {
			continue
		}
		properties, err := c.principalProperties(sp)
		if err != nil {
			return nil, err
		}
		all = append(all, properties)
	}
	return c.list("servicePrincipals", all)
}

func (c *graphCall) showPrincipal(sp *ServicePrincipal) (any, error) {
	properties, err := c.principalProperties(sp)
	if err != nil {
		return nil, err
	}
	return c.one("servicePrincipals", properties)
}

func (c *graphCall) getPrincipal() (any, error) {
	sp, err := c.principal()
	if err != nil {
		return nil, err
	}
	return c.showPrincipal(sp)
}

func (c *graphCall) createPrincipal() (any, error) {
	var body struct {
		AppID                     identity.ClientID `json:"appId"`
		AccountEnabled            *bool             `json:"accountEnabled"`
		AppRoleAssignmentRequired bool              `json:"appRoleAssignmentRequired"`
	}
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	a := c.dir.Application(body.AppID)
	if a == nil || !c.seen(a.ID.String()) {
		return nil, &graphError{400, "NoBackingApplicationObject", "The appId '" + body.AppID.String() + "' of the service principal does not reference a valid application object."}
	}
	sp := &ServicePrincipal{
		ID: object(newGUID()), AppID: a.AppID, DisplayName: a.DisplayName, Type: "Application",
		AccountEnabled: body.AccountEnabled == nil || *body.AccountEnabled, AppRoleAssignmentRequired: body.AppRoleAssignmentRequired,
	}
	if err := c.dir.AddServicePrincipal(sp); err != nil {
		if errors.Is(err, ErrExists) {
			err = errGraphExists(409, "The service principal cannot be created, updated, or restored because the service principal name "+a.AppID.String()+" is already in use.")
		}
		return nil, err
	}
	c.appear(sp.ID.String())
	return c.showPrincipal(sp)
}

func (c *graphCall) patchPrincipal() (any, error) {
	sp, err := c.principal()
	if err != nil {
		return nil, err
	}
	var body struct {
		DisplayName               *string `json:"displayName"`
		AccountEnabled            *bool   `json:"accountEnabled"`
		AppRoleAssignmentRequired *bool   `json:"appRoleAssignmentRequired"`
	}
	if decodeErr := c.decode(&body); decodeErr != nil {
		return nil, decodeErr
	}
	return nil, c.dir.UpdateServicePrincipal(sp.ID, func(sp *ServicePrincipal) {
		if body.DisplayName != nil {
			sp.DisplayName = *body.DisplayName
		}
		if body.AccountEnabled != nil {
			sp.AccountEnabled = *body.AccountEnabled
		}
		if body.AppRoleAssignmentRequired != nil {
			sp.AppRoleAssignmentRequired = *body.AppRoleAssignmentRequired
		}
	})
}

func (c *graphCall) deletePrincipal() (any, error) {
	sp, err := c.principal()
	if err != nil {
		return nil, err
	}
	return nil, c.dir.DeleteServicePrincipal(sp.ID)
}

func grantProperties(g *PermissionGrant) map[string]any {
	return map[string]any{
		"id": g.ID, "clientId": g.ClientID.String(), "resourceId": g.ResourceID.String(), "consentType": g.ConsentType,
		"principalId": orNull(g.PrincipalID.String()), "scope": g.Scope,
	}
}

func (c *graphCall) listGrants() (any, error) {
	all := []map[string]any{}
	for _, g := range c.dir.Grants() {
		all = append(all, grantProperties(g))
	}
	return c.list("oauth2PermissionGrants", all)
}

func (c *graphCall) listGrantsOfPrincipal() (any, error) {
	sp, err := c.principal()
	if err != nil {
		return nil, err
	}
	all := []map[string]any{}
	for _, g := range c.dir.Grants() {
		if g.ClientID == sp.ID {
			all = append(all, grantProperties(g))
		}
	}
	return c.list("oauth2PermissionGrants", all)
}

func (c *graphCall) getGrant() (any, error) {
	for _, g := range c.dir.Grants() {
		if g.ID == c.keys[0] {
			return c.one("oauth2PermissionGrants", grantProperties(g))
		}
	}
	return nil, errGraphMissing(clipText(c.keys[0], 100))
}

// createGrant records consent.
//
// https://learn.microsoft.com/graph/api/oauth2permissiongrant-post
func (c *graphCall) createGrant() (any, error) {
	var g PermissionGrant
	if err := c.decode(&g); err != nil {
		return nil, err
	}
	g.ID = ""
	for _, id := range []identity.ObjectID{g.ClientID, g.ResourceID} {
		if id.IsZero() || c.dir.ServicePrincipal(id) == nil || !c.seen(id.String()) {
			return nil, errGraphMissing(id.String())
		}
	}
	switch err := c.dir.AddGrant(&g); {
	case errors.Is(err, ErrExists):
		return nil, &graphError{409, "Request_MultipleObjectsWithSameKeyValue", "Permission entry already exists."}
	case err != nil:
		return nil, errGraphBad("Invalid consentType or principalId: 'AllPrincipals' takes no principalId, 'Principal' needs one that exists.")
	}
	return c.one("oauth2PermissionGrants", grantProperties(&g))
}

func (c *graphCall) patchGrant() (any, error) {
	var body struct {
		Scope *string `json:"scope"`
	}
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	if body.Scope == nil {
		return nil, errGraphBad("Only 'scope' can be changed.")
	}
	return nil, c.missing(c.dir.SetGrantScope(c.keys[0], strings.TrimSpace(*body.Scope)), 0)
}

func (c *graphCall) deleteGrant() (any, error) {
	return nil, c.missing(c.dir.DeleteGrant(c.keys[0]), 0)
}

// missing turns the directory's error into a 404 that names the key.
func (c *graphCall) missing(err error, key int) error {
	if errors.Is(err, ErrNoObject) {
		return errGraphMissing(clipText(c.keys[key], 100))
	}
	return err
}
