package entraserver

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzTokenEndpoint posts anything to the token endpoint: the answer is one of Entra's, in JSON, and never a 500.
func FuzzTokenEndpoint(f *testing.F) {
	s, err := New(Config{URL: "https://localhost:8443"})
	if err != nil {
		f.Fatal(err)
	}
	token, err := s.SignIn("alice", ContosoWebClient, "", apiExecute)
	if err != nil {
		f.Fatal(err)
	}
	good := exchange(s, token.Reveal())
	for _, form := range []url.Values{
		good,
		with(good, "scope", "openid profile https://search.azure.com//.default"),
		with(good, "claims", `{"access_token":{"acrs":{"values":["c1",2]},"capolids":null}}`),
		with(good, "token_type", "pop", "req_cnf", b64(`{"kid":1}`)),
		with(good, "grant_type", grantRefresh, "refresh_token", s.newRefreshToken(refreshToken{client: client(ContosoAPI), issued: s.now(), session: session{person: object(Alice)}})),
		with(good, "grant_type", grantClient, "scope", "https://graph.microsoft.com/.default"),
		with(good, "client_assertion", "a.b.c", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
		{"grant_type": {"authorization_code"}, clientID: {ContosoWebClient}, "code": {"1.x"}},
		{"grant_type": {"device_code"}, clientID: {ContosoWebClient}, "device_code": {"1.x"}},
	} {
		f.Add("/"+ContosoTenant+"/oauth2/v2.0/token", form.Encode(), "")
	}
	for _, text := range malformed() {
		f.Add("/common/oauth2/v2.0/token", with(good, "assertion", text).Encode(), "Basic "+text)
	}
	f.Add("/contoso.example/oauth2/v2.0/devicecode", "client_id="+ContosoWebClient+"&scope=openid&a=%zz", "")
	f.Fuzz(func(t *testing.T, path, body, authorization string) {
		target, err := url.ParseRequestURI(path)
		if err != nil || strings.HasPrefix(strings.ToLower(target.Path), "/_local") {
			return
		}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.URL = target
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError && w.Code != http.StatusNotImplemented {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") && !json.Valid(w.Body.Bytes()) {
			t.Fatalf("not JSON: %s", w.Body)
		}
	})
}

// FuzzUnseal opens anything as what the server issues.
func FuzzUnseal(f *testing.F) {
	s, err := New(Config{URL: "https://localhost:8443"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("1." + randomText(80))
	f.Add(s.newRefreshToken(refreshToken{client: client(ContosoAPI), session: session{person: object(Alice)}}))
	f.Add(s.seal(sealedRefresh, []byte("short")))
	f.Add(s.seal(sealedRefresh, make([]byte, 300)))
	f.Fuzz(func(t *testing.T, text string) {
		token, err := s.openRefreshToken(text)
		if err == nil && token.client.IsZero() {
			t.Errorf("%q opens as a token of nobody", text)
		}
	})
}

// FuzzClaims reads anything as the parameter claims.
func FuzzClaims(f *testing.F) {
	for _, text := range []string{"", "{}", "null", challenge("acrs", "c1", "c99"), challenge("capolids", newGUID()), `{"access_token":{"acrs":{"value":"c1","values":["c100"]}}}`, `{"access_token":[]}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		request, err := parseClaims(text)
		if err != nil {
			return
		}
		for _, name := range contextNames(request.contexts) {
			if _, err := parseContext(name); err != nil {
				t.Error(err)
			}
		}
	})
}
