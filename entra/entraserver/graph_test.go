package entraserver

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/entra"
)

// newTestServer is a local Entra that requests reach without a network.
func newTestServer(t *testing.T, change func(*Config)) *Server {
	t.Helper()
	config := Config{URL: "https://localhost:8443"}
	if change != nil {
		change(&config)
	}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// graphBearer signs a token for Graph: of a person with scopes, or, with roles, of an application.
func graphBearer(t *testing.T, s *Server, oid, scopes, roles string) string {
	t.Helper()
	now := time.Now()
	claims := claimSet{
		"aud": "https://graph.microsoft.com", "iss": s.self().issuer(1, ContosoTenant), "oid": oid, "tid": ContosoTenant,
		"nbf": now.Unix() - 300, "exp": now.Unix() + 3600,
	}
	if scopes != "" {
		claims["scp"] = scopes
	}
	if roles != "" {
		claims["roles"] = strings.Fields(roles)
	}
	return signed(t, s.keys.signer(), claims)
}

func signed(t *testing.T, key *signingKey, claims claimSet) string {
	t.Helper()
	token, err := signJWT(key, claimSet{"alg": "RS256", "typ": "JWT", "kid": key.kid}, claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// graphDo sends a request and returns status and JSON.
func graphDo(t *testing.T, s *Server, token, method, target, body string) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequest(method, "https://localhost:8443"+strings.ReplaceAll(target, " ", "%20"), strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var out map[string]any
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			t.Fatalf("%s %s: %v in %q", method, target, err, w.Body)
		}
	}
	return w.Code, out
}

// errorOf returns the code and message of Graph's error body.
func errorOf(body map[string]any) (code, message string) {
	e, _ := body["error"].(map[string]any)
	code, _ = e["code"].(string)
	message, _ = e["message"].(string)
	return code, message
}

// pluck returns a property of each object of a list.
func pluck(body map[string]any, name string) []string {
	out := []string{}
	list, _ := body["value"].([]any)
	for _, item := range list {
		switch v := item.(type) {
		case string:
			out = append(out, v)
		case map[string]any:
			text, _ := v[name].(string)
			out = append(out, text)
		}
	}
	return out
}

const (
	adminScopes = "Application.ReadWrite.All DelegatedPermissionGrant.ReadWrite.All AppRoleAssignment.ReadWrite.All Directory.Read.All User.Read"
	searchRoles = "User.Read.All GroupMember.Read.All"
)

func TestGraphWhoMayWhat(t *testing.T) {
	s := newTestServer(t, nil)
	api := ContosoAPI
	sp := s.dir.PrincipalOf(client(entra.SearchAppID)).ID.String()
	for _, test := range []struct {
		desc, oid, scopes, roles, request string
		status                            int
		code                              string
	}{
		{"oneself", Alice, "User.Read", "", "GET /v1.0/me", 200, ""},
		{"oneself, by id", Alice, "User.Read", "", "GET /v1.0/users/" + Alice, 200, ""},
		{"oneself, by UPN", Alice, "User.Read", "", "GET /v1.0/users/alice@contoso.example", 200, ""},
		{"one's groups", Alice, "User.Read", "", "GET /v1.0/me/transitiveMemberOf", 200, ""},
		{"another person", Alice, "User.Read", "", "GET /v1.0/users/" + Bob, 403, "Authorization_RequestDenied"},
		{"everyone", Alice, "User.Read", "", "GET /v1.0/users", 403, "Authorization_RequestDenied"},
		{"groups", Alice, "User.Read", "", "GET /v1.0/groups", 403, "Authorization_RequestDenied"},
		{"groups with permission", Alice, "GroupMember.Read.All", "", "GET /v1.0/groups", 200, ""},
		{"half of what it takes", Alice, "User.Read.All", "", "GET /v1.0/users/" + Bob + "/memberOf", 403, "Authorization_RequestDenied"},
		{"a name that begins like a permission", Alice, "User.ReadX", "", "GET /v1.0/me", 403, "Authorization_RequestDenied"},
		{"nothing", Alice, "openid", "", "GET /v1.0/me", 403, "Authorization_RequestDenied"},
		{"an application asks for itself", sp, "", searchRoles, "GET /v1.0/me", 400, "BadRequest"},
		{"an application asks for a person's groups", sp, "", searchRoles, "POST /v1.0/users/" + Bob + "/getMemberGroups", 200, ""},
		{"an application without roles", sp, "", "Other", "POST /v1.0/users/" + Bob + "/getMemberGroups", 403, "Authorization_RequestDenied"},
		{"a role named like what only persons have", Alice, "", "User.Read", "GET /v1.0/users/" + Alice, 403, "Authorization_RequestDenied"},
		{"reading applications", Adele, adminScopes, "", "GET /v1.0/applications", 200, ""},
		{"writing them", Adele, adminScopes, "", "PATCH /v1.0/applications(appId='" + api + "')", 204, ""},
		{"writing them as somebody without a role", Alice, adminScopes, "", "PATCH /v1.0/applications(appId='" + api + "')", 403, "Authorization_RequestDenied"},
		{"writing them with permission to read", Adele, "Application.Read.All", "", "PATCH /v1.0/applications(appId='" + api + "')", 403, "Authorization_RequestDenied"},
		{"consenting with permission to register", Adele, "Application.ReadWrite.All", "", "POST /v1.0/oauth2PermissionGrants", 403, "Authorization_RequestDenied"},
		{"a disabled person", Erin, "User.Read", "", "GET /v1.0/me", 401, "InvalidAuthenticationToken"},
		{"what is not there", Adele, adminScopes, "", "GET /v1.0/sites/root", 501, "NotImplemented"},
		{"another method", Adele, adminScopes, "", "DELETE /v1.0/users/" + Alice, 405, "Request_BadRequest"},
		{"in any case", Alice, "User.Read", "", "GET /V1.0/ME/memberof", 200, ""},
	} {
		t.Run(test.desc, func(t *testing.T) {
			method, target, _ := strings.Cut(test.request, " ")
			body := map[string]string{"POST": `{"securityEnabledOnly":false}`, "PATCH": `{"displayName":"mcp-server"}`}[method]
			status, answer := graphDo(t, s, graphBearer(t, s, test.oid, test.scopes, test.roles), method, target, body)
			code, message := errorOf(answer)
			if status != test.status || code != test.code {
				t.Errorf("got %d %s %q, want %d %s", status, code, message, test.status, test.code)
			}
		})
	}
}

func TestGraphRefusesTokens(t *testing.T) {
	s := newTestServer(t, nil)
	other := newTestServer(t, nil)
	good := func() claimSet {
		return claimSet{
			"aud": "00000003-0000-0000-c000-000000000000", "iss": s.self().issuer(2, ContosoTenant), "oid": Alice, "scp": "User.Read",
			"exp": time.Now().Unix() + 60,
		}
	}
	with := func(name string, value any) claimSet {
		claims := good()
		claims[name] = value
		return claims
	}
	key := s.keys.signer()
	for _, test := range []struct {
		desc, token, want string
		status            int
	}{
		{"good", signed(t, key, good()), "", 200},
		{"none", "", "Access token is empty.", 401},
		{"no JWT", "hello", "not well formed", 401},
		{"another Entra's", signed(t, other.keys.signer(), good()), "Invalid signature or issuer", 401},
		{"unsigned", func() string {
			text, _ := encodeJWT(claimSet{"alg": "none", "kid": key.kid}, good())
			return string(text) + "."
		}(), "Invalid signature or issuer", 401},
		{"for another API", signed(t, key, with("aud", "api://"+ContosoAPI)), "Invalid audience", 401},
		{"for Graph, by URI", signed(t, key, with("aud", "https://graph.microsoft.com/")), "", 200},
		{"for this host", signed(t, key, with("aud", "https://localhost:8443")), "", 200},
		{"for several", signed(t, key, with("aud", []string{"https://graph.microsoft.com"})), "Invalid audience", 401},
		{"of another issuer", signed(t, key, with("iss", "https://evil.example/")), "Invalid signature or issuer", 401},
		{"expired", signed(t, key, with("exp", time.Now().Unix()-1)), "expired", 401},
		{"without an end", signed(t, key, with("exp", "tomorrow")), "expired", 401},
		{"for later", signed(t, key, with("nbf", time.Now().Unix()+3600)), "expired", 401},
		{"of nobody", signed(t, key, with("oid", "00000000-0000-4000-8000-000000000000")), "does not exist", 401},
		{"without oid", signed(t, key, with("oid", nil)), "does not exist", 401},
	} {
		status, body := graphDo(t, s, test.token, "GET", "/v1.0/me", "")
		code, message := errorOf(body)
		if status != test.status || !strings.Contains(message, test.want) || status == 401 && code != "InvalidAuthenticationToken" {
			t.Errorf("%s: got %d %s %q, want %d %q", test.desc, status, code, message, test.status, test.want)
		}
	}
}

func TestGraphGroups(t *testing.T) {
	s := newTestServer(t, nil)
	token := graphBearer(t, s, Adele, "", "Directory.Read.All")
	for _, test := range []struct {
		request, body string
		want          []string
	}{
		{"GET /v1.0/users/" + Alice + "/memberOf?$select=id", "", []string{Engineering}},
		{"GET /v1.0/users/" + Alice + "/transitiveMemberOf/microsoft.graph.group", "", []string{Engineering, AllStaff}},
		{"GET /v1.0/users/" + Carol + "/transitiveMemberOf", "", []string{}},
		{"POST /v1.0/users/" + Alice + "/getMemberGroups", `{"securityEnabledOnly":true}`, []string{Engineering, AllStaff}},
		{"POST /v1.0/users/" + Carol + "/getMemberGroups", `{"securityEnabledOnly":false}`, []string{}},
		{"POST /v1.0/users/" + Alice + "/checkMemberGroups", `{"groupIds":["` + AllStaff + `","` + Board + `"]}`, []string{AllStaff}},
		{"POST /v1.0/groups/" + Engineering + "/getMemberGroups", `{"securityEnabledOnly":false}`, []string{AllStaff}},
		{"GET /v1.0/groups/" + AllStaff + "/members", "", []string{Engineering, Finance}},
		{"GET /v1.0/groups?$filter=startswith(displayName,'ENG') and securityEnabled eq true", "", []string{Engineering}},
		{"GET /v1.0/users?$filter=userPrincipalName eq 'bob@contoso.example'", "", []string{Bob}},
		{"GET /v1.0/users?$filter=accountEnabled eq false", "", []string{Erin}},
		{"GET /v1.0/groups?$filter=id in ('" + Engineering + "', '" + Alice + "','" + strings.ToUpper(Board) + "')&$select=id", "", []string{Board, Engineering}},
		{"POST /v1.0/directoryObjects/getByIds", `{"ids":["` + Board + `","` + Alice + `","11111111-2222-4333-8444-555555555555"],"types":["group"]}`, []string{Board}},
		{"POST /v1.0/directoryObjects/getByIds", `{"ids":["` + Board + `","` + Alice + `"]}`, []string{Board, Alice}},
		{"GET /v1.0/organization", "", []string{ContosoTenant}},
	} {
		method, target, _ := strings.Cut(test.request, " ")
		status, body := graphDo(t, s, token, method, target, test.body)
		if diff := cmp.Diff(test.want, pluck(body, "id")); diff != "" || status != 200 {
			t.Errorf("%s: %d %v\n%s", test.request, status, body, diff)
		}
	}
	if _, body := graphDo(t, s, token, "POST", "/v1.0/users/"+Dana+"/getMemberGroups", `{"securityEnabledOnly":false}`); len(pluck(body, "")) != overageGroups {
		t.Errorf("dana: got %d groups", len(pluck(body, "")))
	}
}

// Who may read no groups sees that there are some, and nothing of them but their ids.
func TestGraphShowsLittleOfWhatIsNotAllowed(t *testing.T) {
	s := newTestServer(t, nil)
	for scopes, want := range map[string]any{"User.Read": nil, "User.Read GroupMember.Read.All": "engineering"} {
		_, body := graphDo(t, s, graphBearer(t, s, Alice, scopes, ""), "GET", "/v1.0/me/memberOf", "")
		list, _ := body["value"].([]any)
		if len(list) != 1 {
			t.Fatalf("%s: got %v", scopes, body)
		}
		group, _ := list[0].(map[string]any)
		if group["id"] != Engineering || group["displayName"] != want || group["@odata.type"] != "#microsoft.graph.group" {
			t.Errorf("%s: got %v, want the name %v", scopes, group, want)
		}
	}
}

func TestGraphPages(t *testing.T) {
	s := newTestServer(t, nil)
	token := graphBearer(t, s, Adele, "", "Directory.Read.All")
	target := "/v1.0/users/" + Dana + "/memberOf?$top=60&$count=true&$select=id"
	seen := map[string]bool{}
	pages := 0
	for target != "" {
		status, body := graphDo(t, s, token, "GET", target, "")
		if status != 200 || body["@odata.count"] != float64(overageGroups) {
			t.Fatalf("page %d: %d %v", pages, status, body["error"])
		}
		for _, id := range pluck(body, "id") {
			seen[id] = true
		}
		next, _ := body["@odata.nextLink"].(string)
		target = strings.TrimPrefix(next, "https://localhost:8443")
		pages++
	}
	if len(seen) != overageGroups || pages != 5 {
		t.Errorf("got %d groups on %d pages", len(seen), pages)
	}
}

func TestGraphRefusesQueries(t *testing.T) {
	s := newTestServer(t, nil)
	token := graphBearer(t, s, Adele, "", "Directory.Read.All")
	for query, want := range map[string]string{
		"$expand=memberOf":           "Request_UnsupportedQuery",
		"$orderby=displayName":       "Request_UnsupportedQuery",
		"$search=x":                  "Request_UnsupportedQuery",
		"$top=0":                     "Request_BadRequest",
		"$top=1000":                  "Request_BadRequest",
		"$top=1&$top=2":              "Request_UnsupportedQuery",
		"$count=maybe":               "Request_UnsupportedQuery",
		"$skiptoken=garbage!":        "Directory_ExpiredPageToken",
		"$filter=nonsense eq 'x'":    "Request_BadRequest",
		"$filter=displayName":        "Request_UnsupportedQuery",
		"$filter=displayName ne 'x'": "Request_UnsupportedQuery",
		"$filter=displayName eq 'x' or mail eq 'y'":                      "Request_UnsupportedQuery",
		"$filter=displayName eq 'unfinished":                             "Request_UnsupportedQuery",
		"$filter=displayName in ('a','b'":                                "Request_UnsupportedQuery",
		"$filter=displayName in ()":                                      "Request_UnsupportedQuery",
		"$filter=displayName in (" + strings.Repeat("'x',", 15) + "'y')": "Request_UnsupportedQuery",
		"$filter=startswith(displayName,true)":                           "Request_UnsupportedQuery",
		"$filter=tags/any(x:y eq 'z')":                                   "Request_UnsupportedQuery",
		"$filter=" + strings.Repeat("mail eq 'x' and ", 400):             "Request_UnsupportedQuery",
	} {
		status, body := graphDo(t, s, token, "GET", "/v1.0/users?"+query, "")
		if code, message := errorOf(body); status != 400 || code != want {
			t.Errorf("%.60s: got %d %s %s, want %s", query, status, code, message, want)
		}
	}
}

// Many ids are asked for at once, up to Graph's own limit, by who may read the directory.
func TestGraphByIDs(t *testing.T) {
	s := newTestServer(t, nil)
	ids := func(n int) string {
		return `{"ids":[` + strings.TrimSuffix(strings.Repeat(`"`+Board+`",`, n), ",") + `]}`
	}
	for _, test := range []struct {
		desc, scopes, query, body string
		want                      int
	}{
		{"a thousand", "Directory.Read.All", "", ids(1000), 200},
		{"one more", "Directory.Read.All", "", ids(1001), 400},
		{"no id", "Directory.Read.All", "", `{"ids":["x"]}`, 400},
		{"a query option", "Directory.Read.All", "?$select=id", ids(1), 400},
		{"groups alone", "GroupMember.Read.All", "", ids(1), 403},
	} {
		status, body := graphDo(t, s, graphBearer(t, s, Carol, test.scopes, ""), "POST", "/v1.0/directoryObjects/getByIds"+test.query, test.body)
		if status != test.want {
			t.Errorf("%s: got %d %v", test.desc, status, body["error"])
		}
	}
}

// The body of a refusal is what Microsoft's clients parse.
func TestGraphErrorBody(t *testing.T) {
	s := newTestServer(t, func(c *Config) { c.Now = func() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) } })
	r := httptest.NewRequest(http.MethodGet, "https://localhost:8443/v1.0/me", nil)
	r.Header.Set("client-request-id", "c0c0c0c0-0000-4000-8000-000000000001")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	body, _ := io.ReadAll(w.Result().Body)
	for _, want := range []string{`"code":"InvalidAuthenticationToken"`, `"message":"Access token is empty."`, `"innerError":{"client-request-id":"c0c0c0c0-0000-4000-8000-000000000001","date":"2026-03-04T05:06:07","request-id":"`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("%s lacks %s", body, want)
		}
	}
	if got := w.Header().Get("WWW-Authenticate"); !strings.HasPrefix(got, `Bearer realm="", authorization_uri="https://localhost:8443/common/oauth2/authorize"`) || w.Code != http.StatusUnauthorized {
		t.Errorf("got %d %s", w.Code, got)
	}
}
