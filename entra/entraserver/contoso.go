package entraserver

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// The sample tenant. Its ids are the same at every start; secrets and keys are not.
const (
	ContosoTenant   = "c0de7e4a-0000-4000-8000-000000000001"
	ContosoDomain   = "contoso.example"
	ContosoPassword = "Passw0rd!" // everybody's

	Alice = "a11ce000-0000-4000-8000-00000000000a" // engineering
	Bob   = "b0b00000-0000-4000-8000-00000000000b" // finance
	Carol = "ca401000-0000-4000-8000-00000000000c" // in no group
	Dana  = "da4a0000-0000-4000-8000-00000000000d" // in 250 groups: overage
	Erin  = "e4140000-0000-4000-8000-00000000000e" // disabled
	Adele = "ade1e000-0000-4000-8000-00000000000f" // administrator; board

	Engineering = "9e000000-0000-4000-8000-0000000000e1"
	Finance     = "9e000000-0000-4000-8000-0000000000f1"
	Board       = "9e000000-0000-4000-8000-0000000000b1"
	AllStaff    = "9e000000-0000-4000-8000-0000000000a1" // holds engineering and finance: groups within a group

	ContosoAPI       = "a9100000-0000-4000-8000-000000000001" // the MCP server
	ContosoWebClient = "c11e4700-0000-4000-8000-000000000002" // public: the command line client
	ContosoWebAgent  = "a6e47000-0000-4000-8000-000000000003" // confidential: the web-based agent
	ContosoAgent     = "a6e47000-0000-4000-8000-0000000000a1" // an agent identity (Entra Agent ID): its tokens say that an agent acts
	ContosoBlueprint = "a6e47000-0000-4000-8000-0000000000b1" // what that agent was made from
	ContosoOther     = "07e40000-0000-4000-8000-000000000004" // confidential, with no permission to anything: for refusals

	ContosoIdentity       = "1de47000-0000-4000-8000-000000000005" // the client id of a managed identity, federated to the API
	ContosoIdentityObject = "5e000000-0000-4000-8000-000000000005" // its principal id: the subject of its tokens

	ExecuteScope = "5c09e000-0000-4000-8000-000000000001" // id of the API's scope "execute"
	SearchScope  = "a4165a31-5d9e-4120-bd1e-9d88c66fd3b8" // id of Azure AI Search's "user_impersonation"
)

// overageGroups is how many groups dana is in; a token holds at most 200.
const overageGroups = 250

// Contoso returns the sample tenant.
func Contoso() (*Directory, error) {
	d := NewDirectory(mustTenant(ContosoTenant), ContosoDomain)
	return d, errors.Join(addContosoPeople(d), addContosoApps(d), addContosoConsents(d))
}

func addContosoPeople(d *Directory) error {
	var errs []error
	for _, g := range []struct{ id, name string }{{Engineering, "engineering"}, {Finance, "finance"}, {Board, "board"}, {AllStaff, "all staff"}} {
		errs = append(errs, d.AddGroup(&Group{ID: object(g.id), Name: g.name, SecurityEnabled: true}))
	}
	for _, p := range []struct{ id, given, surname, group string }{
		{Alice, "Alice", "Archer", Engineering},
		{Bob, "Bob", "Brown", Finance},
		{Carol, "Carol", "Clark", ""},
		{Dana, "Dana", "Doyle", ""},
		{Erin, "Erin", "Evans", ""},
		{Adele, "Adele", "Adams", Board},
	} {
		person := &Person{
			ID: object(p.id), UPN: lower(p.given) + "@" + ContosoDomain, Name: p.given + " " + p.surname,
			GivenName: p.given, Surname: p.surname, Mail: lower(p.given) + "@" + ContosoDomain,
			Enabled: p.id != Erin, Password: identity.NewSecret(ContosoPassword),
		}
		if p.id == Adele {
			person.Roles = []string{GlobalAdministrator}
		}
		errs = append(errs, d.AddPerson(person))
		if p.group != "" {
			errs = append(errs, d.AddMember(object(p.group), person.ID))
		}
	}
	errs = append(errs, d.AddMember(object(AllStaff), object(Engineering)), d.AddMember(object(AllStaff), object(Finance)))
	for i := range overageGroups {
		id := object(fmt.Sprintf("9d000000-0000-4000-8000-%012x", i+1))
		errs = append(errs, d.AddGroup(&Group{ID: id, Name: fmt.Sprintf("project %03d", i+1), SecurityEnabled: true}), d.AddMember(id, object(Dana)))
	}
	return errors.Join(errs...)
}

func addContosoApps(d *Directory) error {
	var errs []error
	apps := []*Application{contosoAPI(), contosoWebClient(), contosoWebAgent(), contosoOther(), searchService(), microsoftGraph(), contosoAgent(), tokenExchange()}
	for i, a := range append(apps, commandLines()...) {
		a.ID = object(fmt.Sprintf("0b7ec700-0000-4000-8000-%012x", i+1))
		a.Created = time.Date(2026, time.January, 5, 9, 0, 0, 0, time.UTC)
		if a.SignInAudience == "" {
			a.SignInAudience = "AzureADMyOrg"
		}
		errs = append(errs, d.AddApplication(a), d.AddServicePrincipal(&ServicePrincipal{
			ID: object(fmt.Sprintf("5e000000-0000-4000-8000-%012x", 0x100+i)), AppID: a.AppID, DisplayName: a.DisplayName, Type: "Application", AccountEnabled: true,
		}))
	}
	errs = append(errs, d.AddServicePrincipal(&ServicePrincipal{
		ID: object(ContosoIdentityObject), AppID: client(ContosoIdentity), DisplayName: "mcp-server-identity", Type: "ManagedIdentity", AccountEnabled: true,
	}))
	return errors.Join(errs...)
}

// contosoAPI is the MCP server: confidential, with the scope "execute", and a role that nobody has yet.
func contosoAPI() *Application {
	return &Application{
		AppID: client(ContosoAPI), DisplayName: "mcp-server", IdentifierURIs: []string{"api://" + ContosoAPI},
		API: API{
			RequestedAccessTokenVersion: new(2),
			Scopes: []PermissionScope{{
				ID: ExecuteScope, Value: "execute", Type: "User", IsEnabled: true,
				AdminConsentDisplayName: "Execute MCP tools", AdminConsentDescription: "Allows the app to call MCP tools as the signed-in user.",
				UserConsentDisplayName: "Execute MCP tools", UserConsentDescription: "Allow the app to call MCP tools on your behalf.",
			}},
			PreAuthorized: []PreAuthorized{
				{client(ContosoWebClient), []string{ExecuteScope}},
				{client(ContosoWebAgent), []string{ExecuteScope}},
				{client(ContosoAgent), []string{ExecuteScope}},
			},
			KnownClientApplications: []identity.ClientID{client(ContosoWebClient), client(ContosoWebAgent)},
		},
		AppRoles: []AppRole{{
			ID: "401e0000-0000-4000-8000-000000000001", Value: "Tools.Execute.All", DisplayName: "Execute MCP tools without a person",
			Description: "Lets an application call MCP tools.", AllowedMemberTypes: []string{"Application"}, IsEnabled: true,
		}},
		RequiredResourceAccess: []RequiredResourceAccess{
			{client(entra.SearchAppID), []ResourceAccess{{SearchScope, "Scope"}}},
			{client(entra.GraphAppID), []ResourceAccess{{graphUserRead, "Scope"}}},
		},
		OptionalClaims: &OptionalClaims{AccessToken: []OptionalClaim{
			{Name: "idtyp", AdditionalProperties: []string{"include_user_token"}}, {Name: "xms_cc"}, {Name: "acrs"},
		}},
		GroupMembershipClaims: new("SecurityGroup"),
		Web:                   Web{RedirectURIs: []string{"http://localhost/auth/done"}},
		PasswordCredentials:   []PasswordCredential{newPassword()},
	}
}

func contosoWebClient() *Application {
	return &Application{
		AppID: client(ContosoWebClient), DisplayName: "mcp-client", IsFallbackPublicClient: true,
		PublicClient:           RedirectURIs{[]string{"http://localhost", "https://login.microsoftonline.com/common/oauth2/nativeclient"}},
		RequiredResourceAccess: []RequiredResourceAccess{{client(ContosoAPI), []ResourceAccess{{ExecuteScope, "Scope"}}}},
	}
}

func contosoWebAgent() *Application {
	return &Application{
		AppID: client(ContosoWebAgent), DisplayName: "mcp-web-agent",
		Web:                    Web{RedirectURIs: []string{"http://localhost:8080/signin/callback", "http://localhost:8080/signed-out"}, LogoutURL: new("http://localhost:8080/signout/frontchannel")},
		OptionalClaims:         &OptionalClaims{IDToken: []OptionalClaim{{Name: "sid"}, {Name: "login_hint"}}},
		RequiredResourceAccess: []RequiredResourceAccess{{client(ContosoAPI), []ResourceAccess{{ExecuteScope, "Scope"}}}},
		PasswordCredentials:    []PasswordCredential{newPassword()},
	}
}

func contosoAgent() *Application {
	return &Application{
		AppID: client(ContosoAgent), DisplayName: "mcp-agent-identity", AgentBlueprint: client(ContosoBlueprint),
		Web:                 Web{RedirectURIs: []string{"http://localhost:8095/callback"}},
		PasswordCredentials: []PasswordCredential{newPassword()},
	}
}

func contosoOther() *Application {
	return &Application{
		AppID: client(ContosoOther), DisplayName: "unrelated-service", IdentifierURIs: []string{"api://" + ContosoOther},
		API: API{RequestedAccessTokenVersion: new(2), Scopes: []PermissionScope{{
			ID: "5c09e000-0000-4000-8000-000000000004", Value: "access", Type: "User", IsEnabled: true,
			AdminConsentDisplayName: "Access the unrelated service", UserConsentDisplayName: "Access the unrelated service",
		}}},
		Web:                 Web{RedirectURIs: []string{"http://localhost:8090/callback"}},
		PasswordCredentials: []PasswordCredential{newPassword()},
	}
}

// searchService is Azure AI Search. Its tokens are of version 1, as the real ones; the local Search proves itself with
// its secret when it asks Graph for a person's groups.
func searchService() *Application {
	return &Application{
		AppID: client(entra.SearchAppID), DisplayName: "Azure Cognitive Search", Foreign: true, SignInAudience: "AzureADMultipleOrgs",
		IdentifierURIs: []string{"https://search.azure.com"},
		API: API{Scopes: []PermissionScope{{
			ID: SearchScope, Value: "user_impersonation", Type: "User", IsEnabled: true,
			AdminConsentDisplayName: "Access Azure AI Search", AdminConsentDescription: "Allows the app to query Azure AI Search as the signed-in user.",
			UserConsentDisplayName: "Access Azure AI Search", UserConsentDescription: "Allow the app to query Azure AI Search on your behalf.",
		}}},
		PasswordCredentials: []PasswordCredential{newPassword()},
	}
}

// Ids of Microsoft Graph's delegated permissions and application roles, the same in every tenant.
//
// https://learn.microsoft.com/graph/permissions-reference
//
//nolint:gosec // ids, not credentials
const (
	graphUserRead     = "e1fe6dd8-ba31-4d61-89e7-88639da4683d"
	graphUserReadAll  = "a154be20-db9c-4678-8ab7-66f6cc099a59"
	graphGroupReadAll = "5f8c59db-677d-491f-a6b8-5f174b11ec1d"
	graphMemberRead   = "bc024368-1153-4739-b217-4326f2e966d0"
	graphAppWrite     = "bdfbf15f-ee85-4955-8675-146e8e5296b5"
	graphGrantWrite   = "41ce6ca6-6826-4807-84f1-1c82854f7ee5"
	graphDirectory    = "06da0dbc-49e2-44d2-8312-53f166ab848a"
	graphRoleWrite    = "84bccea3-f856-4a8a-967b-dbe0a3d53a64"
	graphAppRead      = "c79f8feb-a9db-4090-85f9-90d820caa0eb"
	graphEmail        = "64a6cdd6-aab1-4aaf-94b8-3cc8405e90d0"
	graphOffline      = "7427e0e9-2fba-42fe-b0c0-848c9e6a8182"
	graphOpenID       = "37f7f235-527c-4136-accd-4a02d197296e"
	graphProfile      = "14dad69e-099b-42c9-810b-d002981feec1"
	graphMailRead     = "570282fd-fa5c-430d-a7fd-fc8dc98a9dca"
	graphCalendars    = "465a38f9-76ea-45b9-9f34-9e8b0d4b0b42"
	graphFilesRead    = "10465720-29dd-4523-a11a-6a75c743c9d9"
	graphFilesReadAll = "df85f4d6-205c-4ac5-a5ea-6bf408dba283"
	graphSitesReadAll = "205e70e5-aba6-4c52-a976-6d2d46c48043"

	graphUserReadAllRole    = "df021288-bdef-4463-88db-98f22de89214"
	graphGroupMemberAllRole = "98830695-27a2-44f7-8c18-0c3ebc9698f6"
	graphDirectoryReadRole  = "7ab1d382-f21e-4acd-a863-ba3e13f7da61"
)

func microsoftGraph() *Application {
	graph := &Application{
		AppID: client(entra.GraphAppID), DisplayName: "Microsoft Graph", Foreign: true, SignInAudience: "AzureADMultipleOrgs",
		IdentifierURIs: []string{"https://graph.microsoft.com"},
	}
	for _, s := range []struct{ id, value, kind string }{
		{graphUserRead, "User.Read", "User"},
		{graphEmail, "email", "User"},
		{graphOffline, "offline_access", "User"},
		{graphOpenID, "openid", "User"},
		{graphProfile, "profile", "User"},
		{graphMailRead, "Mail.Read", "User"}, // of these five there are tokens; what they open is not there
		{graphCalendars, "Calendars.Read", "User"},
		{graphFilesRead, "Files.Read", "User"},
		{graphFilesReadAll, "Files.Read.All", "User"},
		{graphSitesReadAll, "Sites.Read.All", "User"},
		{graphUserReadAll, "User.Read.All", "Admin"},
		{graphGroupReadAll, "Group.Read.All", "Admin"},
		{graphMemberRead, "GroupMember.Read.All", "Admin"},
		{graphAppWrite, "Application.ReadWrite.All", "Admin"},
		{graphGrantWrite, "DelegatedPermissionGrant.ReadWrite.All", "Admin"},
		{graphDirectory, "Directory.Read.All", "Admin"},
		{graphRoleWrite, "AppRoleAssignment.ReadWrite.All", "Admin"},
		{graphAppRead, "Application.Read.All", "Admin"},
	} {
		graph.API.Scopes = append(graph.API.Scopes, PermissionScope{
			ID: s.id, Value: s.value, Type: s.kind, IsEnabled: true, AdminConsentDisplayName: s.value, UserConsentDisplayName: s.value,
		})
	}
	for _, r := range []struct{ id, value string }{
		{graphUserReadAllRole, "User.Read.All"},
		{graphGroupMemberAllRole, "GroupMember.Read.All"},
		{graphDirectoryReadRole, "Directory.Read.All"},
		{"1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9", "Application.ReadWrite.All"},
		{"06b708a9-e830-4db3-a914-8e69da51d44f", "AppRoleAssignment.ReadWrite.All"},
	} {
		graph.AppRoles = append(graph.AppRoles, AppRole{ID: r.id, Value: r.value, DisplayName: r.value, AllowedMemberTypes: []string{"Application"}, IsEnabled: true})
	}
	return graph
}

// addContosoConsents gives what the set-up of the blog post gives: an administrator's consent for the API to search as
// the person. The search service itself may read who is in which group.
func addContosoConsents(d *Directory) error {
	api, search, graph := client(ContosoAPI), client(entra.SearchAppID), client(entra.GraphAppID)
	var everyone identity.ObjectID
	errs := []error{
		consentToTools(d),
		d.Consent(api, search, everyone, "user_impersonation"),
		d.Consent(api, graph, everyone, "User.Read", "GroupMember.Read.All"),
		d.Consent(client(ContosoWebClient), graph, everyone, "User.Read", "openid", "profile", "email", "offline_access"),
	}
	for _, role := range []string{graphUserReadAllRole, graphGroupMemberAllRole} {
		errs = append(errs, d.Assign(&RoleAssignment{AppRoleID: role, PrincipalID: d.PrincipalOf(search).ID, ResourceID: d.PrincipalOf(graph).ID}))
	}
	return errors.Join(errs...)
}

// newPassword makes a client secret of 40 characters, good until the end of this century.
func newPassword() PasswordCredential {
	text := "l0~" + rand.Text() + rand.Text()[:11]
	return PasswordCredential{
		KeyID: newGUID(), DisplayName: "local", Hint: text[:3], Secret: identity.NewSecret(text),
		Start: time.Date(2026, time.January, 5, 9, 0, 0, 0, time.UTC), End: time.Date(2099, time.December, 31, 0, 0, 0, 0, time.UTC),
	}
}
