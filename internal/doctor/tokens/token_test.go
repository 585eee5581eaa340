package tokens_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/bearer"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/doctor/tokens"
)

// bench is a local Entra, the verifier of a server there, and the set-up that tokens are explained against.
type bench struct {
	entra    *entratest.Entra
	verifier *bearer.Verifier
	setup    tokens.Setup
}

func start(t *testing.T) *bench {
	t.Helper()
	local := entratest.Start(t, nil)
	cloud, _ := entra.CloudOf(local.URL) // is none of Microsoft's
	uri := "api://" + local.API
	tenant, err1 := identity.ParseTenantID(local.Tenant)
	scope, err2 := entra.NewScope(uri, "execute")
	verifier, err3 := bearer.New(bearer.Config{
		Resource: mustURL(t, "https://mcp.contoso.com/mcp"), Cloud: cloud, Tenants: []identity.TenantID{tenant},
		Audiences: []string{local.API, uri}, Scopes: []entra.Scope{scope}, HTTPClient: local.Client(),
	})
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			t.Fatal(err)
		}
	}
	keys, err := tokens.ParseKeys(fetch(t, local.Client(), local.URL+"/"+local.Tenant+"/discovery/v2.0/keys"))
	if err != nil {
		t.Fatal(err)
	}
	return &bench{local, verifier, tokens.Setup{
		Cloud: cloud, Tenant: local.Tenant, API: local.API, AppIDURI: uri, Scope: "execute", Now: time.Now(), Keys: keys,
		Names: map[string]string{local.WebClient: "WEB_CLIENT_ID"},
	}}
}

func fetch(t *testing.T, client *http.Client, address string) []byte {
	t.Helper()
	resp, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var text json.RawMessage
	if err := json.NewDecoder(resp.Body).Decode(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

// TestTokensAgainstTheVerifier holds the words against the decision: a token is explained as refused if and only if the
// server refuses it, and the reason names the claim.
func TestTokensAgainstTheVerifier(t *testing.T) {
	b := start(t)
	now := time.Now().Unix()
	type claims = map[string]any
	for _, tt := range []struct {
		desc           string
		header, claims claims
		key            string
		want           []string // claims that are named, in order
	}{
		{"a good one", nil, nil, "", nil},
		{"for Graph", claims{"nonce": "x"}, claims{"aud": entra.GraphAppID}, "", []string{"aud"}},
		{"for another API", nil, claims{"aud": "api://other"}, "", []string{"aud"}},
		{"for several APIs", nil, claims{"aud": []string{b.entra.API}}, "", []string{"aud"}},
		{"audience in another spelling", nil, claims{"aud": strings.ToUpper(b.entra.API)}, "", []string{"aud"}},
		{"without audience", nil, claims{"aud": nil}, "", []string{"aud"}},
		{"version 1", nil, claims{"ver": "1.0", "iss": b.entra.URL + "/" + b.entra.Tenant + "/", "appid": b.entra.WebClient, "azp": nil}, "", []string{"ver"}},
		{"version 2 by the issuer of version 1", nil, claims{"iss": b.entra.URL + "/" + b.entra.Tenant + "/"}, "", []string{"iss"}},
		{"another tenant", nil, claims{"tid": "00000000-0000-4000-8000-0000000000aa"}, "", []string{"tid"}},
		{"another authority", nil, claims{"iss": "https://login.microsoftonline.com/" + b.entra.Tenant + "/v2.0"}, "", []string{"iss"}},
		{"a key that nobody publishes", nil, nil, "unknown", []string{"signature"}},
		{"no signature", nil, nil, "none", []string{"signature"}},
		{"expired", nil, claims{"exp": now - 3600}, "", []string{"exp"}},
		{"not valid yet", nil, claims{"nbf": now + 3600}, "", []string{"nbf"}},
		{"without an end", nil, claims{"exp": nil}, "", []string{"exp"}},
		{"an application's", nil, claims{"scp": nil, "idtyp": "app", "roles": []string{"Tools.Execute.All"}}, "", []string{"idtyp"}},
		{"an application's without idtyp", nil, claims{"scp": nil, "idtyp": nil, "sub": entraserver.Alice}, "", []string{"idtyp"}},
		{"an id token", nil, claims{"scp": nil, "idtyp": nil, "nonce": "n"}, "", []string{"scp"}},
		{"without the scope", nil, claims{"scp": "read write"}, "", []string{"scp"}},
		{"for another API and without the scope", nil, claims{"aud": "api://other", "scp": "User.Read"}, "", []string{"aud"}},
		{"nobody's", nil, claims{"oid": nil}, "", []string{"oid"}},
		{"through no client", nil, claims{"azp": nil}, "", []string{"azp"}},
		{"bound to a key", nil, claims{"cnf": claims{"kid": "x"}}, "", []string{"cnf"}},
		{"an agent's own account", nil, claims{"xms_sub_fct": "13"}, "", []string{"xms_sub_fct"}},
		{"brings its key", claims{"jku": "https://evil.example"}, nil, "", []string{"jku"}},
		{"of a wrong type", claims{"typ": "dpop+jwt"}, nil, "", []string{"typ"}},
		{"several at once", nil, claims{"aud": "api://other", "ver": "1.0", "exp": now - 3600}, "", []string{"aud", "ver", "exp"}},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			token := b.entra.SignWith(entraserver.SignRequest{Header: tt.header, Claims: tt.claims, Key: tt.key, User: "alice"})
			got, err := tokens.Explain("Bearer "+token.Reveal()+"\n", b.setup)
			if err != nil {
				t.Fatal(err)
			}
			var named []string
			for _, reason := range got.Refused {
				named = append(named, reason.Claim)
				if reason.Cause == "" || reason.Fix == "" || reason.Seen == "" {
					t.Errorf("not complete: %+v", reason)
				}
			}
			if diff := cmp.Diff(tt.want, named); diff != "" {
				t.Error(diff)
			}
			if _, refusal := b.verifier.Verify(t.Context(), token); (refusal != nil) != (len(named) > 0) {
				t.Errorf("the verifier says %v", refusal)
			}
			for _, part := range slices.Collect(strings.SplitSeq(token.Reveal(), ".")) {
				var text strings.Builder
				got.WriteText(&text)
				plain, _ := json.Marshal(got)
				if part != "" && (strings.Contains(text.String(), part) || strings.Contains(string(plain), part)) {
					t.Error("the explanation holds a part of the token")
				}
			}
		})
	}
}

func TestTokenSaysWhoAndForWhom(t *testing.T) {
	b := start(t)
	token := b.entra.SignIn("dana", b.entra.WebClient, "api://"+b.entra.API+"/execute")
	answer, _ := json.Marshal(map[string]string{"access_token": token.Reveal(), "token_type": "Bearer"})
	got, err := tokens.Explain(string(answer), b.setup)
	if err != nil {
		t.Fatal(err)
	}
	if got.Who != "Dana Doyle (dana@contoso.example), object id "+entraserver.Dana+" in tenant "+b.entra.Tenant ||
		got.For != "this API ("+b.entra.API+")" || got.Client != "WEB_CLIENT_ID ("+b.entra.WebClient+")" {
		t.Errorf("got %+v", got)
	}
	if !slices.ContainsFunc(got.Notes, func(s string) bool { return strings.Contains(s, "more groups than a token holds") }) {
		t.Errorf("notes: %q", got.Notes)
	}
	unknown := b.setup
	unknown.API, unknown.AppIDURI, unknown.Tenant, unknown.Keys = "", "", "", nil
	got, err = tokens.Explain(token.Reveal(), unknown)
	if err != nil || len(got.Refused) != 0 || len(got.Notes) < 3 {
		t.Errorf("without settings: %+v, %v", got, err)
	}
}

func TestWhatIsNoToken(t *testing.T) {
	for _, text := range []string{"", "{}", "Bearer ", "abc", "0.AXoA-refresh-token", "a.b.c.d.e", "a.b.c", "eyJhIjoxfQ.bm8.x", "eyJhIjoxfQ.eyJhIjoxfQ.!", "eyJhIjoxfQ.bnVsbA.x", strings.Repeat("a", 20<<10)} {
		if got, err := tokens.Explain(text, tokens.Setup{}); err == nil {
			t.Errorf("%.20q: got %+v", text, got)
		}
	}
	for _, text := range []string{"", "{}", `{"keys":[]}`, `{"keys":[{"kty":"RSA","kid":"a","n":"!","e":"AQAB"}]}`, `{"keys":[{"kty":"EC","kid":"a"}]}`} {
		if keys, err := tokens.ParseKeys([]byte(text)); err == nil {
			t.Errorf("%q: got %v", text, slices.Collect(maps.Keys(keys)))
		}
	}
}

func FuzzToken(f *testing.F) {
	f.Add("eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJhdWQiOlsxXSwiZXhwIjoxZTk5LCJzY3AiOnt9fQ.AAAA")
	f.Add(`{"accessToken":"eyJhIjoxfQ.eyJhIjoxfQ.AA"}`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := tokens.Explain(text, tokens.Setup{API: "a", Tenant: "b", Now: time.Unix(1e9, 0), Keys: tokens.Keys{}})
		if err == nil && len(got.Refused) == 0 {
			t.Errorf("accepted: %+v", got)
		}
	})
}

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
