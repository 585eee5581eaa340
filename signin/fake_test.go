package signin_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/signin"
)

const (
	tenant   = "11111111-1111-4111-8111-111111111111"
	clientID = "22222222-2222-4222-8222-222222222222"
	alice    = "33333333-3333-4333-8333-333333333333"
	bob      = "44444444-4444-4444-8444-444444444444"
)

// fakeEntra answers MSAL as Entra does, with tokens that nobody signed: what it cannot say, entratest can.
type fakeEntra struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	who      string         // object id of who signs in next
	forms    []url.Values   // every token and devicecode request
	refuse   map[string]int // grant type → AADSTS code to refuse it with
	pending  int            // polls before a device code is used
	issued   int
	life     int // seconds
	deviceAt string
}

func startFake(t *testing.T) *fakeEntra {
	t.Helper()
	f := &fakeEntra{t: t, who: alice, refuse: map[string]int{}, life: 3600}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", f.discovery)
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/devicecode", f.deviceCode)
	mux.HandleFunc("GET /{tenant}/oauth2/v2.0/authorize", f.authorize)
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", f.token)
	f.Server = httptest.NewTLSServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeEntra) discovery(w http.ResponseWriter, r *http.Request) {
	base := f.URL + "/" + r.PathValue("tenant")
	f.write(w, 200, map[string]any{
		"issuer": f.URL + "/" + tenant + "/v2.0", "authorization_endpoint": base + "/oauth2/v2.0/authorize",
		"token_endpoint": base + "/oauth2/v2.0/token", "jwks_uri": base + "/discovery/v2.0/keys",
	})
}

func (f *fakeEntra) deviceCode(w http.ResponseWriter, r *http.Request) {
	form := f.note(r)
	page := f.URL + "/devicelogin"
	if f.deviceAt != "" {
		page = f.deviceAt
	}
	f.write(w, 200, map[string]any{
		"user_code": "BPPVYQZMA", "device_code": "the-code " + form.Get("scope"), "verification_uri": page,
		"expires_in": 900, "interval": 5, "message": "To sign in…",
	})
}

func (f *fakeEntra) token(w http.ResponseWriter, r *http.Request) {
	form := f.note(r)
	f.mu.Lock()
	defer f.mu.Unlock()
	grant := form.Get("grant_type")
	if code := f.refuse[grant]; code != 0 {
		f.write(w, 400, map[string]any{
			"error": "invalid_grant", "error_codes": []int{code}, "correlation_id": "c0ffee",
			"error_description": fmt.Sprintf("AADSTS%d: the description names alice@contoso.example", code),
		})
		return
	}
	if grant == "device_code" && f.pending > 0 {
		f.pending--
		f.write(w, 400, map[string]any{"error": "authorization_pending", "error_codes": []int{70016}, "error_description": "AADSTS70016: …"})
		return
	}
	who := f.who
	if grant == "refresh_token" {
		who, _, _ = strings.Cut(form.Get("refresh_token"), ".")
	}
	f.issued++
	name := map[string]string{alice: "alice@contoso.example", bob: "bob@contoso.example"}[who]
	claims := map[string]any{"aud": clientID, "oid": who, "tid": tenant, "preferred_username": name, "sub": "s-" + who, "iss": f.URL}
	var scopes []string
	for scope := range strings.FieldsSeq(form.Get("scope")) {
		if strings.Contains(scope, "/") {
			scopes = append(scopes, scope)
		}
	}
	f.write(w, 200, map[string]any{
		"token_type": "Bearer", "expires_in": f.life, "scope": strings.Join(scopes, " "),
		"access_token":  jwtOf(map[string]any{"aud": "the-api", "n": f.issued, "oid": who}),
		"refresh_token": fmt.Sprintf("%s.%d", who, f.issued), "id_token": jwtOf(claims),
		"client_info": base64.RawURLEncoding.EncodeToString([]byte(`{"uid":"` + who + `","utid":"` + tenant + `"}`)),
	})
}

// authorize answers at once with the parameters that a browser would post to the redirect address.
func (f *fakeEntra) authorize(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forms = append(f.forms, r.URL.Query())
	answer := map[string]string{"state": r.URL.Query().Get("state")}
	if code := f.refuse["authorize"]; code != 0 {
		answer["error"], answer["error_description"] = "access_denied", fmt.Sprintf("AADSTS%d: the description", code)
	} else {
		answer["code"] = "the-code"
	}
	f.write(w, 200, answer)
}

func (f *fakeEntra) note(r *http.Request) url.Values {
	if err := r.ParseForm(); err != nil {
		f.t.Error(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forms = append(f.forms, r.PostForm)
	return r.PostForm
}

// sent counts the requests of a grant type, "" for device codes asked for.
func (f *fakeEntra) sent(grant string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, form := range f.forms {
		if form.Get("grant_type") == grant {
			n++
		}
	}
	return n
}

func (f *fakeEntra) last() url.Values {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.forms[len(f.forms)-1]
}

func (f *fakeEntra) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fakeEntra) write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		f.t.Error(err)
	}
}

// config signs in by device code at the fake, without anybody having to look at the code.
func (f *fakeEntra) config() signin.Config {
	id, err := identity.ParseClientID(clientID)
	if err != nil {
		f.t.Fatal(err)
	}
	return signin.Config{
		Authority: f.URL + "/", Tenant: tenant, Client: id, HTTPClient: f.Client(),
		Prompt: func(context.Context, signin.DeviceCode) error { return nil },
	}
}

func newClient(t *testing.T, cfg signin.Config) *signin.Client {
	t.Helper()
	client, err := signin.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func scope(t *testing.T, s string) entra.Scope {
	t.Helper()
	parsed, err := entra.ParseScope(s)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func jwtOf(claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		return ""
	}
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"none"}`)) + "." + part(payload) + "." + part([]byte("signature"))
}
