package obo_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/obo"
)

func TestExchange(t *testing.T) {
	a := startAuthority(t)
	client := newClient(t, a, nil)
	alice := person(t, 1, 1)
	ctx, call := chain.Begin(t.Context())

	token, err := client.Exchange(ctx, alice, searchScope(t), "")
	if err != nil {
		t.Fatal(err)
	}
	if token.Object != alice.Object || token.Tenant != alice.Tenant || token.Audience != "https://search.azure.com" || time.Until(token.Expires) < 50*time.Minute {
		t.Errorf("got %+v, want alice's token for search", token)
	}
	if readJWT(token.Value.Reveal())["oid"] != alice.Object.String() {
		t.Error("the token is not alice's")
	}
	hops, _ := call.Hops()
	if len(hops) != 1 || hops[0].Station != chain.Exchange || hops[0].Decision != chain.Allowed || hops[0].Status != 200 ||
		hops[0].CorrelationID == "" || hops[0].TraceID != "trace-0001" || hops[0].Subject != alice.Object.String() || hops[0].Audience != "https://search.azure.com" {
		t.Errorf("got hops %+v", hops)
	}
}

func TestEntraRefuses(t *testing.T) {
	const claims = `,"suberror":"basic_action","claims":"{\"access_token\":{\"capolids\":{\"essential\":true,\"values\":[\"c1\"]}}}"`
	for _, tt := range []struct {
		desc   string
		answer func(http.ResponseWriter, *http.Request)
		want   entra.Kind
		reason string
	}{
		{"MFA", refuse(400, "invalid_grant", 50076, claims), entra.InteractionRequired, "AADSTS50076"},
		{"consent", refuse(400, "invalid_grant", 65001, `,"suberror":"consent_required"`), entra.ConsentRequired, "AADSTS65001"},
		{"blocked", refuse(400, "interaction_required", 53003, ""), entra.Blocked, "AADSTS53003"},
		{"disabled", refuse(400, "invalid_grant", 50057, ""), entra.Blocked, "AADSTS50057"},
		{"expired", refuse(400, "invalid_grant", 500133, ""), entra.AssertionExpired, "AADSTS500133"},
		{"audience", refuse(400, "invalid_grant", 500131, ""), entra.AssertionAudience, "AADSTS500131"},
		{"application", refuse(400, "unauthorized_client", 7000114, ""), entra.AppOnly, "AADSTS7000114"},
		{"secret", refuse(401, "invalid_client", 7000215, ""), entra.Misconfigured, "AADSTS7000215"},
		{"throttled", refuse(429, "temporarily_unavailable", 90055, ""), entra.Throttled, "AADSTS90055"},
		{"away", refuse(503, "temporarily_unavailable", 90033, ""), entra.Unavailable, "AADSTS90033"},
		{"a code nobody knows", refuse(400, "invalid_grant", 1234567, ""), entra.AssertionExpired, "AADSTS1234567"},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			a := startAuthority(t)
			a.answer = tt.answer
			ctx, call := chain.Begin(t.Context())
			token, err := newClient(t, a, nil).Exchange(ctx, person(t, 1, 1), searchScope(t), "")
			var refusal *obo.Refusal
			if !errors.As(err, &refusal) || refusal.Kind != tt.want || refusal.Reason != tt.reason || !token.Value.IsZero() {
				t.Fatalf("got %v, %v; want a refusal of kind %v for %s", token, err, tt.want, tt.reason)
			}
			if _, isEntra := errors.AsType[*entra.Error](err); !isEntra {
				t.Error("Entra's answer is not inside")
			}
			if strings.Contains(err.Error(), "alice") || !strings.Contains(refusal.Say(), tt.reason) || !strings.Contains(refusal.Say(), "corr-0001") {
				t.Errorf("Error: %q, Say: %q", err, refusal.Say())
			}
			hops, _ := call.Hops()
			if len(hops) != 1 || hops[0].Reason != tt.reason || hops[0].Decision == chain.Allowed {
				t.Errorf("got hops %+v", hops)
			}
			if tt.desc == "MFA" && refusal.Claims != `{"access_token":{"capolids":{"essential":true,"values":["c1"]}}}` {
				t.Errorf("claims: got %q", refusal.Claims)
			}
		})
	}
}

func TestNothingIsAskedForTheseCallers(t *testing.T) {
	a := startAuthority(t)
	tenant, _ := identity.ParseTenantID(tenantID)
	client := newClient(t, a, func(c *obo.Config) { c.Tenant = tenant })
	change := func(f func(*identity.Caller)) *identity.Caller {
		c := person(t, 1, 1)
		f(c)
		return c
	}
	for _, tt := range []struct {
		desc   string
		caller *identity.Caller
		scope  entra.Scope
		want   entra.Kind
	}{
		{"nobody", nil, searchScope(t), entra.InteractionRequired},
		{"no token", change(func(c *identity.Caller) { c.Assertion = identity.Secret{} }), searchScope(t), entra.InteractionRequired},
		{"an application", change(func(c *identity.Caller) { c.AppOnly = true }), searchScope(t), entra.AppOnly},
		{"an expired token", change(func(c *identity.Caller) { c.Expires = time.Now().Add(-time.Second) }), searchScope(t), entra.AssertionExpired},
		{"another tenant", change(func(c *identity.Caller) { c.Tenant, _ = identity.ParseTenantID("00000000-6d8e-5d6f-9c41-0d9f4f6f2b10") }), searchScope(t), entra.Blocked},
		{"no scope", person(t, 1, 1), entra.Scope{}, entra.Misconfigured},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			_, err := client.Exchange(t.Context(), tt.caller, tt.scope, "")
			if refusal, ok := errors.AsType[*obo.Refusal](err); !ok || refusal.Kind != tt.want || refusal.Say() == "" {
				t.Errorf("got %v, want kind %v", err, tt.want)
			}
		})
	}
	if n := a.exchanges.Load(); n != 0 {
		t.Errorf("the authority was asked %d times", n)
	}
}

func TestTokenOfSomebodyElse(t *testing.T) {
	for desc, claims := range map[string]map[string]any{
		"another person": {"oid": "00000000-0000-4000-8000-000000000666"},
		"another tenant": {"tid": "00000000-6d8e-5d6f-9c41-0d9f4f6f2b10"},
		"nobody":         {"oid": nil},
		"malformed":      {"oid": "alice"},
	} {
		t.Run(desc, func(t *testing.T) {
			a := startAuthority(t)
			a.answer = func(w http.ResponseWriter, r *http.Request) { a.grant(w, r, claims) }
			ctx, call := chain.Begin(t.Context())
			token, err := newClient(t, a, nil).Exchange(ctx, person(t, 1, 1), searchScope(t), "")
			refusal, ok := errors.AsType[*obo.Refusal](err)
			if !ok || refusal.Kind != entra.Blocked || !token.Value.IsZero() {
				t.Errorf("got %v, %v; want nothing", token, err)
			}
			if hops, _ := call.Hops(); len(hops) != 1 || hops[0].Reason != "person-mismatch" {
				t.Errorf("the event is not in the chain: %+v", hops)
			}
		})
	}
}

func TestConfigSaysAllThatIsWrong(t *testing.T) {
	_, err := obo.New(obo.Config{Cloud: entra.Cloud{Authority: "login.example"}, MaxEntries: -1, ConsentRedirect: "not a url"})
	for _, want := range []string{"authority", "application id", "Credential", "MaxEntries", "ConsentRedirect"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to name %s", err, want)
		}
	}
}
