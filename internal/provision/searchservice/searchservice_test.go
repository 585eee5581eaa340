package searchservice_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/provision/searchservice"
)

const (
	subscription = "50b50000-0000-4000-8000-000000000001"
	serviceID    = "/subscriptions/" + subscription + "/resourceGroups/rg1/providers/Microsoft.Search/searchServices/mysearchservice"
	principal    = "5e000000-0000-4000-8000-000000000005"
)

// arm is as much of Azure Resource Manager as these calls need, written from Microsoft's documentation and examples:
// azure-rest-api-specs, specification/search/…/2025-05-01/SearchListServicesBySubscription.json and
// SearchUpdateServiceAuthOptions.json; https://learn.microsoft.com/rest/api/authorization/role-assignments/create.
type arm struct {
	*httptest.Server
	mu          sync.Mutex
	auth        string // JSON of authOptions
	keysOff     bool
	assignments []map[string]any
	refuse      map[string]string // METHOD → an error's code, always
	unknown     int               // answers of PrincipalNotFound that are left
	elsewhere   bool              // pages lead to another host
	bodies      []string
	paused      []time.Duration
}

func newARM(t *testing.T) (*arm, *searchservice.Client) {
	t.Helper()
	t.Parallel()
	a := &arm{auth: `{"apiKeyOnly":{}}`, refuse: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /subscriptions", a.answer(func(*http.Request) any {
		return map[string]any{"value": []any{map[string]any{"subscriptionId": "50b50000-0000-4000-8000-0000000000ff"}, map[string]any{"subscriptionId": subscription}}}
	}))
	mux.HandleFunc("GET /subscriptions/{sub}/providers/Microsoft.Search/searchServices", a.answer(func(r *http.Request) any {
		switch {
		case r.PathValue("sub") != subscription:
			return map[string]any{"value": []any{}}
		case a.elsewhere:
			return map[string]any{"value": []any{}, "nextLink": "https://evil.example/subscriptions"}
		case r.URL.Query().Get("page") == "":
			return map[string]any{"value": []any{}, "nextLink": a.URL + r.URL.Path + "?page=2&api-version=2025-05-01"}
		}
		return map[string]any{"value": []any{a.service()}}
	}))
	mux.HandleFunc("GET "+serviceID, a.answer(func(*http.Request) any { return a.service() }))
	mux.HandleFunc("PATCH "+serviceID, a.answer(a.patch))
	mux.HandleFunc("GET "+serviceID+"/providers/Microsoft.Authorization/roleAssignments", a.answer(func(*http.Request) any {
		return map[string]any{"value": a.assignments}
	}))
	mux.HandleFunc("PUT "+serviceID+"/providers/Microsoft.Authorization/roleAssignments/{name}", a.answer(a.assign))
	a.Server = httptest.NewTLSServer(mux)
	t.Cleanup(a.Close)
	return a, &searchservice.Client{
		Endpoint: a.URL, HTTPClient: a.Client(),
		Token: func(context.Context) (identity.Secret, error) { return identity.NewSecret("the-token"), nil },
		Pause: func(_ context.Context, d time.Duration) error { a.paused = append(a.paused, d); return nil },
	}
}

func (a *arm) service() any {
	properties := map[string]any{"endpoint": "https://mysearchservice.search.windows.net/", "disableLocalAuth": a.keysOff, "publicNetworkAccess": "Enabled", "authOptions": json.RawMessage(a.auth)}
	return map[string]any{"id": serviceID, "name": "mysearchservice", "type": "Microsoft.Search/searchServices", "properties": properties}
}

// armError is an error answer.
type armError struct {
	status int
	code   string
}

func (a *arm) answer(handle func(*http.Request) any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		var out any = armError{http.StatusForbidden, a.refuse[r.Method]}
		switch {
		case r.Header.Get("Authorization") != "Bearer the-token":
			out = armError{http.StatusUnauthorized, "AuthenticationFailed"}
		case r.URL.Query().Get("api-version") == "":
			out = armError{http.StatusBadRequest, "MissingApiVersionParameter"}
		case a.refuse[r.Method] == "":
			out = handle(r)
		}
		w.Header().Set("Content-Type", "application/json")
		if refused, ok := out.(armError); ok {
			w.WriteHeader(refused.status)
			out = map[string]any{"error": map[string]string{"code": refused.code, "message": "The client 'adele' does not have authorization."}}
		}
		_ = json.NewEncoder(w).Encode(out)
	}
}

func (a *arm) patch(r *http.Request) any {
	var body struct {
		Properties struct {
			AuthOptions json.RawMessage `json:"authOptions"`
		} `json:"properties"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil || a.keysOff {
		return armError{http.StatusBadRequest, "InvalidRequest"}
	}
	a.auth = string(body.Properties.AuthOptions)
	return a.service()
}

func (a *arm) assign(r *http.Request) any {
	var body struct {
		Properties map[string]any `json:"properties"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	if a.unknown > 0 {
		a.unknown--
		return armError{http.StatusBadRequest, "PrincipalNotFound"}
	}
	for _, one := range a.assignments {
		if one["name"] == r.PathValue("name") {
			return armError{http.StatusConflict, "RoleAssignmentExists"}
		}
	}
	body.Properties["scope"] = serviceID
	made := map[string]any{"name": r.PathValue("name"), "properties": body.Properties}
	a.assignments = append(a.assignments, made)
	a.bodies = append(a.bodies, fmt.Sprint(body.Properties))
	return made
}

func (a *arm) give(role, scope string) {
	a.assignments = append(a.assignments, map[string]any{"name": role, "properties": map[string]any{
		"roleDefinitionId": "/subscriptions/x/providers/Microsoft.Authorization/roleDefinitions/" + strings.ToUpper(role), "principalId": strings.ToUpper(principal), "scope": scope,
	}})
}

func plan(t *testing.T, c *searchservice.Client) (*searchservice.Plan, string) {
	t.Helper()
	service, err := searchservice.Find(t.Context(), c, "mysearchservice", "")
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.ParseObjectID(principal)
	if err != nil {
		t.Fatal(err)
	}
	p, err := searchservice.Make(t.Context(), c, service, searchservice.Desired{Principal: id, Who: "the server", Held: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err = p.Write(&out, func(s string) string { return s }); err != nil {
		t.Fatal(err)
	}
	return p, out.String()
}

func TestApply(t *testing.T) {
	a, c := newARM(t)
	a.unknown = 2
	p, shown := plan(t, c)
	want := `~ search service mysearchservice
    authOptions: apiKeyOnly → aadOrApiKey (http401WithBearerChallenge)
+ role of the server (` + principal + `): Search Index Data Reader at ` + serviceID + `

1 to create, 1 to change, 0 to take away
`
	if shown != want {
		t.Errorf("got\n%s\nwant\n%s", shown, want)
	}
	if err := searchservice.Apply(t.Context(), c, p, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if a.auth != `{"aadOrApiKey":{"aadAuthFailureMode":"http401WithBearerChallenge"}}` || len(a.bodies) != 1 || len(a.paused) != 2 {
		t.Errorf("auth %s, roles %v, waits %v", a.auth, a.bodies, a.paused)
	}
	if !strings.Contains(a.bodies[0], "principalType:ServicePrincipal") || !strings.Contains(a.bodies[0], "/subscriptions/"+subscription+"/providers/Microsoft.Authorization/roleDefinitions/"+searchservice.IndexDataReader) {
		t.Error(a.bodies[0])
	}
	if again, shown := plan(t, c); !again.Empty() {
		t.Errorf("something is left to do:\n%s", shown)
	}
	if err := searchservice.Apply(t.Context(), c, p, func(string) {}); err != nil { // an old plan, done twice
		t.Error(err)
	}
}

func TestWhatIsThere(t *testing.T) {
	for _, test := range []struct {
		desc    string
		prepare func(*arm)
		empty   bool
		want    string
	}{
		{"no keys at all", func(a *arm) { a.keysOff, a.auth = true, "null"; a.give(searchservice.IndexDataReader, serviceID) }, true, "it takes tokens alone"},
		{"a reader of the resource group", func(a *arm) {
			a.auth = `{"aadOrApiKey":{"aadAuthFailureMode":"http403"}}`
			a.give(searchservice.IndexDataReader, "/subscriptions/"+subscription+"/resourceGroups/RG1")
		}, true, "Search Index Data Reader at /subscriptions/" + subscription + "/resourceGroups/RG1"},
		{"a reader of another service", func(a *arm) { a.give(searchservice.IndexDataReader, serviceID+"2") }, false, "+ role of the server"},
		{"a reader of one index", func(a *arm) { a.give(searchservice.IndexDataReader, serviceID+"/indexes/x") }, false, "+ role of the server"},
		{"more than a reader", func(a *arm) { a.give("8ebe5a00-799e-43f5-93ac-243d3dce84a7", "/subscriptions/"+subscription) }, false, "! Search Index Data Contributor at /subscriptions/"},
	} {
		t.Run(test.desc, func(t *testing.T) {
			a, c := newARM(t)
			test.prepare(a)
			if p, shown := plan(t, c); p.Empty() != test.empty || !strings.Contains(shown, test.want) {
				t.Errorf("empty %t, want %t; want %q in\n%s", p.Empty(), test.empty, test.want, shown)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	a, c := newARM(t)
	p, _ := plan(t, c)
	a.refuse["PATCH"] = "AuthorizationFailed"
	err := searchservice.Apply(t.Context(), c, p, func(string) {})
	if !errors.Is(err, searchservice.ErrForbidden) || !strings.Contains(err.Error(), "let the service take tokens: azure: AuthorizationFailed (HTTP 403)") {
		t.Errorf("got %v", err)
	}
	delete(a.refuse, "PATCH")
	a.refuse["PUT"] = "AuthorizationFailed"
	if err = searchservice.Apply(t.Context(), c, p, func(string) {}); !errors.Is(err, searchservice.ErrForbidden) {
		t.Errorf("got %v", err)
	}
	if _, err = searchservice.Find(t.Context(), c, "another", ""); !errors.Is(err, searchservice.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if _, err = searchservice.Find(t.Context(), c, "../x", ""); err == nil {
		t.Error("a strange name was accepted")
	}
	if _, err = searchservice.Get(t.Context(), c, serviceID+"/../.."); err == nil {
		t.Error("a strange id was accepted")
	}
	a.elsewhere = true
	if _, err = searchservice.Find(t.Context(), c, "mysearchservice", subscription); err == nil || !strings.Contains(err.Error(), "another place") {
		t.Errorf("got %v, want that no token goes to another host", err)
	}
}

func TestScript(t *testing.T) {
	t.Parallel()
	id, err := searchservice.ResourceID(subscription, "rg-(1)_ä", "mysearchservice")
	if err != nil {
		t.Fatal(err)
	}
	who, err := identity.ParseObjectID(principal)
	if err != nil {
		t.Fatal(err)
	}
	app, err := identity.ParseClientID("a9900000-0000-4000-8000-000000000001")
	if err != nil {
		t.Fatal(err)
	}
	script, err := searchservice.Script(id, &searchservice.Desired{Principal: who, App: app})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"--resource-group 'rg-(1)_ä' --name 'mysearchservice' --auth-options aadOrApiKey", "principal=" + principal, "az ad sp show --id", app.String(), "--role " + searchservice.IndexDataReader,
	} {
		if !strings.Contains(script, want) {
			t.Errorf("%q is missing in\n%s", want, script)
		}
	}
	check := exec.CommandContext(t.Context(), "bash", "-n")
	check.Stdin = strings.NewReader(script)
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("not bash: %v %s", err, out)
	}
	for _, bad := range []string{"", "a'b", "a b", "a/b", "a$(id)", strings.Repeat("x", 91)} {
		if _, err := searchservice.ResourceID(subscription, bad, "mysearchservice"); err == nil {
			t.Errorf("the group %q was accepted", bad)
		}
	}
}

func TestEndpointOf(t *testing.T) {
	t.Parallel()
	for _, cloud := range entra.Clouds() {
		if got := searchservice.EndpointOf(cloud); !strings.HasPrefix(got, "https://management.") {
			t.Errorf("%s: %q", cloud.Name, got)
		}
	}
	local, _ := entra.CloudOf("https://localhost:8443/")
	if got := searchservice.EndpointOf(local); got != "" {
		t.Errorf("a local cloud has %q", got)
	}
}
