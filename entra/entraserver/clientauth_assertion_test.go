package entraserver

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// certificate makes a key and a certificate of an application.
func certificate(t *testing.T) (*rsa.PrivateKey, []byte) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "app"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

// assertionBy signs RS256, or PS256 when the header says so.
func assertionBy(t *testing.T, key *rsa.PrivateKey, header, claims claimSet) string {
	t.Helper()
	text, err := encodeJWT(header, claims)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(text)
	var signature []byte
	if header["alg"] == "PS256" {
		signature, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	} else {
		signature, err = rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(appendPart(append(text, '.'), signature))
}

func askWithAssertion(t *testing.T, s *Server, assertion string) (int, map[string]any) {
	t.Helper()
	return tokenRequest(t, s, "grant_type", "client_credentials", "client_id", ContosoAPI, "scope", "https://search.azure.com/.default",
		"client_assertion_type", assertionType, "client_assertion", assertion)
}

// Each library names its certificate in another way (entra-wire.md §3.7); all are to be understood.
func TestCertificateAssertions(t *testing.T) {
	s := newTestServer(t, nil)
	key, der := certificate(t)
	otherKey, otherDER := certificate(t)
	now := time.Now()
	err := s.dir.UpdateApplication(client(ContosoAPI), func(a *Application) error {
		a.KeyCredentials = []KeyCredential{
			{KeyID: newGUID(), Type: "AsymmetricX509Cert", Usage: "Verify", Key: der},
			{KeyID: newGUID(), Type: "AsymmetricX509Cert", Usage: "Verify", Key: otherDER, End: now.Add(-time.Minute)},
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sum1, sum256, old := sha1.Sum(der), sha256.Sum256(der), sha1.Sum(otherDER)
	endpoint := "https://localhost:8443/" + ContosoTenant + "/oauth2/v2.0/token"
	claims := func(change ...any) claimSet {
		c := claimSet{"aud": endpoint, "iss": ContosoAPI, "sub": ContosoAPI, "jti": "1", "exp": now.Unix() + 600, "nbf": now.Unix()}
		for i := 0; i+1 < len(change); i += 2 {
			if name := fmt.Sprint(change[i]); change[i+1] == nil {
				delete(c, name)
			} else {
				c[name] = change[i+1]
			}
		}
		return c
	}
	thumb := base64.RawURLEncoding.EncodeToString(sum1[:])
	rs := claimSet{"alg": "RS256", "typ": "JWT", "x5t": thumb}
	for _, test := range []struct {
		desc      string
		assertion string
		want      int
	}{
		{"MSAL for Go", assertionBy(t, key, claimSet{"alg": "PS256", "typ": "JWT", "x5t#S256": base64.StdEncoding.EncodeToString(sum256[:]), "x5c": []string{"x"}}, claims()), 0},
		{"MSAL for Node, SHA-256", assertionBy(t, key, claimSet{"alg": "PS256", "x5t#S256": base64.RawURLEncoding.EncodeToString(sum256[:])}, claims("iat", now.Unix())), 0},
		{"MSAL for Node, SHA-1", assertionBy(t, key, rs, claims()), 0},
		{"MSAL for Python", assertionBy(t, key, claimSet{"alg": "RS256", "x5t": base64.URLEncoding.EncodeToString(sum1[:])}, claims("nbf", nil, "exp", float64(now.Unix())+600.5766387)), 0},
		{"kid in hexadecimal", assertionBy(t, key, claimSet{"alg": "RS256", "kid": strings.ToUpper(hex.EncodeToString(sum1[:]))}, claims()), 0},
		{"for the v1 endpoint", assertionBy(t, key, rs, claims("aud", "https://localhost:8443/"+ContosoTenant+"/oauth2/token")), 0},
		{"for the issuer", assertionBy(t, key, rs, claims("aud", "https://localhost:8443/"+ContosoTenant+"/v2.0")), 0},
		{"for the tenant by its domain", assertionBy(t, key, rs, claims("aud", "https://localhost:8443/"+ContosoDomain+"/oauth2/v2.0/token")), 0},
		{"for another tenant", assertionBy(t, key, rs, claims("aud", "https://localhost:8443/"+Alice+"/oauth2/v2.0/token")), 700023},
		{"for Microsoft", assertionBy(t, key, rs, claims("aud", "https://login.microsoftonline.com/"+ContosoTenant+"/oauth2/v2.0/token")), 700023},
		{"for two", assertionBy(t, key, rs, claims("aud", []string{endpoint, "x"})), 700023},
		{"about somebody else", assertionBy(t, key, rs, claims("sub", ContosoOther)), 50048},
		{"by somebody else", assertionBy(t, key, rs, claims("iss", ContosoOther)), 700211},
		{"by nobody", assertionBy(t, key, rs, claims("iss", nil)), 700211},
		{"expired", assertionBy(t, key, rs, claims("exp", now.Unix()-600)), 700024},
		{"without an end", assertionBy(t, key, rs, claims("exp", nil)), 700024},
		{"for later", assertionBy(t, key, rs, claims("nbf", now.Unix()+3600)), 700024},
		{"with another key", assertionBy(t, otherKey, rs, claims()), 700027},
		{"with an unknown certificate", assertionBy(t, key, claimSet{"alg": "RS256", "x5t": "AAAA"}, claims()), 700027},
		{"with a certificate of which only one name fits", assertionBy(t, key, claimSet{"alg": "RS256", "x5t": thumb, "x5t#S256": "AAAA"}, claims()), 700027},
		{"without a certificate", assertionBy(t, key, claimSet{"alg": "RS256"}, claims()), 700027},
		{"with an old certificate", assertionBy(t, otherKey, claimSet{"alg": "RS256", "x5t": base64.RawURLEncoding.EncodeToString(old[:])}, claims()), 700027},
		{"with an algorithm of another kind", assertionBy(t, key, claimSet{"alg": "HS256", "x5t": thumb}, claims()), 700027},
		{"with PKCS #1 said to be PSS", strings.Replace(assertionBy(t, key, rs, claims()), base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256"`))[:18], base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"PS256"`))[:18], 1), 700027},
		{"no JWT", "hello", 50027},
	} {
		status, answer := askWithAssertion(t, s, test.assertion)
		if got := aadsts(answer); got != test.want || (test.want == 0) != (status == 200) || test.want > 50027 && status != http.StatusUnauthorized {
			t.Errorf("%s: got %d %v, want AADSTS%d", test.desc, status, answer["error_description"], test.want)
		}
		if access, ok := answer["access_token"]; ok && claimsIn(t, access).text("appidacr") != "2" {
			t.Errorf("%s: got %v", test.desc, claimsIn(t, access))
		}
	}
	_, answer := tokenRequest(t, s, "grant_type", "client_credentials", "client_id", ContosoAPI, "scope", "https://search.azure.com/.default", "client_assertion_type", "x", "client_assertion", "y")
	if aadsts(answer) != 90023 {
		t.Errorf("another type of assertion: %v", answer)
	}
}

// issuerOf is another identity provider, which counts who asks it for its keys.
func issuerOf(t *testing.T, key *rsa.PrivateKey, change func(metadata, keys map[string]any)) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var asked atomic.Int32
	var web *httptest.Server
	web = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		metadata := map[string]any{"issuer": web.URL, "jwks_uri": web.URL + "/keys"}
		keys := map[string]any{"keys": []any{map[string]any{
			"kty": "RSA", "kid": "k", "use": "sig", "n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": "AQAB",
		}}}
		if change != nil {
			change(metadata, keys)
		}
		w.Header().Set("Content-Type", "application/json")
		out := metadata
		if r.URL.Path == "/keys" {
			out = keys
		}
		_ = json.NewEncoder(w).Encode(out)
	}))
	t.Cleanup(web.Close)
	return web, &asked
}

func TestFederatedCredentials(t *testing.T) {
	key, _ := certificate(t)
	issuer, asked := issuerOf(t, key, nil)
	s := newTestServer(t, func(c *Config) { c.HTTPClient = issuer.Client() })
	err := s.dir.UpdateApplication(client(ContosoAPI), func(a *Application) error {
		a.FederatedCredentials = append(a.FederatedCredentials, FederatedCredential{ID: newGUID(), Name: "ci", Issuer: issuer.URL, Subject: "repo:a/b", Audiences: []string{"api://AzureADTokenExchange"}})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	assertion := func(iss, sub, aud string, exp int64, kid string) string {
		return assertionBy(t, key, claimSet{"alg": "RS256", "kid": kid}, claimSet{"iss": iss, "sub": sub, "aud": aud, "exp": exp})
	}
	const exchange = "api://AzureADTokenExchange"
	for _, test := range []struct {
		desc      string
		assertion string
		want      int
		asked     int32 // how many requests to the issuer there were so far
	}{
		{"another subject", assertion(issuer.URL, "repo:a/c", exchange, now+60, "k"), 700213, 0},
		{"a subject in another case", assertion(issuer.URL, "Repo:a/b", exchange, now+60, "k"), 700213, 0},
		{"another audience", assertion(issuer.URL, "repo:a/b", "api://x", now+60, "k"), 700212, 0},
		{"another issuer", assertion("https://evil.example", "repo:a/b", exchange, now+60, "k"), 700211, 0},
		{"an issuer with a slash too many", assertion(issuer.URL+"/", "repo:a/b", exchange, now+60, "k"), 700211, 0},
		{"right", assertion(issuer.URL, "repo:a/b", exchange, now+60, "k"), 0, 2},
		{"right again", assertion(issuer.URL, "repo:a/b", exchange, now+60, "k"), 0, 2},
		{"expired", assertion(issuer.URL, "repo:a/b", exchange, now-3600, "k"), 700024, 2},
		{"an unknown key", assertion(issuer.URL, "repo:a/b", exchange, now+60, "other"), 700027, 2},
		{"spoiled", assertion(issuer.URL, "repo:a/b", exchange, now+60, "k") + "A", 700027, 2},
	} {
		status, answer := askWithAssertion(t, s, test.assertion)
		if got := aadsts(answer); got != test.want || (test.want == 0) != (status == 200) || asked.Load() != test.asked {
			t.Errorf("%s: got %d %v after %d requests, want AADSTS%d after %d", test.desc, status, answer["error_description"], asked.Load(), test.want, test.asked)
		}
	}
}

// What another issuer answers is foreign input.
func TestFederatedCredentialsOfBadIssuers(t *testing.T) {
	key, _ := certificate(t)
	for desc, change := range map[string]func(metadata, keys map[string]any){
		"its metadata names another": func(m, _ map[string]any) { m["issuer"] = "https://evil.example" },
		"its keys are not at https":  func(m, _ map[string]any) { m["jwks_uri"] = "http://127.0.0.1:1/keys" },
		"it has no keys":             func(m, _ map[string]any) { delete(m, "jwks_uri") },
		"its answer is too long":     func(_, k map[string]any) { k["x"] = strings.Repeat("x", maxForeignBody) },
		"its key is small": func(_, k map[string]any) {
			k["keys"] = []any{map[string]any{"kty": "RSA", "kid": "k", "n": "AQAB", "e": "AQAB"}}
		},
		"its key is broken": func(_, k map[string]any) {
			k["keys"] = []any{map[string]any{"kty": "RSA", "kid": "k", "n": "!", "e": ""}}
		},
		"its keys are no list": func(_, k map[string]any) { k["keys"] = "x" },
	} {
		issuer, _ := issuerOf(t, key, change)
		s := newTestServer(t, func(c *Config) { c.HTTPClient = issuer.Client() })
		if err := s.dir.UpdateApplication(client(ContosoAPI), func(a *Application) error {
			a.FederatedCredentials = []FederatedCredential{{Name: "ci", Issuer: issuer.URL, Subject: "s", Audiences: []string{"a"}}}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		assertion := assertionBy(t, key, claimSet{"alg": "RS256", "kid": "k"}, claimSet{"iss": issuer.URL, "sub": "s", "aud": "a", "exp": time.Now().Unix() + 60})
		if _, answer := askWithAssertion(t, s, assertion); aadsts(answer) != 50166 && aadsts(answer) != 700027 {
			t.Errorf("%s: got %v", desc, answer)
		}
	}
}

// identityTokenOf asks one of the managed identity endpoints.
func identityTokenOf(t *testing.T, s *Server, target string, header ...string) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "https://localhost:8443"+target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var out map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatalf("%s: %d %s", target, w.Code, w.Body)
	}
	return w.Code, out
}

func TestManagedIdentity(t *testing.T) {
	s := newTestServer(t, nil)
	const msi, imds = "/msi/token?api-version=2019-08-01&resource=", "/metadata/identity/oauth2/token?api-version=2018-02-01&resource="
	for _, test := range []struct {
		desc, target, header, value string
		status                      int
	}{
		{"App Service", msi + "https://search.azure.com", "X-IDENTITY-HEADER", "x", 200},
		{"by client id", msi + "https://search.azure.com&client_id=" + ContosoIdentity, "X-IDENTITY-HEADER", "x", 200},
		{"by principal id", msi + "https://search.azure.com&principal_id=" + ContosoIdentityObject, "X-IDENTITY-HEADER", "x", 200},
		{"without the header", msi + "https://search.azure.com", "Metadata", "true", 401},
		{"another version", "/msi/token?api-version=2017-09-01&resource=https://search.azure.com", "X-IDENTITY-HEADER", "x", 400},
		{"an unknown identity", msi + "https://search.azure.com&client_id=" + ContosoAPI, "X-IDENTITY-HEADER", "x", 400},
		{"by a resource id", msi + "https://search.azure.com&mi_res_id=/subscriptions/x", "X-IDENTITY-HEADER", "x", 400},
		{"an unknown resource", msi + "https://nothing.example", "X-IDENTITY-HEADER", "x", 400},
		{"no resource", msi, "X-IDENTITY-HEADER", "x", 400},
		{"a machine", imds + "https://search.azure.com/", "Metadata", "true", 200},
		{"by object id", imds + "https://search.azure.com/&object_id=" + ContosoIdentityObject, "Metadata", "true", 200},
		{"a machine without the header", imds + "https://search.azure.com", "X", "y", 400},
		{"a machine that knows no resource", imds, "Metadata", "true", 400},
	} {
		status, answer := identityTokenOf(t, s, test.target, test.header, test.value)
		if status != test.status {
			t.Errorf("%s: got %d %v, want %d", test.desc, status, answer, test.status)
		}
		if status == 200 && (claimsIn(t, answer["access_token"]).text("oid") != ContosoIdentityObject || answer["token_type"] != "Bearer") {
			t.Errorf("%s: got %v", test.desc, claimsIn(t, answer["access_token"]))
		}
	}
	if status, _ := identityTokenOf(t, s, imds+"https://search.azure.com", "Metadata", "true", "X-Forwarded-For", "10.0.0.1"); status != 400 {
		t.Errorf("by way of a proxy: %d", status)
	}
}

// The sample's API can prove itself with its managed identity, and with nothing else of ours.
func TestManagedIdentityAsFederatedCredential(t *testing.T) {
	s := newTestServer(t, nil)
	_, answer := identityTokenOf(t, s, "/msi/token?api-version=2019-08-01&resource=api://AzureADTokenExchange", "X-IDENTITY-HEADER", "x")
	assertion, _ := answer["access_token"].(string)
	if status, got := askWithAssertion(t, s, assertion); status != 200 {
		t.Fatalf("got %d %v", status, got)
	}
	if err := s.Advance(25 * time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, got := askWithAssertion(t, s, assertion); aadsts(got) != 700024 {
		t.Errorf("expired: %v", got)
	}
	_, answer = identityTokenOf(t, s, "/msi/token?api-version=2019-08-01&resource=https://search.azure.com", "X-IDENTITY-HEADER", "x")
	other, _ := answer["access_token"].(string)
	if _, got := askWithAssertion(t, s, other); aadsts(got) != 700211 && aadsts(got) != 700212 {
		t.Errorf("a token for something else: %v", got)
	}
	if err := s.dir.UpdateApplication(client(ContosoAPI), func(a *Application) error {
		a.FederatedCredentials = append(a.FederatedCredentials, FederatedCredential{
			Name: "person", Issuer: s.self().issuer(2, ContosoTenant), Subject: s.subject(client(ContosoOther), object(Alice)), Audiences: []string{"api://" + ContosoOther},
		})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	token, err := s.SignIn("alice", ContosoWebClient, "", "api://"+ContosoOther+"/access")
	if err != nil {
		t.Fatal(err)
	}
	if _, got := askWithAssertion(t, s, token.Reveal()); aadsts(got) != 700229 {
		t.Errorf("a person's token: %v", got)
	}
}
