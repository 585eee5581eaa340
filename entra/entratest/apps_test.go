package entratest_test

import (
	"net/url"
	"testing"

	"github.com/onbehalf/onbehalf/bearer"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/obo"
)

// An API of one's own is verified for, exchanged for, and called by an application, without a GUID that the test makes up.
func TestAnAPIOfOnesOwn(t *testing.T) {
	e := entratest.Start(t, nil)
	for _, v1 := range []bool{false, true} {
		api := e.AddAPI(entratest.API{Name: "bookings", Scopes: []string{"Bookings.Read"}, Roles: []string{"Clerk", "Job"}, V1: v1})
		e.Assign("alice", api, "Clerk")
		e.Assign(e.Other, api, "Job")
		scope, err := entra.NewScope("api://"+api, "Bookings.Read")
		if err != nil {
			t.Fatal(err)
		}
		v, err := bearer.New(bearer.Config{
			Cloud: e.Cloud(), Tenants: []identity.TenantID{e.TenantID()}, Audiences: []string{api, "api://" + api}, Scopes: []entra.Scope{scope},
			AcceptV1: v1, AllowAppOnly: true, Resource: &url.URL{Scheme: "https", Host: "bookings.contoso.example"}, HTTPClient: e.Client(),
		})
		if err != nil {
			t.Fatal(err)
		}
		person, err := v.Verify(t.Context(), e.SignIn("alice", e.WebClient, scope.String()))
		if err != nil || person.AppOnly || !person.HasScope("Bookings.Read") || !person.HasRole("Clerk") {
			t.Errorf("v1 %v: alice is %+v, %v", v1, person, err)
		}
		application, err := v.Verify(t.Context(), e.AppToken(e.Other, "api://"+api))
		if err != nil || !application.AppOnly || !application.HasRole("Job") {
			t.Errorf("v1 %v: the application is %+v, %v", v1, application, err)
		}

		x, err := obo.New(obo.Config{Cloud: e.Cloud(), Client: e.ClientID(e.API), Credential: obo.Secret(e.Secret(e.API)), HTTPClient: e.Client()})
		if err != nil {
			t.Fatal(err)
		}
		caller := callerOf(t, e)
		token, err := x.Exchange(t.Context(), caller, scope, "")
		if err != nil {
			t.Fatal(err)
		}
		behalf, err := v.Verify(t.Context(), token.Value)
		if err != nil || behalf.Object != caller.Object || behalf.Client != e.ClientID(e.API) {
			t.Errorf("v1 %v: on behalf of alice comes %+v, %v", v1, behalf, err)
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}
}

// callerOf is alice at the sample API.
func callerOf(t *testing.T, e *entratest.Entra) *identity.Caller {
	t.Helper()
	scope, err := entra.NewScope("api://"+e.API, "execute")
	if err != nil {
		t.Fatal(err)
	}
	v, err := bearer.New(bearer.Config{
		Cloud: e.Cloud(), Tenants: []identity.TenantID{e.TenantID()}, Audiences: []string{e.API}, Scopes: []entra.Scope{scope},
		Resource: &url.URL{Scheme: "https", Host: "mcp.contoso.example"}, HTTPClient: e.Client(),
	})
	if err != nil {
		t.Fatal(err)
	}
	caller, err := v.Verify(t.Context(), e.SignIn("alice", e.WebClient, scope.String()))
	if err != nil {
		t.Fatal(err)
	}
	return caller
}
