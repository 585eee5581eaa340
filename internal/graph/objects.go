package graph

import "time"

// The objects of Graph, with the properties that are used here. A property without a value is not sent; see the
// documentation of each for which are read-only.

// Organization is a tenant: GET /organization.
type Organization struct {
	ID              string           `json:"id"`
	DisplayName     string           `json:"displayName"`
	VerifiedDomains []VerifiedDomain `json:"verifiedDomains"`
}

// VerifiedDomain is a domain name of a tenant.
type VerifiedDomain struct {
	Name      string `json:"name"`
	IsDefault bool   `json:"isDefault"`
	IsInitial bool   `json:"isInitial"`
}

// User is a person: GET /me, /users, /users/{id}.
type User struct {
	ID                string `json:"id"`
	DisplayName       string `json:"displayName"`
	UserPrincipalName string `json:"userPrincipalName"`
	Mail              string `json:"mail"`
	AccountEnabled    *bool  `json:"accountEnabled,omitempty"`
}

// Group is a group: GET /groups.
type Group struct {
	ID          string `json:"id"`
	DisplayName string `json:"displayName"`
}

// Application is an app registration: /applications.
//
// https://learn.microsoft.com/graph/api/resources/application
type Application struct {
	ID                     string                   `json:"id,omitempty"`    // object id
	AppID                  string                   `json:"appId,omitempty"` // client id
	DisplayName            string                   `json:"displayName,omitempty"`
	SignInAudience         string                   `json:"signInAudience,omitempty"` // "AzureADMyOrg", "AzureADMultipleOrgs"
	IdentifierURIs         []string                 `json:"identifierUris,omitempty"`
	IsFallbackPublicClient *bool                    `json:"isFallbackPublicClient,omitempty"`
	API                    *APISettings             `json:"api,omitempty"`
	PublicClient           *RedirectSettings        `json:"publicClient,omitempty"`
	Web                    *RedirectSettings        `json:"web,omitempty"`
	SPA                    *RedirectSettings        `json:"spa,omitempty"`
	RequiredResourceAccess []RequiredResourceAccess `json:"requiredResourceAccess,omitempty"`
	OptionalClaims         *OptionalClaims          `json:"optionalClaims,omitempty"`
	AppRoles               []AppRole                `json:"appRoles,omitempty"`
	PasswordCredentials    []PasswordCredential     `json:"passwordCredentials,omitempty"`
	KeyCredentials         []KeyCredential          `json:"keyCredentials,omitempty"`
	GroupMembershipClaims  string                   `json:"groupMembershipClaims,omitempty"`
	Tags                   []string                 `json:"tags,omitempty"`
	Notes                  string                   `json:"notes,omitempty"`
}

// APISettings is the property api of an application.
type APISettings struct {
	RequestedAccessTokenVersion *int               `json:"requestedAccessTokenVersion,omitempty"` // 2, or null and 1
	OAuth2PermissionScopes      []PermissionScope  `json:"oauth2PermissionScopes,omitempty"`
	PreAuthorizedApplications   []PreAuthorizedApp `json:"preAuthorizedApplications,omitempty"`
	KnownClientApplications     []string           `json:"knownClientApplications,omitempty"`
}

// PermissionScope is a delegated permission that an API offers.
type PermissionScope struct {
	ID                      string `json:"id"`
	Value                   string `json:"value"` // short name, as in the claim scp
	Type                    string `json:"type"`  // "User" or "Admin": who may consent
	IsEnabled               bool   `json:"isEnabled"`
	AdminConsentDisplayName string `json:"adminConsentDisplayName,omitempty"`
	AdminConsentDescription string `json:"adminConsentDescription,omitempty"`
	UserConsentDisplayName  string `json:"userConsentDisplayName,omitempty"`
	UserConsentDescription  string `json:"userConsentDescription,omitempty"`
}

// PreAuthorizedApp is a client that needs no consent for some of an API's permissions.
type PreAuthorizedApp struct {
	AppID                  string   `json:"appId"`
	DelegatedPermissionIDs []string `json:"delegatedPermissionIds"`
}

// RedirectSettings are the redirect URIs of the property publicClient, web or spa.
type RedirectSettings struct {
	RedirectURIs []string `json:"redirectUris"`
	LogoutURL    string   `json:"logoutUrl,omitempty"` // web alone
}

// RequiredResourceAccess says which permissions of an API an application asks for.
type RequiredResourceAccess struct {
	ResourceAppID  string           `json:"resourceAppId"`
	ResourceAccess []ResourceAccess `json:"resourceAccess"`
}

// ResourceAccess is one permission: its id, and "Scope" (delegated) or "Role" (application).
type ResourceAccess struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// OptionalClaims are the claims that tokens hold on request.
type OptionalClaims struct {
	AccessToken []OptionalClaim `json:"accessToken,omitempty"`
	IDToken     []OptionalClaim `json:"idToken,omitempty"`
	SAML2Token  []OptionalClaim `json:"saml2Token,omitempty"`
}

// OptionalClaim is one of them.
type OptionalClaim struct {
	Name                 string   `json:"name"`
	Source               *string  `json:"source,omitempty"` // "user" for extension attributes
	Essential            bool     `json:"essential"`
	AdditionalProperties []string `json:"additionalProperties"`
}

// AppRole is an application role that an API offers.
type AppRole struct {
	ID                 string   `json:"id"`
	Value              string   `json:"value"`
	DisplayName        string   `json:"displayName"`
	Description        string   `json:"description"`
	AllowedMemberTypes []string `json:"allowedMemberTypes"` // "User", "Application"
	IsEnabled          bool     `json:"isEnabled"`
}

// PasswordCredential is a client secret. The secret itself comes once, in the answer of addPassword: see [NewPassword].
type PasswordCredential struct {
	KeyID         string     `json:"keyId,omitempty"`
	DisplayName   string     `json:"displayName,omitempty"`
	Hint          string     `json:"hint,omitempty"`
	StartDateTime *time.Time `json:"startDateTime,omitempty"`
	EndDateTime   *time.Time `json:"endDateTime,omitempty"`
}

// KeyCredential is a certificate of an application.
type KeyCredential struct {
	KeyID               string     `json:"keyId,omitempty"`
	DisplayName         string     `json:"displayName,omitempty"`
	Type                string     `json:"type"`          // "AsymmetricX509Cert"
	Usage               string     `json:"usage"`         // "Verify"
	Key                 []byte     `json:"key,omitempty"` // DER; base64 on the wire
	CustomKeyIdentifier string     `json:"customKeyIdentifier,omitempty"`
	StartDateTime       *time.Time `json:"startDateTime,omitempty"`
	EndDateTime         *time.Time `json:"endDateTime,omitempty"`
}

// ServicePrincipal is an application within a tenant: /servicePrincipals.
type ServicePrincipal struct {
	ID                        string            `json:"id,omitempty"` // object id: the oid of its tokens
	AppID                     string            `json:"appId,omitempty"`
	DisplayName               string            `json:"displayName,omitempty"`
	ServicePrincipalNames     []string          `json:"servicePrincipalNames,omitempty"`
	OAuth2PermissionScopes    []PermissionScope `json:"oauth2PermissionScopes,omitempty"`
	AppRoles                  []AppRole         `json:"appRoles,omitempty"`
	AppRoleAssignmentRequired *bool             `json:"appRoleAssignmentRequired,omitempty"`
	AccountEnabled            *bool             `json:"accountEnabled,omitempty"`
}

// PermissionGrant is consent to delegated permissions: /oauth2PermissionGrants.
type PermissionGrant struct {
	ID          string `json:"id,omitempty"`
	ClientID    string `json:"clientId,omitempty"`    // object id of the client's service principal
	ConsentType string `json:"consentType,omitempty"` // "AllPrincipals" or "Principal"
	PrincipalID string `json:"principalId,omitempty"` // the person, with "Principal"
	ResourceID  string `json:"resourceId,omitempty"`  // object id of the API's service principal
	Scope       string `json:"scope"`                 // short names, separated by spaces
}

// AppRoleAssignment gives an application role: /servicePrincipals/{id}/appRoleAssignments.
type AppRoleAssignment struct {
	ID          string `json:"id,omitempty"`
	PrincipalID string `json:"principalId"`
	ResourceID  string `json:"resourceId"`
	AppRoleID   string `json:"appRoleId"`
}

// FederatedCredential lets another issuer's token stand for a secret: /applications/{id}/federatedIdentityCredentials.
// The match of issuer, subject and audience is case-sensitive.
type FederatedCredential struct {
	ID          string   `json:"id,omitempty"`
	Name        string   `json:"name"`
	Issuer      string   `json:"issuer"`
	Subject     string   `json:"subject"`
	Audiences   []string `json:"audiences"`
	Description string   `json:"description,omitempty"`
}
