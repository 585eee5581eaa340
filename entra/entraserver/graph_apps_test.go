package entraserver

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/graph"
)

// overTLS serves s and returns a client of Graph for the administrator.
func overTLS(t *testing.T, s *Server) *graph.Client {
	t.Helper()
	web := httptest.NewTLSServer(s)
	t.Cleanup(web.Close)
	s.config.URL = web.URL // so that links lead back here
	s.base, _ = url.Parse(web.URL)
	token := graphBearer(t, s, Adele, adminScopes, "")
	c, err := graph.New(graph.Config{
		Endpoint: web.URL, HTTPClient: web.Client(),
		Token: func(context.Context) (identity.Secret, error) { return identity.NewSecret(token), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The set-up of the blog post, call by call (entra-wire.md §5): afterwards the API may search on behalf of everyone.
func TestGraphSetsUpTheChain(t *testing.T) {
	s := newTestServer(t, nil)
	c := overTLS(t, s)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			refused, _ := errors.AsType[*graph.Error](err)
			t.Fatalf("%v %+v", err, refused)
		}
	}
	yes, two := true, 2

	api, err := graph.Post[graph.Application](ctx, c, "/applications", graph.Application{DisplayName: "new-server", SignInAudience: "AzureADMyOrg"})
	must(err)
	apiSP, err := graph.Post[graph.ServicePrincipal](ctx, c, "/servicePrincipals", graph.ServicePrincipal{AppID: api.AppID})
	must(err)
	const scope = "11111111-2222-4333-8444-555555555555"
	must(c.Patch(ctx, "/applications/"+api.ID, graph.Application{
		IdentifierURIs: []string{"api://" + api.AppID},
		API: &graph.APISettings{RequestedAccessTokenVersion: &two, OAuth2PermissionScopes: []graph.PermissionScope{{
			ID: scope, Value: "execute", Type: "User", IsEnabled: true, AdminConsentDisplayName: "x", AdminConsentDescription: "x",
		}}},
		RequiredResourceAccess: []graph.RequiredResourceAccess{{ResourceAppID: entra.SearchAppID, ResourceAccess: []graph.ResourceAccess{{ID: SearchScope, Type: "Scope"}}}},
		OptionalClaims:         &graph.OptionalClaims{AccessToken: []graph.OptionalClaim{{Name: "idtyp", AdditionalProperties: []string{"include_user_token"}}}},
	}))
	front, err := graph.Post[graph.Application](ctx, c, "/applications", graph.Application{
		DisplayName: "new-client", SignInAudience: "AzureADMyOrg", IsFallbackPublicClient: &yes, PublicClient: &graph.RedirectSettings{RedirectURIs: []string{"http://localhost"}},
		RequiredResourceAccess: []graph.RequiredResourceAccess{{ResourceAppID: api.AppID, ResourceAccess: []graph.ResourceAccess{{ID: scope, Type: "Scope"}}}},
	})
	must(err)
	must(c.Patch(ctx, "/applications/"+api.ID, graph.Application{API: &graph.APISettings{
		PreAuthorizedApplications: []graph.PreAuthorizedApp{{AppID: front.AppID, DelegatedPermissionIDs: []string{scope}}},
		KnownClientApplications:   []string{front.AppID},
	}}))
	secret, err := c.AddPassword(ctx, api.ID, "dev", time.Now().AddDate(0, 6, 0))
	must(err)
	fic, err := graph.Post[graph.FederatedCredential](ctx, c, "/applications/"+api.ID+"/federatedIdentityCredentials", graph.FederatedCredential{
		Name: "mi", Issuer: "https://login.example/t/v2.0", Subject: "s", Audiences: []string{"api://AzureADTokenExchange"},
	})
	must(err)
	search, err := graph.Get[graph.ServicePrincipal](ctx, c, graph.ByAppID("servicePrincipals", entra.SearchAppID), url.Values{"$select": {"id,oauth2PermissionScopes"}})
	must(err)
	if len(search.OAuth2PermissionScopes) != 1 || search.OAuth2PermissionScopes[0].Value != "user_impersonation" || search.DisplayName != "" {
		t.Fatalf("got %+v", search)
	}
	grant, err := graph.Post[graph.PermissionGrant](ctx, c, "/oauth2PermissionGrants", graph.PermissionGrant{ClientID: apiSP.ID, ConsentType: "AllPrincipals", ResourceID: search.ID, Scope: "user_impersonation"})
	must(err)

	// What came of it, in the directory that tokens are issued from.
	id := client(api.AppID)
	app := s.dir.Application(id)
	if app.TokenVersion() != 2 || len(app.API.Scopes) != 1 || len(app.API.PreAuthorized) != 1 || !slices.Equal(app.IdentifierURIs, []string{"api://" + api.AppID}) {
		t.Errorf("the second PATCH lost what the first one set: %+v", app)
	}
	if got := s.dir.ClientSecret(id).Reveal(); got != secret.Secret.Reveal() || len(got) < 32 {
		t.Error("the secret is not the application's")
	}
	if got := s.dir.Granted(id, client(entra.SearchAppID), object(Carol)); !slices.Equal(got, []string{"user_impersonation"}) {
		t.Errorf("granted %v", got)
	}
	if got := s.dir.Granted(client(front.AppID), id, object(Carol)); !slices.Equal(got, []string{"execute"}) {
		t.Errorf("pre-authorized for %v", got)
	}
	if len(app.FederatedCredentials) != 1 {
		t.Errorf("got %v", app.FederatedCredentials)
	}

	// And back.
	apps, err := graph.List[graph.Application](ctx, c, "/applications", url.Values{"$filter": {"displayName eq 'new-server'"}}, 10)
	must(err)
	if len(apps) != 1 || len(apps[0].PasswordCredentials) != 1 || apps[0].PasswordCredentials[0].Hint != secret.Hint {
		t.Errorf("got %+v", apps)
	}
	must(c.RemovePassword(ctx, api.ID, secret.KeyID))
	must(c.Delete(ctx, "/applications/"+api.ID+"/federatedIdentityCredentials/"+fic.ID))
	must(c.Patch(ctx, "/oauth2PermissionGrants/"+grant.ID, graph.PermissionGrant{Scope: ""}))
	if got := s.dir.Granted(id, client(entra.SearchAppID), object(Carol)); len(got) != 0 {
		t.Errorf("still granted %v", got)
	}
	must(c.Delete(ctx, "/oauth2PermissionGrants/"+grant.ID))
	must(c.Delete(ctx, graph.ByAppID("applications", api.AppID)))
	if err := c.Delete(ctx, "/applications/"+api.ID); !errors.Is(err, graph.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if s.dir.Application(id) != nil || s.dir.PrincipalOf(id) != nil {
		t.Error("it is still there")
	}
}

func TestGraphGivesRoles(t *testing.T) {
	s := newTestServer(t, nil)
	c := overTLS(t, s)
	ctx := t.Context()
	api, other := s.dir.PrincipalOf(client(ContosoAPI)), s.dir.PrincipalOf(client(ContosoOther))
	role := s.dir.Application(client(ContosoAPI)).AppRoles[0]
	body := graph.AppRoleAssignment{PrincipalID: other.ID.String(), ResourceID: api.ID.String(), AppRoleID: role.ID}
	path := "/servicePrincipals/" + other.ID.String() + "/appRoleAssignments"
	made, err := graph.Post[graph.AppRoleAssignment](ctx, c, path, body)
	if err != nil {
		t.Fatal(err)
	}
	if roles, _ := s.dir.RolesOf(other.ID, client(ContosoAPI)); !slices.Equal(roles, []string{role.Value}) {
		t.Errorf("got %v", roles)
	}
	if _, err = graph.Post[graph.AppRoleAssignment](ctx, c, path, body); err == nil {
		t.Error("a second one was made")
	}
	for _, wrong := range []graph.AppRoleAssignment{
		{PrincipalID: other.ID.String(), ResourceID: api.ID.String(), AppRoleID: SearchScope},
		{PrincipalID: Alice, ResourceID: api.ID.String(), AppRoleID: role.ID},
		{PrincipalID: other.ID.String(), ResourceID: Alice, AppRoleID: role.ID},
	} {
		if _, err = graph.Post[graph.AppRoleAssignment](ctx, c, path, wrong); err == nil {
			t.Errorf("%+v was made", wrong)
		}
	}
	given, err := graph.List[graph.AppRoleAssignment](ctx, c, graph.ByAppID("servicePrincipals", ContosoAPI)+"/appRoleAssignedTo", nil, 10)
	if err != nil || len(given) != 1 || given[0].ID != made.ID {
		t.Errorf("got %v, %v", given, err)
	}
	if err := c.Delete(ctx, path+"/"+made.ID); err != nil {
		t.Error(err)
	}
	if roles, _ := s.dir.RolesOf(other.ID, client(ContosoAPI)); len(roles) != 0 {
		t.Errorf("still has %v", roles)
	}
}

func TestGraphRefusesChanges(t *testing.T) {
	s := newTestServer(t, nil)
	token := graphBearer(t, s, Adele, adminScopes, "")
	api := s.dir.Application(client(ContosoAPI))
	search := s.dir.PrincipalOf(client(entra.SearchAppID)).ID.String()
	apiSP := s.dir.PrincipalOf(client(ContosoAPI)).ID.String()
	app := "/v1.0/applications/" + api.ID.String()
	for _, test := range []struct {
		desc, method, target, body string
		status                     int
		code, message              string
	}{
		{"no name", "POST", "/v1.0/applications", `{}`, 400, "Request_BadRequest", "displayName"},
		{"an unknown property", "POST", "/v1.0/applications", `{"displayName":"x","frobnicate":1}`, 400, "Request_BadRequest", "'frobnicate'"},
		{"an unknown property within", "PATCH", app, `{"api":{"frobnicate":1}}`, 400, "Request_BadRequest", "'frobnicate'"},
		{"of the wrong type", "PATCH", app, `{"identifierUris":"api://x"}`, 400, "Request_BadRequest", "identifierUris"},
		{"not JSON", "PATCH", app, `{`, 400, "Request_BadRequest", "JSON"},
		{"a list", "PATCH", app, `[]`, 400, "Request_BadRequest", ""},
		{"a secret at creation", "POST", "/v1.0/applications", `{"displayName":"x","passwordCredentials":[]}`, 400, "Request_BadRequest", "passwordCredentials"},
		{"its id", "PATCH", app, `{"appId":"` + ContosoOther + `"}`, 400, "Request_BadRequest", "read-only"},
		{"somebody else's App ID URI", "PATCH", app, `{"identifierUris":["api://` + ContosoOther + `"]}`, 400, "Request_MultipleObjectsWithSameKeyValue", "identifierUris"},
		{"an App ID URI that is none", "PATCH", app, `{"identifierUris":["nonsense"]}`, 400, "Request_BadRequest", "valid URI"},
		{"a pre-authorization for nothing", "PATCH", app, `{"api":{"preAuthorizedApplications":[{"appId":"` + ContosoOther + `","delegatedPermissionIds":["` + SearchScope + `"]}]}}`, 400, "InvalidValue", "PreAuthorized"},
		{"a scope without id", "PATCH", app, `{"api":{"oauth2PermissionScopes":[{"value":"x"}]}}`, 400, "Request_BadRequest", "oauth2PermissionScopes"},
		{"Microsoft's application", "PATCH", "/v1.0/applications(appId='" + entra.GraphAppID + "')", `{}`, 404, "Request_ResourceNotFound", ""},
		{"none", "PATCH", "/v1.0/applications/" + Alice, `{}`, 404, "Request_ResourceNotFound", Alice},
		{"a service principal twice", "POST", "/v1.0/servicePrincipals", `{"appId":"` + ContosoAPI + `"}`, 409, "Request_MultipleObjectsWithSameKeyValue", "already in use"},
		{"a service principal of nothing", "POST", "/v1.0/servicePrincipals", `{"appId":"` + Alice + `"}`, 400, "NoBackingApplicationObject", Alice},
		{"a service principal by a name", "GET", "/v1.0/servicePrincipals/mcp-server", ``, 400, "Request_BadRequest", "mcp-server"},
		{"consent twice", "POST", "/v1.0/oauth2PermissionGrants", `{"clientId":"` + apiSP + `","resourceId":"` + search + `","consentType":"AllPrincipals","scope":"x"}`, 409, "Request_MultipleObjectsWithSameKeyValue", "already exists"},
		{"consent for nobody", "POST", "/v1.0/oauth2PermissionGrants", `{"clientId":"` + apiSP + `","resourceId":"` + search + `","consentType":"Principal","scope":"x"}`, 400, "Request_BadRequest", "principalId"},
		{"consent of an application id", "POST", "/v1.0/oauth2PermissionGrants", `{"clientId":"` + ContosoAPI + `","resourceId":"` + search + `","consentType":"AllPrincipals","scope":"x"}`, 404, "Request_ResourceNotFound", ContosoAPI},
		{"no consent", "DELETE", "/v1.0/oauth2PermissionGrants/nonsense", ``, 404, "Request_ResourceNotFound", "nonsense"},
		{"an App ID URI with a slash at its end", "PATCH", app, `{"identifierUris":["https://mcp.contoso.example/"]}`, 400, "Request_BadRequest", "slash"},
		{"a strange App ID URI for v1 tokens", "PATCH", app, `{"identifierUris":["https://mcp.fabrikam.example/mcp"],"api":{"requestedAccessTokenVersion":1}}`, 400, "HostNameNotOnVerifiedDomain", "Failed to add identifier URI"},
		{"no certificate", "PATCH", app, `{"keyCredentials":[{"type":"AsymmetricX509Cert","usage":"Verify"}]}`, 400, "Request_BadRequest", "key"},
		{"federation without a subject", "PATCH", app + "/federatedIdentityCredentials/x", `{"subject":"s"}`, 404, "Request_ResourceNotFound", "x"},
		{"no secret", "POST", app + "/removePassword", `{"keyId":"x"}`, 400, "Request_BadRequest", "keyId"},
		{"a secret that ends before it begins", "POST", app + "/addPassword", `{"passwordCredential":{"endDateTime":"2001-01-01T00:00:00Z"}}`, 400, "Request_BadRequest", "lifetime"},
		{"federation with two audiences", "POST", app + "/federatedIdentityCredentials", `{"name":"a","issuer":"https://a","subject":"s","audiences":["a","b"]}`, 400, "Request_BadRequest", "one audience"},
		{"federation that is not there", "GET", app + "/federatedIdentityCredentials/x", ``, 404, "Request_ResourceNotFound", "x"},
		{"too much", "PATCH", app, `{"displayName":"` + strings.Repeat("x", maxGraphBody) + `"}`, 413, "Request_BadRequest", "large"},
	} {
		status, body := graphDo(t, s, token, test.method, test.target, test.body)
		code, message := errorOf(body)
		if status != test.status || code != test.code || !strings.Contains(message, test.message) {
			t.Errorf("%s: got %d %s %q, want %d %s %q", test.desc, status, code, message, test.status, test.code, test.message)
		}
	}
	if diff := cmp.Diff(api.IdentifierURIs, s.dir.Application(client(ContosoAPI)).IdentifierURIs); diff != "" {
		t.Error("a refused change left traces", diff)
	}
}

// What tenants demand of App ID URIs.
func TestGraphVerifiedDomain(t *testing.T) {
	s := newTestServer(t, nil)
	if err := s.SetPolicies(Policies{AppIDURIs: "some"}); err == nil {
		t.Error("an unknown demand was accepted")
	}
	if err := s.SetPolicies(Policies{AppIDURIs: "verified-domain"}); err != nil {
		t.Fatal(err)
	}
	token := graphBearer(t, s, Adele, adminScopes, "")
	app := "/v1.0/applications(appId='" + ContosoAPI + "')"
	for uri, want := range map[string]int{
		"https://mcp.contoso.example/mcp": 204, "https://contoso.example": 204, "api://anything": 204,
		"https://contoso.example.evil.example/mcp": 400, "https://notcontoso.example": 400, "http://localhost:8000/mcp": 400,
	} {
		if status, body := graphDo(t, s, token, "PATCH", app, `{"identifierUris":["`+uri+`"]}`); status != want {
			t.Errorf("%s: got %d %v, want %d", uri, status, body, want)
		}
	}
}

// Certificates are told when they are asked for by name; a list of them is replaced whole.
func TestGraphCertificates(t *testing.T) {
	s := newTestServer(t, nil)
	c := overTLS(t, s)
	_, der := certificate(t)
	path := graph.ByAppID("applications", ContosoAPI)
	body := map[string]any{"keyCredentials": []graph.KeyCredential{{Type: "AsymmetricX509Cert", Usage: "Verify", Key: der}}}
	if err := c.Patch(t.Context(), path, body); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]int{"": 0, "id,keyCredentials": len(der), "id": -1} {
		app, err := graph.Get[graph.Application](t.Context(), c, path, url.Values{"$select": {query}})
		got := -1
		if len(app.KeyCredentials) == 1 {
			got = len(app.KeyCredentials[0].Key)
		}
		if err != nil || got != want {
			t.Errorf("$select=%q: got %d bytes and %v, want %d", query, got, err, want)
		}
	}
}

// A new object is not to be seen at once, as with Entra's replication: set-up programs have to try again.
func TestGraphDelay(t *testing.T) {
	s := newTestServer(t, func(c *Config) { c.GraphDelay = 2 })
	token := graphBearer(t, s, Adele, adminScopes, "")
	_, app := graphDo(t, s, token, "POST", "/v1.0/applications", `{"displayName":"new"}`)
	id, _ := app["id"].(string)
	appID, _ := app["appId"].(string)
	for i, want := range []int{404, 404, 200} {
		if status, _ := graphDo(t, s, token, "GET", "/v1.0/applications/"+id, ""); status != want {
			t.Errorf("request %d: got %d, want %d", i, status, want)
		}
	}
	_, sp := graphDo(t, s, token, "POST", "/v1.0/servicePrincipals", `{"appId":"`+appID+`"}`)
	spID, _ := sp["id"].(string)
	grant := `{"clientId":"` + spID + `","resourceId":"` + s.dir.PrincipalOf(client(entra.SearchAppID)).ID.String() + `","consentType":"AllPrincipals","scope":"x"}`
	own := `{"api":{"preAuthorizedApplications":[{"appId":"` + appID + `","delegatedPermissionIds":["` + ExecuteScope + `"]}]}}`
	if status, _ := graphDo(t, s, token, "PATCH", "/v1.0/applications(appId='"+ContosoAPI+"')", own); status != 204 {
		t.Errorf("pre-authorization of what is seen: got %d", status)
	}
	_, hidden := graphDo(t, s, token, "POST", "/v1.0/applications", `{"displayName":"hidden","tags":["a tag"]}`)
	hiddenID, _ := hidden["appId"].(string)
	if status, body := graphDo(t, s, token, "PATCH", "/v1.0/applications(appId='"+ContosoAPI+"')", strings.ReplaceAll(own, appID, hiddenID)); status != 400 {
		t.Errorf("pre-authorization of what is not seen: got %d %v", status, body)
	}
	for i, want := range []int{404, 404, 201} {
		if status, _ := graphDo(t, s, token, "POST", "/v1.0/oauth2PermissionGrants", grant); status != want {
			t.Errorf("consent %d: got %d, want %d", i, status, want)
		}
	}
}

func FuzzGraph(f *testing.F) {
	s, err := New(Config{URL: "https://localhost:8443"})
	if err != nil {
		f.Fatal(err)
	}
	before := s.dir.snapshot()
	now := time.Now().Unix()
	token, err := signJWT(s.keys.signer(), claimSet{"alg": "RS256", "kid": s.keys.signer().kid}, claimSet{
		"aud": entra.GraphAppID, "iss": s.self().issuer(2, ContosoTenant), "oid": Adele, "scp": adminScopes, "exp": now + 3600*24,
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("GET", "/v1.0/users?$filter=displayName eq 'x' and startswith(mail,'a')&$top=3&$select=id", "")
	f.Add("GET", "/v1.0/servicePrincipals(appId='"+entra.SearchAppID+"')?$filter=servicePrincipalNames/any(n:n eq 'x')", "")
	f.Add("PATCH", "/v1.0/applications(appId='"+ContosoAPI+"')", `{"api":{"oauth2PermissionScopes":null,"preAuthorizedApplications":[{}]},"web":null,"optionalClaims":{"accessToken":[{}]}}`)
	f.Add("POST", "/v1.0/applications", `{"displayName":"x","publicClient":{"redirectUris":["http://localhost"]}}`)
	f.Add("POST", "/v1.0/users/"+Alice+"/getMemberGroups", `{"securityEnabledOnly":true}`)
	f.Add("POST", "/v1.0/servicePrincipals/x/appRoleAssignments", `{"principalId":""}`)
	f.Fuzz(func(t *testing.T, method, target, body string) {
		u, err := url.ParseRequestURI("/v1.0/" + strings.TrimPrefix(target, "/v1.0/"))
		if err != nil || method != "GET" && method != "POST" && method != "PATCH" && method != "DELETE" {
			return
		}
		r := httptest.NewRequest(method, "https://localhost:8443/v1.0/me", strings.NewReader(body))
		r.URL.Path, r.URL.RawPath, r.URL.RawQuery = u.Path, u.RawPath, u.RawQuery
		r.Header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code >= 500 && w.Code != http.StatusNotImplemented {
			t.Errorf("%s %s %q: %d %s", method, target, body, w.Code, w.Body)
		}
		s.dir.restore(before)
	})
}
