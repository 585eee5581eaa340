package entraserver

import (
	"encoding/base64"
	"encoding/json"
	"maps"
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
)

const (
	apiExecute    = "api://" + ContosoAPI + "/execute"
	searchDefault = "https://search.azure.com/.default"
	clientID      = "client_id"
)

// signIn returns an access token, as a text.
func signIn(t *testing.T, s *Server, person, app, claims string, scopes ...string) string {
	t.Helper()
	token, err := s.SignIn(person, app, claims, scopes...)
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal()
}

// claimsOf returns header and claims of a token.
func claimsOf(t *testing.T, text string) (header, claims claimSet) {
	t.Helper()
	token, err := parseJWT(text)
	if err != nil {
		t.Fatal(err)
	}
	return token.header, token.claims
}

// exchange is a good on-behalf-of request of the sample API.
func exchange(s *Server, assertion string) url.Values {
	return url.Values{
		"grant_type": {grantBearer}, "requested_token_use": {"on_behalf_of"}, "assertion": {assertion}, "scope": {searchDefault},
		clientID: {ContosoAPI}, "client_secret": {s.dir.ClientSecret(client(ContosoAPI)).Reveal()},
	}
}

func without(form url.Values, names ...string) url.Values {
	out := maps.Clone(form)
	for _, name := range names {
		delete(out, name)
	}
	return out
}

func with(form url.Values, pairs ...string) url.Values {
	out := maps.Clone(form)
	for pair := range slices.Chunk(pairs, 2) {
		out[pair[0]] = []string{pair[1]}
	}
	return out
}

// TestOnBehalfOfRefuses has the refusals in the order of the checks: each case is right in all that is checked before.
func TestOnBehalfOfRefuses(t *testing.T) {
	s := newServer(t, Config{})
	sign := func(r SignRequest) string {
		text, err := s.Sign(r)
		if err != nil {
			t.Fatal(err)
		}
		return text.Reveal()
	}
	claims := func(pairs map[string]any) string { return sign(SignRequest{Claims: pairs}) }
	good := exchange(s, claims(nil))
	assertion := func(text string) url.Values { return with(good, "assertion", text) }
	other := with(good, clientID, ContosoOther, "client_secret", s.dir.ClientSecret(client(ContosoOther)).Reveal())
	_, idTokenBody := post(t, s, with(good, "scope", searchDefault+" openid"), nil)

	for _, test := range []struct {
		desc   string
		form   url.Values
		status int
		code   string
		aadsts int
	}{
		{"no client", without(good, clientID), 400, invalidRequest, 900144},
		{"a client that is no GUID", with(good, clientID, "mcp-server"), 400, unauthorized, 700038},
		{"a client of nobody's", with(good, clientID, ContosoTenant), 400, unauthorized, 700016},
		{"no proof", without(good, "client_secret"), 401, invalidClient, 7000218},
		{"a wrong secret", with(good, "client_secret", "wrong"), 401, invalidClient, 7000215},
		{"a public client with a secret", with(good, clientID, ContosoWebClient), 401, invalidClient, 700025},
		{"a public client", without(with(good, clientID, ContosoWebClient), "client_secret"), 401, invalidClient, 7000218},
		{"no assertion", without(good, "assertion"), 400, invalidRequest, 900144},
		{"no requested_token_use", without(good, "requested_token_use"), 400, invalidRequest, 900144},
		{"another use", with(good, "requested_token_use", "impersonate"), 400, invalidRequest, 90023},
		{"no JWT", assertion("abc"), 400, invalidRequest, 50027},
		{"an id_token", assertion(claimSet(idTokenBody).text("id_token")), 400, invalidRequest, 240002},
		{"a key that nobody knows", assertion(sign(SignRequest{Key: "unknown"})), 400, invalidGrant, 50013},
		{"the key of personal accounts", assertion(sign(SignRequest{Key: "consumers"})), 400, invalidGrant, 50013},
		{"no signature", assertion(sign(SignRequest{Key: "none"})), 400, invalidGrant, 50013},
		{"alg none", assertion(sign(SignRequest{Header: map[string]any{"alg": "none"}})), 400, invalidGrant, 50013},
		{"another key's kid", assertion(sign(SignRequest{Key: "unknown", Header: map[string]any{"kid": s.keys.signer().kid}})), 400, invalidGrant, 50013},
		{"another issuer", assertion(claims(map[string]any{"iss": "https://login.microsoftonline.com/" + ContosoTenant + "/v2.0"})), 400, invalidGrant, 50013},
		{"expired", assertion(claims(map[string]any{"exp": time.Now().Add(-time.Second).Unix()})), 400, invalidGrant, 500133},
		{"no expiry", assertion(claims(map[string]any{"exp": nil})), 400, invalidGrant, 500133},
		{"not yet", assertion(claims(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()})), 400, invalidGrant, 500133},
		{"for another API", assertion(claims(map[string]any{"aud": ContosoOther})), 400, invalidGrant, 500131},
		{"an audience that only begins like ours", assertion(claims(map[string]any{"aud": "api://" + ContosoAPI + "/x"})), 400, invalidGrant, 500131},
		{"an array of audiences", assertion(claims(map[string]any{"aud": []string{ContosoAPI}})), 400, invalidGrant, 500131},
		{"an application without a person", assertion(claims(map[string]any{"idtyp": "app"})), 400, unauthorized, 7000114},
		{"no scope", assertion(claims(map[string]any{"scp": nil})), 400, unauthorized, 7000114},
		{"nobody", assertion(claims(map[string]any{"oid": ContosoTenant})), 400, invalidGrant, 50034},
		{"who is disabled", assertion(sign(SignRequest{User: "erin"})), 400, invalidGrant, 50057},
		{"no downstream scope", without(good, "scope"), 400, invalidRequest, 900144},
		{"two resources", with(good, "scope", searchDefault+" https://graph.microsoft.com/.default"), 400, invalidScope, 700022},
		{"a resource of nobody's", with(good, "scope", "https://nobody.example/.default"), 400, invalidResource, 500011},
		{"a scope that does not exist", with(good, "scope", "https://search.azure.com/everything"), 400, invalidScope, 70011},
		{"a scope of Graph's that does not exist", with(good, "scope", "execute"), 400, invalidClient, 650053},
		{".default and a name", with(good, "scope", searchDefault+" https://search.azure.com/user_impersonation"), 400, invalidScope, 70011},
		{"a resource that does not match", with(good, "resource", "https://search.azure.com/"), 400, "invalid_target", 9010010},
		{"no consent", with(good, "scope", "api://"+ContosoOther+"/access"), 400, invalidGrant, 65001},
		{"no consent at all", with(other, "assertion", claims(map[string]any{"aud": ContosoOther})), 400, invalidGrant, 65001},
		{"claims that are no JSON", with(good, "claims", "{"), 400, invalidRequest, 90023},
	} {
		status, body := post(t, s, test.form, nil)
		if got := aadsts(body); status != test.status || body["error"] != test.code || got != test.aadsts {
			t.Errorf("%s: got %d %v AADSTS%d, want %d %s AADSTS%d", test.desc, status, body["error"], got, test.status, test.code, test.aadsts)
		}
		if text := claimSet(body).text("error_description"); strings.Contains(text, "%!") || strings.Contains(text, "\n") {
			t.Errorf("%s: the description is no good: %s", test.desc, text)
		}
	}
	if status, body := post(t, s, good, nil); status != 200 {
		t.Errorf("the good request: %v", body)
	}
}

func TestErrorBody(t *testing.T) {
	s := newServer(t, Config{})
	const correlation = "0b7ec700-0000-4000-8000-00000000abcd"
	_, body := post(t, s, url.Values{"grant_type": {"authorization_code"}}, http.Header{"Client-Request-Id": {correlation}})
	description := claimSet(body).text("error_description")
	for _, part := range []string{"AADSTS900144: The request body must contain the following parameter: 'client_id'.", " Trace ID: " + claimSet(body).text("trace_id"), " Correlation ID: " + correlation, " Timestamp: " + claimSet(body).text("timestamp")} {
		if !strings.Contains(description, part) {
			t.Errorf("the description %q lacks %q", description, part)
		}
	}
	if got := claimSet(body).text("error_uri"); got != "https://localhost:8443/error?code=900144" {
		t.Errorf("error_uri = %q", got)
	}
	_, body = post(t, s, url.Values{"grant_type": {"password"}}, nil)
	if aadsts(body) != 70003 || body["error_uri"] != nil {
		t.Errorf("got %v, want AADSTS70003, which has no error_uri", body)
	}
}

func TestDelegatedTokenV2(t *testing.T) {
	s := newServer(t, Config{})
	header, claims := claimsOf(t, signIn(t, s, "alice", ContosoWebClient, `{"access_token":{"xms_cc":{"values":["cp1"]},"acrs":{"essential":true,"value":"c1"}}}`, apiExecute))
	if header.text("x5t") != "" || header.text("kid") == "" || header.text("alg") != "RS256" || header.text("typ") != "JWT" {
		t.Errorf("header: %v", header)
	}
	want := map[string]any{
		"aud": ContosoAPI, "iss": "https://localhost:8443/" + ContosoTenant + "/v2.0", "azp": ContosoWebClient, "azpacr": "0", "name": "Alice Archer", "oid": Alice,
		"preferred_username": "alice@contoso.example", "scp": "execute", "tid": ContosoTenant, "ver": "2.0", "idtyp": "user",
		"xms_cc": []any{"CP1"}, "acrs": []any{"c1"}, "groups": []any{Engineering, AllStaff},
	}
	got := map[string]any{}
	for name := range want {
		got[name] = claims[name]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(claims.text("sub")) != 43 || len(claims.text("uti")) != 22 || claims["amr"] != nil {
		t.Errorf("sub %q, uti %q, amr %v", claims["sub"], claims["uti"], claims["amr"])
	}
	issued, _ := claims.time("iat")
	expires, _ := claims.time("exp")
	if life := expires.Sub(issued) - backdate; life < time.Hour || life > 90*time.Minute {
		t.Errorf("the token lives %s, want 60 to 90 minutes", life)
	}
	_, others := claimsOf(t, signIn(t, s, "alice", ContosoOther, "", "api://"+ContosoOther+"/access"))
	if others.text("sub") == claims.text("sub") {
		t.Error("sub is not pairwise")
	}
}

func TestExchangedTokenV1(t *testing.T) {
	s := newServer(t, Config{})
	status, body := post(t, s, with(exchange(s, signIn(t, s, "bob", ContosoWebClient, "", apiExecute)), "client_info", "1"), nil)
	if status != 200 {
		t.Fatal(body)
	}
	header, claims := claimsOf(t, claimSet(body).text("access_token"))
	if header.text("x5t") != header.text("kid") {
		t.Errorf("a v1 header has x5t: %v", header)
	}
	want := map[string]any{
		"aud": "https://search.azure.com", "iss": "https://localhost:8443/" + ContosoTenant + "/", "appid": ContosoAPI, "appidacr": "1", "oid": Bob,
		"upn": "bob@contoso.example", "unique_name": "bob@contoso.example", "scp": "user_impersonation", "ver": "1.0", "amr": []any{"pwd"}, "acr": "1",
	}
	got := map[string]any{}
	for name := range want {
		got[name] = claims[name]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := body["scope"]; got != "https://search.azure.com/user_impersonation https://search.azure.com/.default" {
		t.Errorf("scope = %v", got)
	}
	if body["refresh_token"] != nil || body["id_token"] != nil || body["client_info"] == nil || body["token_type"] != "Bearer" {
		t.Errorf("nothing is there unless asked for: %v", slices.Sorted(maps.Keys(body)))
	}
}

func TestAppOnlyTokens(t *testing.T) {
	s := newServer(t, Config{})
	get := func(id, scope string) (claimSet, map[string]any) {
		status, body := post(t, s, url.Values{"grant_type": {grantClient}, clientID: {id}, "client_secret": {s.dir.ClientSecret(client(id)).Reveal()}, "scope": {scope}}, nil)
		if status != 200 {
			t.Fatalf("%s for %s: %v", id, scope, body)
		}
		_, claims := claimsOf(t, claimSet(body).text("access_token"))
		return claims, body
	}
	claims, body := get(entra.SearchAppID, "https://graph.microsoft.com/.default openid profile offline_access")
	if diff := cmp.Diff([]string{"GroupMember.Read.All", "User.Read.All"}, claims.texts("roles")); diff != "" || claims["scp"] != nil || claims["idtyp"] != nil {
		t.Errorf("%v\n%s", claims, diff)
	}
	if diff := cmp.Diff([]string{"access_token", "expires_in", "ext_expires_in", "token_type"}, slices.Sorted(maps.Keys(body))); diff != "" {
		t.Error(diff)
	}
	claims, _ = get(ContosoOther, "api://"+ContosoAPI+"/.default")
	if claims.text("idtyp") != "app" || claims.text("sub") != claims.text("oid") || claims.text("azpacr") != "1" {
		t.Errorf("app-only for the API: %v", claims)
	}
	claims, _ = get(ContosoAgent, ContosoAPI+"/.default")
	if claims.text("xms_par_app_azp") != ContosoBlueprint || claims.text("xms_act_fct") != "3 9 11" || claims.text("xms_sub_fct") != "9 3 11" {
		t.Errorf("an agent of its own: %v", claims)
	}
	_, claims = claimsOf(t, signIn(t, s, "alice", ContosoAgent, "", apiExecute))
	if claims.text("xms_par_app_azp") != ContosoBlueprint || claims["xms_sub_fct"] != nil || claims.text("oid") != Alice {
		t.Errorf("an agent for a person: %v", claims)
	}
}

func TestGroupsOverage(t *testing.T) {
	s := newServer(t, Config{})
	_, claims := claimsOf(t, signIn(t, s, "dana", ContosoWebClient, "", apiExecute))
	if claims["groups"] != nil || claims["_claim_names"] == nil || claims["_claim_sources"] == nil {
		t.Errorf("dana is in too many groups for a token: %v", claims)
	}
	if _, claims = claimsOf(t, signIn(t, s, "carol", ContosoWebClient, "", apiExecute)); claims["groups"] != nil || claims["_claim_names"] != nil {
		t.Errorf("carol is in no group: %v", claims)
	}
}

func TestBoundToken(t *testing.T) {
	s := newServer(t, Config{})
	form := with(exchange(s, signIn(t, s, "alice", ContosoWebClient, "", apiExecute)), "token_type", "pop", "req_cnf", b64(`{"kid":"k1"}`))
	_, body := post(t, s, form, nil)
	_, claims := claimsOf(t, claimSet(body).text("access_token"))
	if diff := cmp.Diff(map[string]any{"kid": "k1"}, claims["cnf"]); diff != "" || body["token_type"] != "pop" {
		t.Errorf("%v %s", body["token_type"], diff)
	}
	for _, bad := range []string{"", "*", b64("[]"), b64("{}")} {
		if _, body = post(t, s, with(form, "req_cnf", bad), nil); aadsts(body) != 90023 {
			t.Errorf("req_cnf %q: %v", bad, body)
		}
	}
}

// TestGraphTokensVerifyForGraphAlone has the trap for those who take Graph's tokens for their own.
func TestGraphTokensVerifyForGraphAlone(t *testing.T) {
	s := newServer(t, Config{})
	token, err := parseJWT(signIn(t, s, "alice", ContosoWebClient, "", "User.Read"))
	if err != nil {
		t.Fatal(err)
	}
	if s.keys.signer().verifies(token.signed, token.signature) {
		t.Error("a Graph token verifies as it stands")
	}
	if err := s.checkSignature(token); err != nil {
		t.Errorf("with its nonce it does not verify either: %v", err)
	}
}

func TestRefresh(t *testing.T) {
	s := newServer(t, Config{})
	_, body := post(t, s, with(exchange(s, signIn(t, s, "alice", ContosoWebClient, "", apiExecute)), "scope", searchDefault+" offline_access"), nil)
	good := without(exchange(s, ""), "assertion", "requested_token_use", "scope")
	good = with(good, "grant_type", grantRefresh, "refresh_token", claimSet(body).text("refresh_token"))
	for _, test := range []struct {
		desc   string
		form   url.Values
		aadsts int
	}{
		{"without a scope: the same again", good, 0},
		{"a second time", good, 0},
		{"another resource", with(good, "scope", "https://graph.microsoft.com/.default"), 0},
		{"nonsense", with(good, "refresh_token", "1.nonsense"), 9002313},
		{"none", without(good, "refresh_token"), 900144},
		{"another client", with(good, clientID, ContosoOther, "client_secret", s.dir.ClientSecret(client(ContosoOther)).Reveal()), 70000},
		{"a confidential client without proof", without(good, "client_secret"), 7000218},
		{"a resource without consent", with(good, "scope", "api://"+ContosoOther+"/access"), 65001},
	} {
		if _, body := post(t, s, test.form, nil); aadsts(body) != test.aadsts {
			t.Errorf("%s: got %v, want AADSTS%d", test.desc, body, test.aadsts)
		}
	}
	if err := s.Advance(91 * 24 * time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, body := post(t, s, good, nil); aadsts(body) != 700082 {
		t.Errorf("after 91 days: %v", body)
	}
}

func TestStrictRefresh(t *testing.T) {
	s := newServer(t, Config{StrictRefresh: true})
	_, body := post(t, s, with(exchange(s, signIn(t, s, "alice", ContosoWebClient, "", apiExecute)), "scope", searchDefault+" offline_access"), nil)
	form := with(without(exchange(s, ""), "assertion", "requested_token_use", "scope"), "grant_type", grantRefresh, "refresh_token", claimSet(body).text("refresh_token"))
	if _, body = post(t, s, form, nil); aadsts(body) != 0 || body["refresh_token"] == nil {
		t.Fatalf("the first use: %v", body)
	}
	if _, again := post(t, s, form, nil); aadsts(again) != 70000 {
		t.Errorf("the second use: %v", again)
	}
	if _, body = post(t, s, with(form, "refresh_token", claimSet(body).text("refresh_token")), nil); aadsts(body) != 0 {
		t.Errorf("the new one: %v", body)
	}
}

func TestAgeing(t *testing.T) {
	s := newServer(t, Config{})
	old := signIn(t, s, "alice", ContosoWebClient, "", apiExecute)
	if err := s.Advance(2 * time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, body := post(t, s, exchange(s, old), nil); aadsts(body) != 500133 {
		t.Errorf("an assertion of two hours ago: %v", body)
	}
	if _, body := post(t, s, exchange(s, signIn(t, s, "alice", ContosoWebClient, "", apiExecute)), nil); aadsts(body) != 0 {
		t.Errorf("one of now: %v", body)
	}
	for _, bad := range []time.Duration{0, -time.Second, 100 * 365 * 24 * time.Hour} {
		if err := s.Advance(bad); err == nil {
			t.Errorf("Advance(%s) is accepted", bad)
		}
	}
}

// TestHostileRequests has malformed requests to the token endpoint: each gets an error of Entra's.
func TestHostileRequests(t *testing.T) {
	s := newServer(t, Config{})
	good := exchange(s, signIn(t, s, "alice", ContosoWebClient, "", apiExecute)).Encode()
	const formType = "application/x-www-form-urlencoded"
	for _, test := range []struct {
		desc, method, path, contentType, authorization, body string
		aadsts                                               int
	}{
		{"nothing", "POST", "", formType, "", "", 900144},
		{"JSON", "POST", "", "application/json", "", `{"grant_type":"client_credentials"}`, 900144},
		{"no content type", "POST", "", "", "", good, 900144},
		{"multipart", "POST", "", "multipart/form-data; boundary=x", "", "--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nx\r\n--x--", 900144},
		{"bad escapes", "POST", "", formType, "", "grant_type=%zz", 9002313},
		{"a parameter twice", "POST", "", formType, "", good + "&client_id=" + ContosoOther, 9002313},
		{"too much", "POST", "", formType, "", good + "&x=" + strings.Repeat("x", maxForm), 9002313},
		{"a secret twice", "POST", "", formType, "Basic " + "YTpi", good, 9002313},
		{"Basic that is no Basic", "POST", "", formType, "Basic ***", "grant_type=client_credentials", 900144},
		{"Basic with bad escapes", "POST", "", formType, "Basic JXp6OiV6eg==", "grant_type=client_credentials", 9002313},
		{"GET", "GET", "", formType, "", "", 900561},
		{"the tenant of personal accounts", "POST", "/consumers/oauth2/v2.0/token", formType, "", good, 9002331},
		{"an application of one tenant at common", "POST", "/common/oauth2/v2.0/token", formType, "", good, 50194},
		{"another tenant", "POST", "/fabrikam.example/oauth2/v2.0/token", formType, "", good, 90002},
		{"no tenant", "POST", "/*/oauth2/v2.0/token", formType, "", good, 900023},
		{"NUL in the scope", "POST", "", formType, "", strings.Replace(good, "scope=", "scope=%00", 1), 500011},
		{"a very long scope", "POST", "", formType, "", strings.Replace(good, "scope=", "scope="+strings.Repeat("s", 100_000), 1), 500011},
		{"an unknown grant with markup", "POST", "", formType, "", "grant_type=%3Cscript%3E", 70003},
	} {
		path := test.path
		if path == "" {
			path = "/" + ContosoTenant + "/oauth2/v2.0/token"
		}
		r := httptest.NewRequest(test.method, path, strings.NewReader(test.body))
		for name, value := range map[string]string{"Content-Type": test.contentType, "Authorization": test.authorization} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		var body map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || aadsts(body) != test.aadsts || w.Code >= 500 {
			t.Errorf("%s: got %d %s, want AADSTS%d", test.desc, w.Code, w.Body, test.aadsts)
		}
		if len(w.Body.String()) > 4096 {
			t.Errorf("%s: the answer repeats %d bytes of the request", test.desc, w.Body.Len())
		}
	}
}

// TestSecrets has what a secret can be wrong in, and Basic authentication, whose parts are form-encoded.
func TestSecrets(t *testing.T) {
	s := newServer(t, Config{})
	const odd = "p+q %/ü"
	if err := s.dir.UpdateApplication(client(ContosoOther), func(a *Application) error {
		a.PasswordCredentials = append(a.PasswordCredentials,
			PasswordCredential{KeyID: newGUID(), Secret: identity.NewSecret("old"), End: time.Now().Add(-time.Hour)},
			PasswordCredential{KeyID: newGUID(), Secret: identity.NewSecret(odd), End: time.Now().Add(time.Hour)})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	form := url.Values{"grant_type": {grantClient}, clientID: {ContosoOther}, "scope": {"https://graph.microsoft.com/.default"}}
	for secret, want := range map[string]int{"old": 7000222, odd: 0, "": 7000216, "OLD": 7000215} {
		if _, body := post(t, s, with(form, "client_secret", secret), nil); aadsts(body) != want {
			t.Errorf("%q: got %v, want AADSTS%d", secret, body, want)
		}
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(ContosoOther+":"+url.QueryEscape(odd)))
	if _, body := post(t, s, without(form, clientID), http.Header{"Authorization": {basic}}); aadsts(body) != 0 {
		t.Errorf("Basic: %v", body)
	}
	if err := s.dir.UpdateServicePrincipal(s.dir.PrincipalOf(client(ContosoOther)).ID, func(sp *ServicePrincipal) { sp.AccountEnabled = false }); err != nil {
		t.Fatal(err)
	}
	if _, body := post(t, s, with(form, "client_secret", odd), nil); aadsts(body) != 7000112 {
		t.Errorf("a disabled application: %v", body)
	}
}
