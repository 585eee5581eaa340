package bearer_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/onbehalf/onbehalf/bearer"
	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

func TestVerifyMakesTheCaller(t *testing.T) {
	a := newAuthority(t)
	v := a.verifier(t, nil)
	token := a.token(object{
		"roles": []string{"Reader"}, "groups": []string{"g1", "g2"}, "amr": []string{"pwd", "mfa"}, "acrs": []string{"c1"},
		"xms_cc": []string{"CP1"}, "idtyp": "user", "xms_act_fct": "3 9 11", "xms_par_app_azp": blueprint, "exp": float64(a.clock().Unix()) + 60.5,
	})
	ctx, call := chain.Begin(t.Context())
	got, err := v.Verify(ctx, secret(token))
	if err != nil {
		t.Fatal(err)
	}
	want := &identity.Caller{
		Tenant: must(identity.ParseTenantID(tenant)), Object: must(identity.ParseObjectID(alice)), Client: must(identity.ParseClientID(client)),
		Name: "Alice", UPN: "alice@contoso.example", Scopes: []string{"execute"}, Roles: []string{"Reader"}, Groups: []string{"g1", "g2"},
		AuthMethods: []string{"pwd", "mfa"}, AuthContexts: []string{"c1"}, Issuer: a.URL + "/" + tenant + "/v2.0", Audience: api,
		Expires: a.clock().Add(60500 * time.Millisecond), CP1: true, TokenID: "AbCdEfGhIjKlMnOpQrStUv",
		Actor: &identity.Actor{Client: must(identity.ParseClientID(client)), Parent: must(identity.ParseClientID(blueprint))},
	}
	ids := cmp.Comparer(func(x, y interface{ String() string }) bool { return x.String() == y.String() })
	if diff := cmp.Diff(want, got, ids, cmpopts.IgnoreFields(identity.Caller{}, "Assertion", "Digest")); diff != "" {
		t.Errorf("the Caller differs (-want +got):\n%s", diff)
	}
	if got.Assertion.Reveal() != token {
		t.Error("the assertion is not the token")
	}
	if _, err := v.Verify(ctx, secret(token)); err != nil {
		t.Fatal(err)
	}
	hops, _ := call.Hops()
	if len(hops) != 2 || hops[0].Decision != chain.Allowed || hops[1].Decision != chain.Cached {
		t.Fatalf("hops %+v: want one allowed, one cached", hops)
	}
	wantChecks := []string{"signature", "key-issuer", "iss", "ver", "aud", "exp", "person", "scp", "azp", "oid"}
	if diff := cmp.Diff(wantChecks, hops[0].Checks); diff != "" || hops[0].TokenID != want.TokenID || hops[0].Actor != client {
		t.Errorf("hop %+v: checks differ: %s", hops[0], diff)
	}
	if diff := cmp.Diff(wantChecks, hops[1].Checks); diff != "" {
		t.Errorf("the cached hop says other checks: %s", diff)
	}
}

// refusal verifies and returns the challenge, which there must be.
func refusal(ctx context.Context, tb testing.TB, v *bearer.Verifier, token string) *bearer.Challenge {
	tb.Helper()
	caller, err := v.Verify(ctx, secret(token))
	var challenge *bearer.Challenge
	if caller != nil || !errors.As(err, &challenge) {
		tb.Fatalf("Verify = %v, %v; want a *Challenge", caller, err)
	}
	return challenge
}

func TestExpiryComesBeforeScope(t *testing.T) {
	a := newAuthority(t)
	v := a.verifier(t, nil)
	expired := a.token(object{"scp": "other", "exp": a.clock().Unix() - 120})
	if got := refusal(t.Context(), t, v, expired); got.Status != http.StatusUnauthorized || got.Reason != "expired" {
		t.Errorf("expired and without the scope: %+v, want 401", got)
	}
	if got := refusal(t.Context(), t, v, a.token(object{"scp": "other"})); got.Status != http.StatusForbidden || got.Code != bearer.CodeInsufficientScope {
		t.Errorf("without the scope: %+v, want 403", got)
	}
}

func TestCacheNeverOutlivesTheToken(t *testing.T) {
	a := newAuthority(t)
	v := a.verifier(t, nil)
	token := a.token(object{"exp": a.clock().Unix() + 30})
	for _, step := range []struct {
		after time.Duration
		good  bool
	}{{0, true}, {29 * time.Second, true}, {31 * time.Second, true}, {32 * time.Second, false}} {
		a.advance(step.after)
		if _, err := v.Verify(t.Context(), secret(token)); (err == nil) != step.good {
			t.Errorf("%v later: %v, want good=%v", step.after, err, step.good)
		}
	}
}

func TestGroupsOverage(t *testing.T) {
	a := newAuthority(t)
	overage := a.token(object{"_claim_names": object{"groups": "src1"}, "_claim_sources": object{"src1": object{"endpoint": "https://evil.example/"}}})
	implicit := a.token(object{"hasgroups": true})
	for _, token := range []string{overage, implicit} {
		if got := refusal(t.Context(), t, a.verifier(t, nil), token); got.Reason != "overage" || got.Status != http.StatusForbidden {
			t.Errorf("without a resolver: %+v, want 403 overage", got)
		}
		resolved := a.verifier(t, func(c *bearer.Config) {
			c.Groups = func(_ context.Context, c *identity.Caller) ([]string, error) {
				return []string{"of " + c.Object.String()}, nil
			}
		})
		if got, err := resolved.Verify(t.Context(), secret(token)); err != nil || len(got.Groups) != 1 || got.Groups[0] != "of "+alice {
			t.Errorf("with a resolver: %v, %v", got, err)
		}
		broken := a.verifier(t, func(c *bearer.Config) {
			c.Groups = func(context.Context, *identity.Caller) ([]string, error) {
				return nil, errors.New("graph: secret detail")
			}
		})
		if got := refusal(t.Context(), t, broken, token); got.Status != http.StatusServiceUnavailable || strings.Contains(got.Error(), "secret detail") {
			t.Errorf("with a broken resolver: %+v, want 503", got)
		}
		panicking := a.verifier(t, func(c *bearer.Config) {
			c.Groups = func(context.Context, *identity.Caller) ([]string, error) { panic("secret detail") }
		})
		if got := refusal(t.Context(), t, panicking, token); got.Status != http.StatusServiceUnavailable || strings.Contains(got.Error(), "secret detail") {
			t.Errorf("with a resolver that panics: %+v, want 503", got)
		}
		consent := &bearer.Challenge{Status: http.StatusForbidden, Code: bearer.CodeInsufficientScope, Scopes: []entra.Scope{must(entra.ParseScope("api://x/y"))}}
		asking := a.verifier(t, func(c *bearer.Config) {
			c.Groups = func(context.Context, *identity.Caller) ([]string, error) { return nil, consent }
		})
		if got := refusal(t.Context(), t, asking, token); got != consent {
			t.Errorf("with a resolver that wants consent: %+v, want its challenge", got)
		}
	}
}

func TestNewReportsEveryMistake(t *testing.T) {
	_, err := bearer.New(bearer.Config{Audiences: []string{"nonsense", entra.GraphAppID, "https://graph.microsoft.com"}, Skew: time.Hour, AuthorizationServers: []string{"http://x"}})
	for _, want := range []string{"Tenants", `"nonsense"`, entra.GraphAppID, "https://graph.microsoft.com", "Scopes", "Resource", "Skew", "AuthorizationServers"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New: %v\nwant it to mention %s", err, want)
		}
	}
}

// TestSovereignClouds looks for keys and issuers where each cloud has them.
func TestSovereignClouds(t *testing.T) {
	for _, cloud := range entra.Clouds() {
		a := newAuthority(t)
		a.URL = strings.TrimSuffix(cloud.Authority, "/")
		a.publish(jwk("k1", &signingKey().PublicKey, a.URL+"/{tenantid}/v2.0"))
		v := a.verifier(t, func(c *bearer.Config) { c.Cloud, c.AcceptV1 = cloud, true })
		for version, token := range map[string]string{
			"2.0": a.token(nil),
			"1.0": a.token(object{"ver": "1.0", "iss": cloud.V1Issuer + tenant + "/", "azp": nil, "appid": client}),
		} {
			if _, err := v.Verify(t.Context(), secret(token)); err != nil {
				t.Errorf("%s, version %s: %v", cloud.Name, version, err)
			}
		}
		for _, other := range entra.Clouds() {
			if other.Name == cloud.Name {
				continue
			}
			if got := refusal(t.Context(), t, v, a.token(object{"iss": other.IssuerV2(tenant)})); got.Reason != "issuer" {
				t.Errorf("%s: a token of %s: %+v", cloud.Name, other.Name, got)
			}
		}
	}
}
