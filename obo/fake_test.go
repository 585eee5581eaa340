package obo_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/obo"
)

const (
	tenantID = "7f1d3f0e-6d8e-5d6f-9c41-0d9f4f6f2b10"
	clientID = "11111111-2222-3333-4444-555555555555"
)

// authority is an Entra whose answers a test decides: for faults that the local Entra does not have.
type authority struct {
	*httptest.Server
	discoveries, exchanges atomic.Int64
	serial                 atomic.Int64
	answer                 func(w http.ResponseWriter, r *http.Request) // of the token endpoint; nil: a right one
	lifetime               time.Duration
}

func startAuthority(tb testing.TB) *authority {
	tb.Helper()
	a := &authority{lifetime: time.Hour}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		a.discoveries.Add(1)
		base := a.URL + "/" + r.PathValue("tenant")
		_ = json.NewEncoder(w).Encode(map[string]string{
			"issuer": base + "/v2.0", "authorization_endpoint": base + "/oauth2/v2.0/authorize", "token_endpoint": base + "/oauth2/v2.0/token",
		})
	})
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", func(w http.ResponseWriter, r *http.Request) {
		a.exchanges.Add(1)
		_ = r.ParseForm() // reads the body: only then does the server notice who hangs up
		if a.answer != nil {
			a.answer(w, r)
			return
		}
		a.grant(w, r, nil)
	})
	a.Server = httptest.NewUnstartedServer(mux)
	a.Config.ErrorLog = log.New(io.Discard, "", 0) // hung-up connections are meant
	a.EnableHTTP2 = true
	a.StartTLS()
	tb.Cleanup(a.Close)
	return a
}

// grant answers with a token for the person of the assertion; claims replace those of the token.
func (a *authority) grant(w http.ResponseWriter, r *http.Request, claims map[string]any) {
	person := readJWT(r.FormValue("assertion"))
	now := time.Now()
	token := map[string]any{
		"aud": strings.TrimSuffix(strings.Fields(r.FormValue("scope"))[0], "/.default"), "oid": person["oid"], "tid": person["tid"],
		"exp": now.Add(a.lifetime).Unix(), "n": a.serial.Add(1),
	}
	maps.Copy(token, claims)
	w.Header().Set("x-ms-request-id", "trace-0001")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"token_type": "Bearer", "expires_in": int(a.lifetime / time.Second), "access_token": makeJWT(token), "refresh_token": "0.refresh-token-never-kept",
		"client_info": base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"uid":%q,"utid":%q}`, person["oid"], person["tid"])),
	})
}

// refuse answers with an error of Entra's.
func refuse(status int, code string, number int, more string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":%q,"error_description":"AADSTS%d: words for logs about alice.","error_codes":[%d],"correlation_id":"corr-0001","trace_id":"trace-0002"%s}`, code, number, number, more)
	}
}

func makeJWT(claims map[string]any) string {
	payload, _ := json.Marshal(claims)
	b64 := base64.RawURLEncoding.EncodeToString
	return b64([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + b64(payload) + "." + b64([]byte("signature"))
}

func readJWT(jwt string) (claims map[string]any) {
	parts := strings.Split(jwt, ".")
	if len(parts) == 3 {
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
		_ = json.Unmarshal(payload, &claims)
	}
	return claims
}

// person makes the n-th caller; every round is another sign-in of the same person.
func person(tb testing.TB, n, round int) *identity.Caller {
	tb.Helper()
	tenant, errTenant := identity.ParseTenantID(tenantID)
	object, errObject := identity.ParseObjectID(fmt.Sprintf("00000000-0000-4000-8000-%012d", n))
	client, errClient := identity.ParseClientID("99999999-9999-4999-8999-999999999999")
	if errTenant != nil || errObject != nil || errClient != nil {
		tb.Fatal(errTenant, errObject, errClient)
	}
	jwt := makeJWT(map[string]any{"oid": object.String(), "tid": tenantID, "aud": clientID, "round": round})
	return &identity.Caller{
		Tenant: tenant, Object: object, Client: client, UPN: fmt.Sprintf("person%d@contoso.example", n), Scopes: []string{"execute"},
		Expires: time.Now().Add(time.Hour), Assertion: identity.NewSecret(jwt), Digest: sha256.Sum256([]byte(jwt)),
	}
}

// newClient makes a client of the authority; change may adjust its configuration.
func newClient(tb testing.TB, a *authority, change func(*obo.Config)) *obo.Client {
	tb.Helper()
	cloud, _ := entra.CloudOf(a.URL)
	config := obo.Config{
		Cloud: cloud, Client: mustClientID(tb), Credential: obo.Secret(identity.NewSecret("client-secret-0001")), HTTPClient: a.Client(),
	}
	if change != nil {
		change(&config)
	}
	client, err := obo.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = client.Close() })
	return client
}

func mustClientID(tb testing.TB) identity.ClientID {
	tb.Helper()
	id, err := identity.ParseClientID(clientID)
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

func searchScope(tb testing.TB) entra.Scope {
	tb.Helper()
	return scopeOf(tb, "https://search.azure.com/.default")
}

func scopeOf(tb testing.TB, s string) entra.Scope {
	tb.Helper()
	scope, err := entra.ParseScope(s)
	if err != nil {
		tb.Fatal(err)
	}
	return scope
}
