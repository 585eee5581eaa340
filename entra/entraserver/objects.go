package entraserver

import (
	"slices"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/identity"
)

// The objects of a tenant carry the JSON names of Microsoft Graph v1.0, so that the directory is its own wire format.
// An object that came out of a [Directory] is shared: whoever wants to change it calls an Update method.
//
// https://learn.microsoft.com/graph/api/resources/application

// Person is a user of the tenant.
type Person struct {
	ID        identity.ObjectID `json:"id"`
	UPN       string            `json:"userPrincipalName"`
	Name      string            `json:"displayName"`
	GivenName string            `json:"givenName,omitempty"`
	Surname   string            `json:"surname,omitempty"`
	Mail      string            `json:"mail,omitempty"`
	Enabled   bool              `json:"accountEnabled"`
	Password  identity.Secret   `json:"-"`
	Roles     []string          `json:"-"` // template ids of directory roles (claim wids), such as [GlobalAdministrator]
}

// ShortName returns the part of the UPN before the @: "alice".
func (p *Person) ShortName() string {
	name, _, _ := strings.Cut(p.UPN, "@")
	return name
}

// IsAdministrator reports whether the person may consent for the whole tenant.
func (p *Person) IsAdministrator() bool { return slices.Contains(p.Roles, GlobalAdministrator) }

// GlobalAdministrator is the template id of that directory role, the same in every tenant.
const GlobalAdministrator = "62e90394-69f5-4237-9190-012177145e10"

// Group is a security group. Who is in it is asked of the [Directory].
type Group struct {
	ID              identity.ObjectID `json:"id"`
	Name            string            `json:"displayName"`
	MailNickname    string            `json:"mailNickname,omitempty"`
	SecurityEnabled bool              `json:"securityEnabled"`
}

// Application is an app registration. What acts in the tenant on its behalf is its [ServicePrincipal].
type Application struct {
	ID                     identity.ObjectID        `json:"id"`
	AppID                  identity.ClientID        `json:"appId"`
	DisplayName            string                   `json:"displayName"`
	Created                time.Time                `json:"createdDateTime"`
	SignInAudience         string                   `json:"signInAudience"` // "AzureADMyOrg", "AzureADMultipleOrgs", …
	IdentifierURIs         []string                 `json:"identifierUris"`
	IsFallbackPublicClient bool                     `json:"isFallbackPublicClient"` // allows public client flows: device code, ROPC
	API                    API                      `json:"api"`
	AppRoles               []AppRole                `json:"appRoles"`
	Web                    Web                      `json:"web"`
	PublicClient           RedirectURIs             `json:"publicClient"`
	SPA                    RedirectURIs             `json:"spa"`
	RequiredResourceAccess []RequiredResourceAccess `json:"requiredResourceAccess"`
	OptionalClaims         *OptionalClaims          `json:"optionalClaims"`
	GroupMembershipClaims  *string                  `json:"groupMembershipClaims"` // nil, "None", "SecurityGroup", "All"
	PasswordCredentials    []PasswordCredential     `json:"passwordCredentials"`
	KeyCredentials         []KeyCredential          `json:"keyCredentials"`
	Tags                   []string                 `json:"tags"` // of one's own choice; the service principal shows them, too

	FederatedCredentials []FederatedCredential `json:"-"` // a collection of its own in Graph
	Foreign              bool                  `json:"-"` // Microsoft's: known by its service principal only
	Disabled             bool                  `json:"-"`
	AgentBlueprint       identity.ClientID     `json:"-"` // of an agent identity: the blueprint it was made from (claim xms_par_app_azp)
}

// API is what an application offers to others.
type API struct {
	RequestedAccessTokenVersion *int                `json:"requestedAccessTokenVersion"` // nil and 1: v1 tokens; 2: v2 tokens
	Scopes                      []PermissionScope   `json:"oauth2PermissionScopes"`
	PreAuthorized               []PreAuthorized     `json:"preAuthorizedApplications"`
	KnownClientApplications     []identity.ClientID `json:"knownClientApplications"`
}

// PermissionScope is a delegated permission.
type PermissionScope struct {
	ID                      string `json:"id"`
	Value                   string `json:"value"` // the short name, as in the claim scp
	Type                    string `json:"type"`  // "User": everyone may consent; "Admin"
	IsEnabled               bool   `json:"isEnabled"`
	AdminConsentDisplayName string `json:"adminConsentDisplayName"`
	AdminConsentDescription string `json:"adminConsentDescription"`
	UserConsentDisplayName  string `json:"userConsentDisplayName"`
	UserConsentDescription  string `json:"userConsentDescription"`
}

// AppRole is a role of an application, for people ("User") or applications ("Application").
type AppRole struct {
	ID                 string   `json:"id"`
	Value              string   `json:"value"`
	DisplayName        string   `json:"displayName"`
	Description        string   `json:"description"`
	AllowedMemberTypes []string `json:"allowedMemberTypes"`
	IsEnabled          bool     `json:"isEnabled"`
}

// PreAuthorized lets a client have permissions of the API without anybody's consent.
type PreAuthorized struct {
	AppID                  identity.ClientID `json:"appId"`
	DelegatedPermissionIDs []string          `json:"delegatedPermissionIds"`
}

// Web holds what concerns web applications.
type Web struct {
	RedirectURIs []string       `json:"redirectUris"`
	LogoutURL    *string        `json:"logoutUrl"`
	Implicit     ImplicitGrants `json:"implicitGrantSettings"`
}

// ImplicitGrants says which tokens /authorize may hand out directly.
type ImplicitGrants struct {
	IDToken     bool `json:"enableIdTokenIssuance"`
	AccessToken bool `json:"enableAccessTokenIssuance"`
}

// RedirectURIs is the list of one platform.
type RedirectURIs struct {
	RedirectURIs []string `json:"redirectUris"`
}

// RequiredResourceAccess lists the permissions that an application asks of one resource.
type RequiredResourceAccess struct {
	ResourceAppID  identity.ClientID `json:"resourceAppId"`
	ResourceAccess []ResourceAccess  `json:"resourceAccess"`
}

// ResourceAccess is one permission: Type "Scope" (delegated) or "Role" (application).
type ResourceAccess struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// OptionalClaims lists the claims that an application wants besides the usual ones.
type OptionalClaims struct {
	IDToken     []OptionalClaim `json:"idToken"`
	AccessToken []OptionalClaim `json:"accessToken"`
	SAML2Token  []OptionalClaim `json:"saml2Token"`
}

// OptionalClaim is one of them: "idtyp", "xms_cc", "groups", "upn", …
type OptionalClaim struct {
	Name                 string   `json:"name"`
	Source               *string  `json:"source"`
	Essential            bool     `json:"essential"`
	AdditionalProperties []string `json:"additionalProperties"`
}

// PasswordCredential is a client secret.
type PasswordCredential struct {
	KeyID       string          `json:"keyId"`
	DisplayName string          `json:"displayName"`
	Hint        string          `json:"hint"`
	Start       time.Time       `json:"startDateTime"`
	End         time.Time       `json:"endDateTime"`
	Secret      identity.Secret `json:"-"`
}

// KeyCredential is a certificate with which an application signs its assertions.
type KeyCredential struct {
	KeyID       string    `json:"keyId"`
	DisplayName string    `json:"displayName"`
	Type        string    `json:"type"`  // "AsymmetricX509Cert"
	Usage       string    `json:"usage"` // "Verify"
	Start       time.Time `json:"startDateTime"`
	End         time.Time `json:"endDateTime"`
	Key         []byte    `json:"key,omitempty"` // DER of the certificate
}

// FederatedCredential trusts tokens of another issuer in place of a secret.
type FederatedCredential struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Issuer      string   `json:"issuer"`
	Subject     string   `json:"subject"`
	Audiences   []string `json:"audiences"`
	Description string   `json:"description,omitempty"`
}

// ServicePrincipal is an application, or a managed identity, as it acts in this tenant. Its id is the oid of app-only
// tokens. Scopes, roles and names are those of its application.
type ServicePrincipal struct {
	ID                        identity.ObjectID `json:"id"`
	AppID                     identity.ClientID `json:"appId"`
	DisplayName               string            `json:"displayName"`
	Type                      string            `json:"servicePrincipalType"` // "Application", "ManagedIdentity"
	AccountEnabled            bool              `json:"accountEnabled"`
	AppRoleAssignmentRequired bool              `json:"appRoleAssignmentRequired"` // else everyone may use it (AADSTS50105)
}

// PermissionGrant is a consent: the client may ask the resource for these delegated permissions.
//
// https://learn.microsoft.com/graph/api/resources/oauth2permissiongrant
type PermissionGrant struct {
	ID          string            `json:"id"`
	ClientID    identity.ObjectID `json:"clientId"` // service principals, both
	ResourceID  identity.ObjectID `json:"resourceId"`
	ConsentType string            `json:"consentType"` // "AllPrincipals" (an administrator's), "Principal"
	PrincipalID identity.ObjectID `json:"principalId,omitzero"`
	Scope       string            `json:"scope"` // short names, separated by spaces
}

// RoleAssignment gives an application role to a person, a group or a service principal.
type RoleAssignment struct {
	ID            string            `json:"id"`
	AppRoleID     string            `json:"appRoleId"` // 000… for the default role
	PrincipalID   identity.ObjectID `json:"principalId"`
	PrincipalType string            `json:"principalType"` // "User", "Group", "ServicePrincipal"
	ResourceID    identity.ObjectID `json:"resourceId"`    // the service principal that has the role
}

// DefaultRole is the appRoleId of an assignment without a role.
const DefaultRole = "00000000-0000-0000-0000-000000000000"

// IsPublic reports whether an application is a public client: it has no credential of its own and is allowed, or
// registered, to work without one.
func (a *Application) IsPublic() bool {
	if len(a.PasswordCredentials)+len(a.KeyCredentials)+len(a.FederatedCredentials) > 0 {
		return false
	}
	return a.IsFallbackPublicClient || len(a.PublicClient.RedirectURIs)+len(a.SPA.RedirectURIs) > 0
}

// TokenVersion returns the format of access tokens for this API: 1 or 2.
func (a *Application) TokenVersion() int {
	if v := a.API.RequestedAccessTokenVersion; v != nil && *v == 2 {
		return 2
	}
	return 1
}

// Scope returns the delegated permission by its short name, which Entra compares without regard to case.
func (a *Application) Scope(value string) (PermissionScope, bool) {
	i := slices.IndexFunc(a.API.Scopes, func(s PermissionScope) bool { return strings.EqualFold(s.Value, value) })
	if i < 0 || !a.API.Scopes[i].IsEnabled {
		return PermissionScope{}, false
	}
	return a.API.Scopes[i], true
}

// ResourceURI returns the first App ID URI, or the application id where there is none.
func (a *Application) ResourceURI() string {
	if len(a.IdentifierURIs) > 0 {
		return a.IdentifierURIs[0]
	}
	return a.AppID.String()
}

// Wants returns the optional claim of access tokens for this API, if it asks for it.
func (a *Application) Wants(claim string) (OptionalClaim, bool) {
	if a.OptionalClaims == nil {
		return OptionalClaim{}, false
	}
	i := slices.IndexFunc(a.OptionalClaims.AccessToken, func(c OptionalClaim) bool { return c.Name == claim })
	if i < 0 {
		return OptionalClaim{}, false
	}
	return a.OptionalClaims.AccessToken[i], true
}

// Clone returns a copy that may be changed.
func (a *Application) Clone() *Application {
	c := *a
	c.IdentifierURIs = slices.Clone(a.IdentifierURIs)
	c.API.Scopes = slices.Clone(a.API.Scopes)
	c.API.PreAuthorized = cloneEach(a.API.PreAuthorized, func(p *PreAuthorized) {
		p.DelegatedPermissionIDs = slices.Clone(p.DelegatedPermissionIDs)
	})
	c.API.KnownClientApplications = slices.Clone(a.API.KnownClientApplications)
	c.AppRoles = cloneEach(a.AppRoles, func(r *AppRole) { r.AllowedMemberTypes = slices.Clone(r.AllowedMemberTypes) })
	c.Web.RedirectURIs = slices.Clone(a.Web.RedirectURIs)
	c.PublicClient.RedirectURIs = slices.Clone(a.PublicClient.RedirectURIs)
	c.SPA.RedirectURIs = slices.Clone(a.SPA.RedirectURIs)
	c.RequiredResourceAccess = cloneEach(a.RequiredResourceAccess, func(r *RequiredResourceAccess) {
		r.ResourceAccess = slices.Clone(r.ResourceAccess)
	})
	if a.OptionalClaims != nil {
		claims := *a.OptionalClaims
		claims.IDToken, claims.AccessToken, claims.SAML2Token = slices.Clone(claims.IDToken), slices.Clone(claims.AccessToken), slices.Clone(claims.SAML2Token)
		c.OptionalClaims = &claims
	}
	c.PasswordCredentials = slices.Clone(a.PasswordCredentials)
	c.Tags = slices.Clone(a.Tags)
	c.KeyCredentials = slices.Clone(a.KeyCredentials)
	c.FederatedCredentials = cloneEach(a.FederatedCredentials, func(f *FederatedCredential) { f.Audiences = slices.Clone(f.Audiences) })
	return &c
}

func cloneEach[T any](items []T, deepen func(*T)) []T {
	out := slices.Clone(items)
	for i := range out {
		deepen(&out[i])
	}
	return out
}
