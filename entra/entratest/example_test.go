package entratest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/bearer"
	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/identity"
)

// What a test of a server of one's own does. handlerOf makes that server from its configuration.
func Example() {
	var handlerOf func(bearer.Config) http.Handler
	_ = func(t *testing.T) { //nolint:thelper // a test, not a helper
		e := entratest.Start(t, nil)
		api := e.AddAPI(entratest.API{Name: "bookings", Scopes: []string{"Bookings.Read"}, Roles: []string{"Clerk"}})
		e.Assign("bob", api, "Clerk")
		_ = handlerOf(bearer.Config{Cloud: e.Cloud(), Tenants: []identity.TenantID{e.TenantID()}, Audiences: []string{api}, HTTPClient: e.Client()})

		_ = e.SignIn("bob", e.WebClient, "api://"+api+"/Bookings.Read")                                       // a clerk's token
		_ = e.AppToken(e.Other, "api://"+api)                                                                 // an application's, without a person
		_ = e.Sign(nil, map[string]any{"aud": api, "scp": "Bookings.Read", "exp": 1})                         // long expired
		_ = e.Sign(map[string]any{"alg": "none"}, map[string]any{"aud": api, "scp": "Bookings.Read"})         // not signed as it should be
		e.Policy(entraserver.Policies{Rules: []entraserver.Rule{{Require: "mfa", Resources: []string{api}}}}) // AADSTS50076, with claims
		e.QueueError(entratest.Fault{Endpoint: "token", Status: http.StatusTooManyRequests, RetryAfter: 5})
		e.Advance(2 * time.Hour) // what was issued so far is old, for Entra
	}
}
