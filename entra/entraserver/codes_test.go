package entraserver

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func newServer(t *testing.T, config Config) *Server {
	t.Helper()
	config.URL = "https://localhost:8443"
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// post sends a form to the token endpoint and returns the answer.
func post(t *testing.T, s *Server, form url.Values, header http.Header) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/"+ContosoTenant+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	maps.Copy(r.Header, header)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("the answer is no JSON: %s", w.Body)
	}
	return w.Code, body
}

// aadsts returns the code of an error body, 0 for a success.
func aadsts(body map[string]any) int {
	codes, _ := body["error_codes"].([]any)
	if len(codes) == 0 {
		return 0
	}
	n, _ := codes[0].(float64)
	return int(n)
}

func TestRedeemCode(t *testing.T) {
	const verifier = "0123456789012345678901234567890123456789012"
	digest := sha256.Sum256([]byte(verifier))
	good := authCode{
		client: client(ContosoWebClient), redirectURI: "http://localhost:5000", scope: "api://" + ContosoAPI + "/execute openid profile offline_access", nonce: "n1",
		challenge: base64.RawURLEncoding.EncodeToString(digest[:]), method: "S256", platform: platformPublic, session: session{person: object(Alice)},
	}
	s := newServer(t, Config{})
	for _, test := range []struct {
		desc   string
		code   func(*authCode)
		form   map[string]string
		origin string
		age    time.Duration
		want   int
	}{
		{desc: "a public client with PKCE"},
		{desc: "a wrong verifier", form: map[string]string{"code_verifier": strings.Repeat("x", 43)}, want: 501481},
		{desc: "a short verifier", code: func(a *authCode) { a.challenge, a.method = "short", "plain" }, form: map[string]string{"code_verifier": "short"}, want: 501481},
		{desc: "no verifier", form: map[string]string{"code_verifier": ""}, want: 501481},
		{desc: "plain", code: func(a *authCode) { a.challenge, a.method = verifier, "plain" }},
		{desc: "another redirect URI", form: map[string]string{"redirect_uri": "http://localhost:5001"}, want: 500112},
		{desc: "too late", age: 11 * time.Minute, want: 70008},
		{desc: "another client's code", code: func(a *authCode) { a.client = client(ContosoOther) }, want: 70000},
		{desc: "a web application without a proof", code: func(a *authCode) { a.platform = platformWeb }, want: 7000218},
		{desc: "a page", code: func(a *authCode) { a.platform = platformSPA }, origin: "https://app.example"},
		{desc: "a page's code elsewhere", code: func(a *authCode) { a.platform = platformSPA }, want: 9002327},
		{desc: "a page with an application's code", origin: "https://app.example", want: 9002326},
		{desc: "somebody who is disabled meanwhile", code: func(a *authCode) { a.session.person = object(Erin) }, want: 50057},
	} {
		t.Run(test.desc, func(t *testing.T) {
			s.Reset()
			code := good
			if test.code != nil {
				test.code(&code)
			}
			text, ok := s.newCode(s.internalCall(), code)
			if !ok {
				t.Fatal("no room")
			}
			if test.age > 0 {
				if err := s.Advance(test.age); err != nil {
					t.Fatal(err)
				}
			}
			form := url.Values{"grant_type": {"authorization_code"}, "client_id": {ContosoWebClient}, "code": {text}, "redirect_uri": {good.redirectURI}, "code_verifier": {verifier}}
			for name, value := range test.form {
				form.Set(name, value)
			}
			header := http.Header{}
			if test.origin != "" {
				header.Set("Origin", test.origin)
			}
			_, body := post(t, s, form, header)
			if got := aadsts(body); got != test.want {
				t.Fatalf("got %v, want AADSTS%d", body, test.want)
			}
			if test.want != 0 {
				return
			}
			id, err := parseJWT(claimSet(body).text("id_token"))
			if err != nil || id.claims.text("nonce") != "n1" || id.claims.text("aud") != ContosoWebClient {
				t.Errorf("id_token: %v, %v", id, err)
			}
			if _, body = post(t, s, form, header); aadsts(body) != 54005 {
				t.Errorf("a second use: got %v, want AADSTS54005", body)
			}
		})
	}
}

func TestAuthenticate(t *testing.T) {
	s := newServer(t, Config{})
	for _, test := range []struct {
		upn, password string
		want          string
	}{
		{"alice", ContosoPassword, ""},
		{" Alice@contoso.example ", ContosoPassword, ""},
		{"alice", "wrong", "entra: invalid_grant (AADSTS50126)"},
		{"alice", "", "entra: invalid_grant (AADSTS50126)"},
		{"mallory", ContosoPassword, "entra: invalid_grant (AADSTS50034)"},
		{"erin", ContosoPassword, "entra: invalid_grant (AADSTS50057)"},
	} {
		got := ""
		if _, err := s.authenticate(test.upn, test.password); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s with %q: got %q, want %q", test.upn, test.password, got, test.want)
		}
	}
}
