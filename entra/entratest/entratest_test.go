package entratest_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/entra/entratest"
)

// claims returns those of a token, unverified.
func claims(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a token: %d parts", len(parts))
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func exchange(e *entratest.Entra, assertion string) url.Values {
	return url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "requested_token_use": {"on_behalf_of"}, "assertion": {assertion},
		"client_id": {e.API}, "client_secret": {e.Secret(e.API).Reveal()}, "scope": {searchScope},
	}
}

// refused exchanges and returns Entra's error, nil for a success.
func refused(t *testing.T, e *entratest.Entra, assertion string) *entra.Error {
	t.Helper()
	status, body := e.Token(exchange(e, assertion))
	if status == http.StatusOK {
		return nil
	}
	return entra.ParseError(status, nil, bytes.NewReader(body))
}

func TestTwoStartsShareIDsAndNothingElse(t *testing.T) {
	one, two := entratest.Start(t, nil), entratest.Start(t, nil)
	if one.Tenant != two.Tenant || one.API != two.API || one.URL == two.URL {
		t.Errorf("%s %s %s, %s %s %s", one.Tenant, one.API, one.URL, two.Tenant, two.API, two.URL)
	}
	if one.Secret(one.API).Reveal() == two.Secret(two.API).Reveal() {
		t.Error("the secrets are the same")
	}
	if err := refused(t, two, one.SignIn("alice", one.WebClient, apiScope(one)).Reveal()); err == nil || err.Number() != 50013 {
		t.Errorf("a token of another start: %v", err)
	}
	if response, err := one.Client().Get(two.URL); err == nil {
		_ = response.Body.Close()
		t.Error("the CA of one is good for the other")
	}
}

func TestHelpers(t *testing.T) {
	e := entratest.Start(t, nil)
	token := e.SignIn("alice", e.WebClient, apiScope(e)).Reveal()
	if got := claims(t, token); got["oid"] != entraserver.Alice || got["aud"] != e.API || got["scp"] != "execute" {
		t.Errorf("claims: %v", got)
	}
	capable := e.SignInWithClaims("alice", e.WebClient, `{"access_token":{"xms_cc":{"values":["CP1"]}}}`, apiScope(e)).Reveal()
	if got := claims(t, capable)["xms_cc"]; got == nil {
		t.Error("xms_cc is missing")
	}
	if err := refused(t, e, token); err != nil {
		t.Errorf("the exchange: %v", err)
	}
	e.QueueError(entratest.Fault{Endpoint: "token", Status: 429, RetryAfter: 5, AADSTS: 90055})
	if err := refused(t, e, token); err == nil || err.Number() != 90055 {
		t.Errorf("a queued error: %v", err)
	}
	e.Policy(entraserver.Policies{Rules: []entraserver.Rule{{Require: "block", Resources: []string{entra.SearchAppID}}}})
	if err := refused(t, e, token); err == nil || err.Number() != 53003 {
		t.Errorf("a policy: %v", err)
	}
	if n := e.Count("token", "jwt-bearer"); n != 2 {
		t.Errorf("%d exchanges are counted, want 2: the third was spoiled", n)
	}
	if !slices.ContainsFunc(e.Requests(), func(c entratest.Counted) bool {
		return c.Outcome == "interaction_required AADSTS53003" && c.Requests == 1
	}) {
		t.Errorf("the refusal is not counted: %v", e.Requests())
	}
	e.Reset()
	if err := refused(t, e, token); err != nil {
		t.Errorf("after the reset: %v", err)
	}
	e.Advance(2 * time.Hour)
	if err := refused(t, e, token); err == nil || err.Number() != 500133 {
		t.Errorf("two hours later: %v", err)
	}
	if got := claims(t, e.Sign(map[string]any{"alg": "none"}, map[string]any{"aud": "x", "scp": nil}).Reveal()); got["aud"] != "x" || got["scp"] != nil || got["oid"] != entraserver.Alice {
		t.Errorf("a token of any content: %v", got)
	}
}

// TestMSALCapabilities has what a client that understands claims challenges gets, and what it gets without saying so.
func TestMSALCapabilities(t *testing.T) {
	e := entratest.Start(t, nil)
	for _, capabilities := range [][]string{nil, {"CP1"}} {
		client, err := public.New(e.WebClient, public.WithAuthority(e.Authority()), public.WithInstanceDiscovery(false), public.WithHTTPClient(e.Client()), public.WithClientCapabilities(capabilities))
		if err != nil {
			t.Fatal(err)
		}
		got := claims(t, deviceSignIn(t, e, client, "alice").AccessToken)["xms_cc"]
		if (got != nil) != (capabilities != nil) {
			t.Errorf("with %v: xms_cc = %v", capabilities, got)
		}
	}
}

// TestControlOverHTTPS is what programs in other languages do.
func TestControlOverHTTPS(t *testing.T) {
	e := entratest.Start(t, nil)
	put := func(path, body, origin string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, e.URL+"/_local/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		if origin != "" {
			request.Header.Set("Origin", origin)
		}
		response, err := e.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	for _, test := range []struct {
		path, body, origin string
		want               int
	}{
		{"policies", `{"rules":[{"require":"mfa","resources":["https://search.azure.com"]}]}`, "", 204},
		{"policies", `{}`, "https://evil.example", 403},
		{"scenario/blocked", `{}`, "", 204},
		{"scenario/none", `{}`, "", 400},
	} {
		if got := put(test.path, test.body, test.origin); got != test.want {
			t.Errorf("PUT %s from %q: got %d, want %d", test.path, test.origin, got, test.want)
		}
	}
}

// TestManyAtOnce signs in, exchanges, changes policies and rotates keys at the same time, for the race detector.
func TestManyAtOnce(t *testing.T) {
	e := entratest.Start(t, nil)
	var wait sync.WaitGroup
	for _, person := range []string{"alice", "bob", "carol", "dana"} {
		wait.Go(func() {
			for range 5 {
				token, err := e.Server.SignIn(person, e.WebClient, "", apiScope(e))
				if err != nil {
					t.Error(err)
					return
				}
				e.Token(exchange(e, token.Reveal()))
			}
		})
	}
	wait.Go(func() {
		for i := range 10 {
			if err := e.Server.SetPolicies(entraserver.Policies{Revoked: []string{"bob"}}); err != nil {
				t.Error(err)
			}
			if i%4 == 0 {
				if err := e.Server.RotateKeys(i%8 == 0); err != nil {
					t.Error(err)
				}
			}
			e.Server.Requests()
			e.Server.Reset()
		}
	})
	wait.Wait()
}
