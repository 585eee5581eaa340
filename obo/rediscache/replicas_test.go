package rediscache_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/onbehalf/onbehalf/bearer"
	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/obo"
	"github.com/onbehalf/onbehalf/obo/rediscache"
	"github.com/onbehalf/onbehalf/search"
)

// fleet makes replicas that share one Redis, behind the local Entra.
type fleet struct {
	entra    *entratest.Entra
	cloud    entra.Cloud
	client   identity.ClientID
	verifier *bearer.Verifier
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{entra: entratest.Start(t, nil)}
	var errCloud error
	f.cloud, errCloud = entra.CloudOf(f.entra.URL)
	tenant, errTenant := identity.ParseTenantID(f.entra.Tenant)
	client, errClient := identity.ParseClientID(f.entra.API)
	scope, errScope := entra.ParseScope("api://" + f.entra.API + "/execute")
	if err := errors.Join(errTenant, errClient, errScope); err != nil || !errors.Is(errCloud, entra.ErrUnknownCloud) {
		t.Fatal(err, errCloud)
	}
	f.client = client
	verifier, err := bearer.New(bearer.Config{
		Cloud: f.cloud, Tenants: []identity.TenantID{tenant}, Audiences: []string{f.entra.API}, HTTPClient: f.entra.Client(), Scopes: []entra.Scope{scope},
		Resource: &url.URL{Scheme: "http", Host: "localhost:8000", Path: "/mcp"},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.verifier = verifier
	return f
}

func (f *fleet) caller(t *testing.T, person string) *identity.Caller {
	t.Helper()
	caller, err := f.verifier.Verify(t.Context(), f.entra.SignIn(person, f.entra.WebClient, "api://"+f.entra.API+"/execute"))
	if err != nil {
		t.Fatal(err)
	}
	return caller
}

func (f *fleet) replica(t *testing.T, cache *rediscache.Cache) *obo.Client {
	t.Helper()
	replica, err := obo.New(obo.Config{Cloud: f.cloud, Client: f.client, Credential: obo.Secret(f.entra.Secret(f.entra.API)), HTTPClient: f.entra.Client(), Shared: cache})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = replica.Close() })
	return replica
}

const onBehalfOf = "jwt-bearer"

func TestReplicasShareTokens(t *testing.T) {
	f, server := newFleet(t), miniredis.RunT(t)
	connect := func() *rediscache.Cache { return open(t, "redis://"+server.Addr(), nil) }
	one, two := f.replica(t, connect()), f.replica(t, connect())
	alice, bob := f.caller(t, "alice"), f.caller(t, "bob")
	scope := f.cloud.SearchScope()
	exchange := func(replica *obo.Client, c *identity.Caller) (identity.Token, chain.Hop) {
		t.Helper()
		ctx, call := chain.Begin(t.Context())
		token, err := replica.Exchange(ctx, c, scope, "")
		if err != nil || token.Object != c.Object {
			t.Fatalf("got %+v, %v", token, err)
		}
		hops, _ := call.Hops()
		return token, hops[0]
	}
	first, _ := exchange(one, alice)
	second, hop := exchange(two, alice)
	if n := f.entra.Count("token", onBehalfOf); n != 1 || first.Value.Reveal() != second.Value.Reveal() || hop.Reason != "shared" {
		t.Errorf("asked %d times, want once for both replicas; hop %+v", n, hop)
	}
	exchange(two, bob)
	if n := f.entra.Count("token", onBehalfOf); n != 2 {
		t.Errorf("asked %d times, want twice: bob has a token of his own", n)
	}
	// A token that an API rejected is gone for all replicas, also for those that come later.
	spent := 0
	err := obo.Do(t.Context(), one, alice, scope, func(token identity.Token) error {
		if spent++; token.Value.Reveal() == first.Value.Reveal() {
			return &search.Error{Status: http.StatusUnauthorized}
		}
		return nil
	})
	if err != nil || spent != 2 {
		t.Errorf("got %v after %d tries", err, spent)
	}
	if token, _ := exchange(f.replica(t, connect()), alice); token.Value.Reveal() == first.Value.Reveal() {
		t.Error("another replica was served the rejected token")
	}
	dump := server.Dump()
	for _, hidden := range []string{first.Value.Reveal(), alice.Assertion.Reveal(), alice.Object.String(), "eyJ"} {
		if strings.Contains(dump, hidden) {
			t.Error("the database shows a token or a person")
		}
	}
}

func TestRedisDownAndBackUnderAReplica(t *testing.T) {
	f, server := newFleet(t), miniredis.RunT(t)
	one := f.replica(t, open(t, "redis://"+server.Addr(), nil))
	server.Close()
	for _, name := range []string{"alice", "bob", "adele"} {
		if _, err := one.Exchange(context.WithoutCancel(t.Context()), f.caller(t, name), f.cloud.SearchScope(), ""); err != nil {
			t.Errorf("%s without Redis: %v", name, err)
		}
	}
	// A rejected token that could not be deleted is not taken from Redis again by this replica.
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Exchange(t.Context(), f.caller(t, "carol"), f.cloud.SearchScope(), ""); err != nil {
		t.Errorf("after Redis came back: %v", err)
	}
}
