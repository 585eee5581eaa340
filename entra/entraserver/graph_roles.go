package entraserver

import (
	"errors"

	"github.com/onbehalf/onbehalf/identity"
)

// roleProperties shows an assignment with the names of both sides.
func (c *graphCall) roleProperties(a *RoleAssignment) map[string]any {
	name := func(id identity.ObjectID) any {
		if object := c.directoryObject(id); object != nil {
			return object["displayName"]
		}
		return nil
	}
	return map[string]any{
		"id": a.ID, "appRoleId": a.AppRoleID, "principalId": a.PrincipalID.String(), "principalType": a.PrincipalType,
		"principalDisplayName": name(a.PrincipalID), "resourceId": a.ResourceID.String(), "resourceDisplayName": name(a.ResourceID),
	}
}

func (c *graphCall) listRolesHeld() (any, error) {
	return c.listRoles(func(a *RoleAssignment, sp *ServicePrincipal) bool { return a.PrincipalID == sp.ID })
}

func (c *graphCall) listRolesGiven() (any, error) {
	return c.listRoles(func(a *RoleAssignment, sp *ServicePrincipal) bool { return a.ResourceID == sp.ID })
}

func (c *graphCall) listRoles(of func(*RoleAssignment, *ServicePrincipal) bool) (any, error) {
	sp, err := c.principal()
	if err != nil {
		return nil, err
	}
	all := []map[string]any{}
	for _, a := range c.dir.Assignments() {
		if of(a, sp) {
			all = append(all, c.roleProperties(a))
		}
	}
	return c.list("appRoleAssignments", all)
}

// assignRole gives an application role, by either side: the service principal that has it or the one that offers it.
//
// https://learn.microsoft.com/graph/api/serviceprincipal-post-approleassignedto
func (c *graphCall) assignRole() (any, error) {
	sp, err := c.principal()
	if err != nil {
		return nil, err
	}
	var body struct {
		PrincipalID identity.ObjectID `json:"principalId"`
		ResourceID  identity.ObjectID `json:"resourceId"`
		AppRoleID   string            `json:"appRoleId"`
	}
	if decodeErr := c.decode(&body); decodeErr != nil {
		return nil, decodeErr
	}
	if sp.ID != body.PrincipalID && sp.ID != body.ResourceID {
		return nil, errGraphBad("The service principal of the path must be principalId or resourceId.")
	}
	resource := c.dir.ServicePrincipal(body.ResourceID)
	if resource == nil || !c.seen(resource.ID.String()) {
		return nil, errGraphMissing(body.ResourceID.String())
	}
	if !c.offersRole(resource, body.AppRoleID) {
		return nil, errGraphBad("Permission being assigned was not found on application '" + resource.AppID.String() + "'.")
	}
	made := &RoleAssignment{AppRoleID: body.AppRoleID, PrincipalID: body.PrincipalID, ResourceID: body.ResourceID}
	switch err := c.dir.Assign(made); {
	case errors.Is(err, ErrExists):
		return nil, errGraphBad("Permission being assigned already exists on the object")
	case err != nil:
		return nil, errGraphMissing(body.PrincipalID.String())
	}
	return c.one("appRoleAssignments", c.roleProperties(made))
}

func (c *graphCall) offersRole(resource *ServicePrincipal, role string) bool {
	if role == DefaultRole {
		return true
	}
	a := c.dir.Application(resource.AppID)
	if a == nil {
		return false
	}
	for _, r := range a.AppRoles {
		if r.ID == role && r.IsEnabled {
			return true
		}
	}
	return false
}

func (c *graphCall) unassignRole() (any, error) {
	if _, err := c.principal(); err != nil {
		return nil, err
	}
	return nil, c.missing(c.dir.Unassign(c.keys[1]), 1)
}
