package entraserver

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func get(t *testing.T, s *Server, path string) (int, claimSet, http.Header) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Client-Request-Id", Alice)
	r.Header.Set("Return-Client-Request-Id", "true")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var body claimSet
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	return w.Code, body, w.Header()
}

func TestMetadata(t *testing.T) {
	s := newServer(t, Config{})
	const host = "https://localhost:8443/"
	for _, test := range []struct{ path, issuer, token, keys string }{
		{"/" + ContosoTenant + "/v2.0/.well-known/openid-configuration?", host + ContosoTenant + "/v2.0", ContosoTenant + "/oauth2/v2.0/token", ContosoTenant + "/discovery/v2.0/keys"},
		{"/" + strings.ToUpper(ContosoTenant) + "/V2.0/.Well-Known/OpenID-configuration", host + ContosoTenant + "/v2.0", ContosoTenant + "/oauth2/v2.0/token", ContosoTenant + "/discovery/v2.0/keys"},
		{"/contoso.example/v2.0/.well-known/openid-configuration", host + ContosoTenant + "/v2.0", ContosoTenant + "/oauth2/v2.0/token", ContosoTenant + "/discovery/v2.0/keys"},
		{"/common/v2.0/.well-known/openid-configuration", host + "{tenantid}/v2.0", "common/oauth2/v2.0/token", "common/discovery/v2.0/keys"},
		{"/organizations/v2.0/.well-known/openid-configuration", host + "{tenantid}/v2.0", "organizations/oauth2/v2.0/token", "organizations/discovery/v2.0/keys"},
		{"/consumers/v2.0/.well-known/openid-configuration", host + consumersTenant + "/v2.0", "consumers/oauth2/v2.0/token", "consumers/discovery/v2.0/keys"},
		{"/" + ContosoTenant + "/.well-known/openid-configuration", host + ContosoTenant + "/", ContosoTenant + "/oauth2/token", ContosoTenant + "/discovery/keys"},
	} {
		status, body, _ := get(t, s, test.path)
		if status != 200 || body.text("issuer") != test.issuer || body.text("token_endpoint") != host+test.token || body.text("jwks_uri") != host+test.keys {
			t.Errorf("%s: got %d, issuer %q, %q, %q", test.path, status, body["issuer"], body["token_endpoint"], body["jwks_uri"])
		}
		if body["code_challenge_methods_supported"] != nil {
			t.Errorf("%s: Entra does not list code_challenge_methods_supported", test.path)
		}
	}
	status, body, header := get(t, s, "/fabrikam.example/v2.0/.well-known/openid-configuration")
	if status != 400 || body.text("error") != "invalid_tenant" || aadsts(body) != 90002 || body.text("correlation_id") != Alice {
		t.Errorf("an unknown tenant: %d %v", status, body)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store, no-cache", "Pragma": "no-cache", "Expires": "-1",
		"X-Content-Type-Options": "nosniff", "X-Ms-Request-Id": body.text("trace_id"), "X-Ms-Clitelem": "1,90002,0,,", "Client-Request-Id": Alice,
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for path, want := range map[string]int{
		"/nonsense/v2.0/.well-known/openid-configuration": 400, "/": 200, "/x": 404, "/common/oauth2/v2.0/token": 400,
		"/common/.well-known/oauth-authorization-server": 501, "/common/userrealm/alice@contoso.example": 501, "/" + ContosoTenant + "/discovery/keys/": 200,
	} {
		if got, _, _ := get(t, s, path); got != want {
			t.Errorf("%s: got %d, want %d", path, got, want)
		}
	}
}

func TestMetadataWithPKCE(t *testing.T) {
	s := newServer(t, Config{AdvertisePKCE: true})
	if _, body, _ := get(t, s, "/common/v2.0/.well-known/openid-configuration"); len(body.texts("code_challenge_methods_supported")) != 2 {
		t.Errorf("got %v", body["code_challenge_methods_supported"])
	}
}

func TestKeys(t *testing.T) {
	s := newServer(t, Config{})
	keys := func(path string) (issuers []string) {
		_, body, _ := get(t, s, path)
		list, _ := body["keys"].([]any)
		for _, k := range list {
			key, _ := k.(map[string]any)
			if claimSet(key).text("kid") != claimSet(key).text("x5t") || claimSet(key).text("e") != "AQAB" || len(claimSet(key).texts("x5c")) != 1 {
				t.Errorf("%s: %v", path, key)
			}
			issuers = append(issuers, claimSet(key).text("issuer"))
		}
		return issuers
	}
	tenant, any3 := "https://localhost:8443/"+ContosoTenant+"/v2.0", "https://localhost:8443/{tenantid}/v2.0"
	consumers := "https://localhost:8443/" + consumersTenant + "/v2.0"
	for path, want := range map[string]string{
		"/" + ContosoTenant + "/discovery/v2.0/keys?appid=" + ContosoAPI: tenant + " " + tenant + " " + consumers,
		"/common/discovery/v2.0/keys":                                    any3 + " " + any3 + " " + consumers,
		"/" + ContosoTenant + "/discovery/keys":                          "  ",
	} {
		if got := strings.Join(keys(path), " "); got != want {
			t.Errorf("%s: issuers %q, want %q", path, got, want)
		}
	}
	if err := s.RotateKeys(false); err != nil {
		t.Fatal(err)
	}
	if n := len(keys("/common/discovery/v2.0/keys")); n != 4 {
		t.Errorf("%d keys after a rotation, want 4: the old one is still there", n)
	}
}

func TestInstanceDiscovery(t *testing.T) {
	s := newServer(t, Config{})
	const query = "/discovery/instance?api-version=1.1&authorization_endpoint="
	status, body, _ := get(t, s, "/common"+query+"https://localhost:8443/common/oauth2/v2.0/authorize")
	if status != 200 || body.text("tenant_discovery_endpoint") == "" || body["metadata"] == nil {
		t.Errorf("got %d %v", status, body)
	}
	if status, body, _ = get(t, s, "/common"+query+"https://evil.example/common/oauth2/v2.0/authorize"); status != 400 || aadsts(body) != 50049 {
		t.Errorf("an unknown host: got %d %v", status, body)
	}
}

func TestConfigIsCheckedWhole(t *testing.T) {
	for _, bad := range []Config{{}, {URL: "http://localhost:1"}, {URL: "https://localhost:1/x"}, {URL: "https://tokens.localhost"}, {URL: "https://localhost:1", Resource: "x"}, {URL: "https://localhost:1", AccessTokenLife: -1}} {
		if _, err := New(bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}
