package entraserver

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
)

func readApps() []string {
	return []string{"Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}
}

func writeApps() []string {
	return []string{"Application.ReadWrite.All", "Application.ReadWrite.OwnedBy", "Directory.ReadWrite.All"}
}

func graphAppRoutes() []graphRoute {
	const app, fic = "applications/{}", "applications/{}/federatedIdentityCredentials"
	return []graphRoute{
		{"GET", "applications", 200, readApps(), nil, (*graphCall).listApplications},
		{"POST", "applications", 201, writeApps(), nil, (*graphCall).createApplication},
		{"GET", app, 200, readApps(), nil, (*graphCall).getApplication},
		{"PATCH", app, 204, writeApps(), nil, (*graphCall).patchApplication},
		{"DELETE", app, 204, writeApps(), nil, (*graphCall).deleteApplication},
		{"POST", app + "/addPassword", 200, writeApps(), nil, (*graphCall).addPassword},
		{"POST", app + "/removePassword", 204, writeApps(), nil, (*graphCall).removePassword},
		{"GET", fic, 200, readApps(), nil, (*graphCall).listFederated},
		{"POST", fic, 201, writeApps(), nil, (*graphCall).createFederated},
		{"GET", fic + "/{}", 200, readApps(), nil, (*graphCall).getFederated},
		{"PATCH", fic + "/{}", 204, writeApps(), nil, (*graphCall).patchFederated},
		{"DELETE", fic + "/{}", 204, writeApps(), nil, (*graphCall).deleteFederated},
	}
}

// application finds the registration that the first key names: its object id, or appId='…'. Microsoft's own are not
// registered in this tenant, and Graph does not show them here.
func (c *graphCall) application() (*Application, error) {
	key := c.keys[0]
	byAppID, isAppID := cutKey(key, "appId")
	for _, a := range c.dir.Applications() {
		match := strings.EqualFold(a.ID.String(), key)
		if isAppID {
			match = strings.EqualFold(a.AppID.String(), byAppID)
		}
		if match && !a.Foreign && c.seen(a.ID.String()) {
			return a, nil
		}
	}
	return nil, errGraphMissing(clipText(key, 100))
}

// cutKey reads an alternate key: appId='…'.
func cutKey(key, name string) (string, bool) {
	if len(key) <= len(name) || !strings.EqualFold(key[:len(name)+1], name+"=") {
		return "", false
	}
	return unquote(key[len(name)+1:])
}

func applicationProperties(a *Application) (map[string]any, error) {
	properties, err := asProperties(a)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"identifierUris", "appRoles", "requiredResourceAccess", "passwordCredentials", "keyCredentials", "tags"} {
		if properties[name] == nil {
			properties[name] = []any{}
		}
	}
	properties["publisherDomain"] = nil
	return properties, nil
}

func (c *graphCall) listApplications() (any, error) {
	all := []map[string]any{}
	for _, a := range c.dir.Applications() {
		if a.Foreign || !c.seen(a.ID.String()) {
			continue
		}
		properties, err := applicationProperties(a)
		if err != nil {
			return nil, err
		}
		hideKeys(properties)
		all = append(all, properties)
	}
	return c.list("applications", all)
}

func (c *graphCall) showApplication(a *Application) (any, error) {
	properties, err := applicationProperties(a)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(c.query.selected, func(s string) bool { return strings.EqualFold(s, "keyCredentials") }) {
		hideKeys(properties)
	}
	return c.one("applications", properties)
}

// hideKeys takes the certificates out: Graph tells them only when a single object's keyCredentials are selected by name.
//
// https://learn.microsoft.com/graph/api/resources/keycredential
func hideKeys(properties map[string]any) {
	keys, _ := properties["keyCredentials"].([]any)
	for _, key := range keys {
		if key, ok := key.(map[string]any); ok {
			key["key"] = nil
		}
	}
}

func (c *graphCall) getApplication() (any, error) {
	a, err := c.application()
	if err != nil {
		return nil, err
	}
	return c.showApplication(a)
}

func (c *graphCall) createApplication() (any, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	a := &Application{ID: object(newGUID()), AppID: client(newGUID()), SignInAudience: "AzureADandPersonalMicrosoftAccount", Created: c.now().UTC().Truncate(time.Second)}
	if err := c.changeApplication(a, body); err != nil {
		return nil, err
	}
	if a.DisplayName == "" {
		return nil, errGraphBad("A value is required for property 'displayName' of resource 'Application'.")
	}
	if err := c.dir.AddApplication(a); err != nil {
		return nil, applicationTrouble(err)
	}
	c.appear(a.ID.String())
	return c.showApplication(a)
}

func (c *graphCall) patchApplication() (any, error) {
	a, err := c.application()
	if err != nil {
		return nil, err
	}
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	if err = c.checkPreAuthorized(a.AppID, body); err != nil {
		return nil, err
	}
	err = c.dir.UpdateApplication(a.AppID, func(a *Application) error { return c.changeApplication(a, body) })
	return nil, applicationTrouble(err)
}

func (c *graphCall) deleteApplication() (any, error) {
	a, err := c.application()
	if err != nil {
		return nil, err
	}
	return nil, applicationTrouble(c.dir.DeleteApplication(a.AppID))
}

func applicationTrouble(err error) error {
	if errors.Is(err, ErrExists) {
		return errGraphExists(400, "Another object with the same value for property identifierUris already exists.")
	}
	if errors.Is(err, ErrNoObject) {
		return errGraphMissing("application")
	}
	return err
}

// readOnlyProperties cannot be written, some by way of actions only.
func readOnlyProperties() []string {
	return []string{"id", "appId", "createdDateTime", "passwordCredentials", "publisherDomain"}
}

// changeApplication lays the properties of a body over an application. Properties of api, web, publicClient and spa that
// the body leaves out stay; every collection is replaced whole.
//
// https://learn.microsoft.com/graph/api/application-update
//
// It runs within an update of the directory, and must not ask the directory for another application.
func (c *graphCall) changeApplication(a *Application, body []byte) error {
	if err := strictJSON(body, &Application{}); err != nil {
		return err
	}
	var change map[string]json.RawMessage
	if err := json.Unmarshal(body, &change); err != nil {
		return errGraphBad("Unable to read JSON request payload.")
	}
	for name := range change {
		if slices.ContainsFunc(readOnlyProperties(), func(p string) bool { return strings.EqualFold(p, name) }) {
			return errGraphBad("Property '" + name + "' is read-only and cannot be set.")
		}
	}
	old, err := asProperties(a)
	if err != nil {
		return err
	}
	merged, err := json.Marshal(layOver(old, change))
	if err != nil {
		return errGraphBad("Unable to read JSON request payload.")
	}
	fresh := &Application{}
	if err := json.Unmarshal(merged, fresh); err != nil {
		return errGraphBad("Invalid value specified for a property.")
	}
	fresh.PasswordCredentials, fresh.FederatedCredentials = a.PasswordCredentials, a.FederatedCredentials
	fresh.Foreign, fresh.Disabled, fresh.AgentBlueprint = a.Foreign, a.Disabled, a.AgentBlueprint
	if err := errors.Join(checkApplication(fresh), c.checkNewURIs(fresh, a.IdentifierURIs), completeKeys(fresh)); err != nil {
		return err
	}
	*a = *fresh
	return nil
}

func layOver(old map[string]any, change map[string]json.RawMessage) map[string]any {
	for name, value := range change {
		var nested map[string]json.RawMessage
		inner, isObject := old[name].(map[string]any)
		if isObject && json.Unmarshal(value, &nested) == nil && nested != nil {
			old[name] = layOver(inner, nested)
			continue
		}
		old[name] = value
	}
	return old
}
