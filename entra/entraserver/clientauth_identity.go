package entraserver

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// Managed identities are service principals without an application. In Azure, a machine asks an address of its own for
// their tokens; here that address is this server's. azidentity finds it by IDENTITY_ENDPOINT=URL/msi/token with any
// IDENTITY_HEADER (App Service); those for JavaScript and Python also by AZURE_POD_IDENTITY_AUTHORITY_HOST=URL (virtual
// machines), where Go's has a link-local address written into it.
//
// https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
const (
	appServiceVersion = "2019-08-01"
	identityTokenLife = 24 * time.Hour
)

func (s *Server) identityRoutes() map[string]endpoint {
	return map[string]endpoint{
		"GET /msi/token":                      {name: "msi", handle: s.appServiceToken},
		"GET /metadata/identity/oauth2/token": {name: "imds", handle: s.imdsToken},
	}
}

// appServiceToken answers as Azure App Service and Functions do.
func (s *Server) appServiceToken(w http.ResponseWriter, c *call) error {
	query := c.URL.Query()
	refused := func(status int, message string) error {
		c.record.Outcome = message
		writeJSON(w, status, map[string]any{"statusCode": status, "message": message})
		return nil
	}
	if c.Header.Get("X-Identity-Header") == "" || c.Header.Get("Origin") != "" {
		return refused(http.StatusUnauthorized, "the header X-IDENTITY-HEADER is missing")
	}
	if query.Get("api-version") != appServiceVersion {
		return refused(http.StatusBadRequest, "the local Entra knows api-version "+appServiceVersion+" alone")
	}
	sp := s.managedIdentity(query, "client_id", "principal_id")
	if sp == nil {
		return refused(http.StatusBadRequest, "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.")
	}
	token, expires, err := s.identityToken(c, sp, query.Get("resource"))
	if e, ok := errors.AsType[*entra.Error](err); ok {
		return refused(http.StatusBadRequest, e.Description)
	} else if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]string{
		"access_token": token, "client_id": sp.AppID.String(), "expires_on": strconv.FormatInt(expires.Unix(), 10),
		"resource": query.Get("resource"), "token_type": "Bearer",
	})
	return nil
}

// imdsToken answers as the instance metadata service of virtual machines does. The header Metadata and the lack of
// X-Forwarded-For show that no proxy was talked into asking.
func (s *Server) imdsToken(w http.ResponseWriter, c *call) error {
	query := c.URL.Query()
	refused := func(code, message string) error {
		c.record.Outcome = message
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": code, "error_description": message})
		return nil
	}
	switch {
	case c.Header.Get("Metadata") != "true":
		return refused(invalidRequest, "Required metadata header not specified")
	case c.Header.Get("X-Forwarded-For") != "" || c.Header.Get("Origin") != "":
		return refused(invalidRequest, "Requests by way of a proxy or a web page are refused")
	case query.Get("api-version") == "":
		return refused(invalidRequest, "Required query variable 'api-version' is missing")
	case query.Get("resource") == "":
		return refused(invalidRequest, "Required query variable 'resource' is missing")
	}
	sp := s.managedIdentity(query, "client_id", "object_id")
	if sp == nil {
		return refused(invalidRequest, "Identity not found")
	}
	token, expires, err := s.identityToken(c, sp, query.Get("resource"))
	if e, ok := errors.AsType[*entra.Error](err); ok {
		return refused(e.Code, e.Description)
	} else if err != nil {
		return err
	}
	life := strconv.Itoa(int(identityTokenLife.Seconds()))
	writeJSON(w, http.StatusOK, map[string]string{
		"access_token": token, "client_id": sp.AppID.String(), "expires_in": life, "ext_expires_in": life,
		"expires_on": strconv.FormatInt(expires.Unix(), 10), "not_before": strconv.FormatInt(c.now.Add(-backdate).Unix(), 10),
		"resource": query.Get("resource"), "token_type": "Bearer",
	})
	return nil
}

// managedIdentity finds the identity that a request names by client or object id; the only one when it names none.
func (s *Server) managedIdentity(query url.Values, clientName, objectName string) *ServicePrincipal {
	var found []*ServicePrincipal
	for _, sp := range s.dir.ServicePrincipals() {
		byClient, byObject := query.Get(clientName), query.Get(objectName)
		if sp.Type == "ManagedIdentity" && sp.AccountEnabled && (byClient == "" || equalFold(byClient, sp.AppID.String())) && (byObject == "" || equalFold(byObject, sp.ID.String())) {
			found = append(found, sp)
		}
	}
	if len(found) != 1 || query.Has("mi_res_id") || query.Has("msi_res_id") {
		return nil
	}
	return found[0]
}

// identityToken issues a token of a managed identity, good for a day.
func (s *Server) identityToken(c *call, sp *ServicePrincipal, resource string) (string, time.Time, error) {
	if resource == "" {
		return "", time.Time{}, refuse(900144, "resource")
	}
	want, err := s.parseScopes(strings.TrimSpace(resource) + "/.default")
	if err != nil {
		return "", time.Time{}, err
	}
	c.tenant = tenantRef{s.dir.Tenant().String(), s.dir.Tenant()}
	self := clientAuth{&Application{AppID: sp.AppID, DisplayName: sp.DisplayName}, proofAssertion}
	token, err := s.appToken(c, self, want, identityTokenLife)
	return token, c.now.Add(identityTokenLife), err
}

// settleIn tells the directory where the tenant lives: Microsoft Graph is also at this host, and the sample's managed
// identity is a federated credential of the sample's API, with this server as the issuer.
func (s *Server) settleIn() error {
	graph := client(entra.GraphAppID)
	if s.dir.Application(graph) != nil {
		if err := s.dir.UpdateApplication(graph, func(a *Application) error {
			if !slices.Contains(a.IdentifierURIs, s.config.URL) {
				a.IdentifierURIs = append(a.IdentifierURIs, s.config.URL)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	if s.dir.ServicePrincipal(object(ContosoIdentityObject)) == nil || s.dir.Application(client(ContosoAPI)) == nil {
		return nil
	}
	return s.dir.UpdateApplication(client(ContosoAPI), func(a *Application) error {
		a.FederatedCredentials = slices.DeleteFunc(a.FederatedCredentials, func(f FederatedCredential) bool { return f.Name == "mcp-server-identity" })
		a.FederatedCredentials = append(a.FederatedCredentials, FederatedCredential{
			ID: newGUID(), Name: "mcp-server-identity", Issuer: s.self().issuer(2, s.dir.Tenant().String()),
			Subject: ContosoIdentityObject, Audiences: []string{"api://AzureADTokenExchange"},
		})
		return nil
	})
}

// Microsoft's own applications that set-up programs and workloads use.
const (
	tokenExchangeID    = "fb60f99c-7a34-4190-8149-302f77469936" //nolint:gosec // a public id, of the AAD Token Exchange Endpoint
	GraphCommandLineID = "14d82eec-204b-4c2f-b7e8-296a70dab67e" // Microsoft Graph Command Line Tools: a public client
	AzureCLIID         = "04b07795-8ddb-461a-bbee-02f9e1bf7b46" // Microsoft Azure CLI: a public client
)

// tokenExchange is the resource whose tokens stand for a secret; they are of version 2.
func tokenExchange() *Application {
	return &Application{
		AppID: client(tokenExchangeID), DisplayName: "AAD Token Exchange Endpoint", Foreign: true, SignInAudience: "AzureADMultipleOrgs",
		IdentifierURIs: []string{"api://AzureADTokenExchange"}, API: API{RequestedAccessTokenVersion: new(2)},
	}
}

// commandLines are what administrators sign in to when a program sets the tenant up by Microsoft Graph.
func commandLines() []*Application {
	tool := func(id, name string) *Application {
		return &Application{
			AppID: client(id), DisplayName: name, Foreign: true, SignInAudience: "AzureADMultipleOrgs",
			IsFallbackPublicClient: true,
			PublicClient:           RedirectURIs{[]string{"http://localhost", "https://login.microsoftonline.com/common/oauth2/nativeclient"}},
		}
	}
	return []*Application{tool(GraphCommandLineID, "Microsoft Graph Command Line Tools"), tool(AzureCLIID, "Microsoft Azure CLI")}
}

// consentToTools is what an administrator has agreed to before: writing takes a directory role besides.
func consentToTools(d *Directory) error {
	var everyone identity.ObjectID
	var errs []error
	for _, tool := range []string{GraphCommandLineID, AzureCLIID} {
		errs = append(errs, d.Consent(client(tool), client(entra.GraphAppID), everyone,
			"User.Read", "openid", "profile", "offline_access", "Directory.Read.All", "Application.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All", "AppRoleAssignment.ReadWrite.All"))
	}
	return errors.Join(errs...)
}
