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

// FuzzControl sends anything to the control API: it is answered, and what is in force after it can be read and asked for.
func FuzzControl(f *testing.F) {
	for path, bodies := range map[string][]string{
		"policies":              {`{"rules":[{"require":"mfa","people":["alice"]},{"require":"fresh-sign-in","seconds":-1}]}`, `{"consent_missing":[{"client":"*"}],"access_token_seconds":1e9}`, `null`, `[]`},
		"tokens":                {`{"header":{"alg":"none"},"claims":{"aud":"x","exp":1e999},"key":"unknown"}`, `{"claims":{"a":{"b":[1,"2",null]}},"key":"old"}`, `{}`},
		"clock/advance":         {`{"seconds":3600}`, `{"seconds":-1}`, `{"seconds":9223372036854775807}`, `{"seconds":1e300}`},
		"faults":                {`{"endpoint":"token","count":3,"status":503,"delay_ms":1}`, `{"count":-1}`, `{"status":99}`},
		"devicecodes/A/approve": {`{"user":"alice"}`, `{"user":"../x"}`},
		"scenario/mfa":          {``}, "reset": {``}, "keys/rotate": {``}, "requests": {``},
	} {
		for _, body := range bodies {
			f.Add("POST", "/_local/"+path, body)
			f.Add("PUT", "/_local/"+path, body)
		}
	}
	s, err := New(Config{URL: "https://localhost:8443"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, path, body string) {
		target, err := url.ParseRequestURI(path)
		if err != nil || !strings.HasPrefix(target.Path, "/_local/") || strings.Contains(path, "keys/rotate") && len(body) > 0 {
			return
		}
		for _, r := range []*http.Request{
			httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)),
			httptest.NewRequest(http.MethodGet, "/_local/policies", http.NoBody),
			httptest.NewRequest(http.MethodPost, "/_local/reset", http.NoBody),
		} {
			if r.URL.Path == "/" {
				r.Method, r.URL = method, target
				r.Header.Set("Content-Type", "application/json")
			}
			r.Host, r.RemoteAddr = "localhost:8443", "127.0.0.1:1"
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code >= http.StatusInternalServerError && w.Code != http.StatusNotImplemented {
				t.Fatalf("%s %s %s: %d %s", r.Method, r.URL, body, w.Code, w.Body)
			}
			if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") && w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
				t.Fatalf("%s %s %s: not JSON: %s", r.Method, r.URL, body, w.Body)
			}
		}
	})
}

// FuzzPolicies reads anything as a file of policies.
func FuzzPolicies(f *testing.F) {
	f.Add("rules:\n- require: mfa\n  people: [alice]\nrevoked: [bob]\nresource_parameter: strict\n")
	f.Add("a: &a [*a]\n")
	f.Add("revoked: &a [x]\ndisabled: *a\n---\nx")
	s, err := New(Config{URL: "https://localhost:8443"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ReadPolicies(strings.NewReader(text))
		if err == nil && s.SetPolicies(p) == nil {
			if _, err := json.Marshal(p); err != nil {
				t.Error(err)
			}
		}
	})
}
