package entratest

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/identity"
)

// Cloud returns this Entra as the cloud that packages bearer, obo and onbehalf are configured with.
func (e *Entra) Cloud() entra.Cloud {
	e.tb.Helper()
	cloud, err := entra.CloudOf(e.URL + "/")
	if err != nil && !errors.Is(err, entra.ErrUnknownCloud) {
		e.tb.Fatalf("entratest: %v", err)
	}
	return cloud
}

// TenantID returns [IDs].Tenant as the id that it is.
func (e *Entra) TenantID() identity.TenantID { return e.Server.Directory().Tenant() }

// ClientID returns one of [IDs], or any other application id, as the id that it is.
func (e *Entra) ClientID(id string) identity.ClientID {
	e.tb.Helper()
	parsed, err := identity.ParseClientID(id)
	if err != nil {
		e.tb.Fatalf("entratest: %v", err)
	}
	return parsed
}

// API is an API of one's own: see [Entra.AddAPI].
type API struct {
	Name   string
	Scopes []string // delegated permissions, which people may consent to
	Roles  []string // application roles, for people and applications: see [Entra.Assign]
	V1     bool     // its tokens are of version 1
}

// AddAPI registers an API, with a secret ([Entra.Secret]) and the App ID URI "api://ID", and returns its id. The sample
// API has the consent of everyone for its scopes, so that an exchange for it works; [Entra.Policy] can take it away.
// [Entra.Reset] removes it.
func (e *Entra) AddAPI(api API) string {
	e.tb.Helper()
	id := uuid.NewString()
	version := 2
	if api.V1 {
		version = 1
	}
	now := time.Now()         //nolint:forbidigo // the secret is good as long as the test
	groups := "SecurityGroup" // as the sample API has it: dana's do not fit
	app := &entraserver.Application{
		GroupMembershipClaims: &groups,
		ID:                    object(uuid.NewString()), AppID: e.ClientID(id), DisplayName: api.Name, IdentifierURIs: []string{"api://" + id}, SignInAudience: "AzureADMyOrg",
		API:            entraserver.API{RequestedAccessTokenVersion: &version},
		OptionalClaims: &entraserver.OptionalClaims{AccessToken: []entraserver.OptionalClaim{{Name: "idtyp"}, {Name: "xms_cc"}, {Name: "acrs"}}},
		PasswordCredentials: []entraserver.PasswordCredential{{
			KeyID: uuid.NewString(), DisplayName: "test", Secret: identity.NewSecret(uuid.NewString()), Start: now.Add(-time.Hour), End: now.AddDate(1, 0, 0),
		}},
	}
	for _, name := range api.Scopes {
		app.API.Scopes = append(app.API.Scopes, entraserver.PermissionScope{
			ID: uuid.NewString(), Value: name, Type: "User", IsEnabled: true, AdminConsentDisplayName: name, UserConsentDisplayName: name,
		})
	}
	for _, name := range api.Roles {
		app.AppRoles = append(app.AppRoles, entraserver.AppRole{
			ID: uuid.NewString(), Value: name, DisplayName: name, AllowedMemberTypes: []string{"User", "Application"}, IsEnabled: true,
		})
	}
	dir := e.Server.Directory()
	err := errors.Join(dir.AddApplication(app), dir.AddServicePrincipal(&entraserver.ServicePrincipal{
		ID: object(uuid.NewString()), AppID: app.AppID, DisplayName: api.Name, Type: "Application", AccountEnabled: true,
	}))
	if sample := e.ClientID(e.API); err == nil && len(api.Scopes) > 0 && dir.PrincipalOf(sample) != nil {
		err = dir.Consent(sample, app.AppID, identity.ObjectID{}, api.Scopes...)
	}
	if err != nil {
		e.tb.Fatalf("entratest: API %s: %v", api.Name, err)
	}
	return id
}

func object(guid string) identity.ObjectID {
	id, _ := identity.ParseObjectID(guid) // of package uuid's making
	return id
}

// Assign gives a person ("alice") or an application (by its client id) a role of an API.
func (e *Entra) Assign(who, api, role string) {
	e.tb.Helper()
	dir := e.Server.Directory()
	resource := dir.FindApplication(api)
	if resource == nil {
		e.tb.Fatalf("entratest: no application %s", api)
	}
	at := slices.IndexFunc(resource.AppRoles, func(r entraserver.AppRole) bool { return r.Value == role })
	if at < 0 {
		e.tb.Fatalf("entratest: %s has no role %s", resource.DisplayName, role)
	}
	assignment := &entraserver.RoleAssignment{AppRoleID: resource.AppRoles[at].ID, ResourceID: dir.PrincipalOf(resource.AppID).ID}
	if person := dir.FindPerson(who); person != nil {
		assignment.PrincipalID = person.ID
	} else if app := dir.FindApplication(who); app != nil {
		assignment.PrincipalID = dir.PrincipalOf(app.AppID).ID
	}
	if err := dir.Assign(assignment); err != nil {
		e.tb.Fatalf("entratest: %s as %s: %v", who, role, err)
	}
}

// AppToken returns a token of an application without a person (client credentials) for an API, with the roles that the
// application has there: resource is the App ID URI, as in "api://"+e.API. The application needs a secret.
func (e *Entra) AppToken(clientID, resource string) identity.Secret {
	e.tb.Helper()
	status, body := e.Token(url.Values{
		"grant_type": {"client_credentials"}, "client_id": {clientID}, "client_secret": {e.Secret(clientID).Reveal()}, "scope": {resource + "/.default"},
	})
	var answer struct {
		Token identity.Secret `json:"access_token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || status != http.StatusOK {
		e.tb.Fatalf("entratest: token of application %s for %s: HTTP %d: %s", clientID, resource, status, body)
	}
	return answer.Token
}
