package bearer_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/onbehalf/onbehalf/bearer"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// Verification alone, in front of a plain HTTP API: no MCP server, no exchange.
func ExampleVerifier_Middleware() {
	tenant, err := identity.ParseTenantID("7f1d3f0e-6d8e-4d6f-9c41-0d9f4f6f2b10")
	if err != nil {
		log.Fatal(err)
	}
	read, err := entra.NewScope("api://0e000000-0000-4000-8000-000000000001", "Bookings.Read")
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := bearer.New(bearer.Config{
		Tenants:   []identity.TenantID{tenant},
		Audiences: []string{"0e000000-0000-4000-8000-000000000001"}, // of v2 tokens; those of v1 bring the App ID URI, and want AcceptV1
		Scopes:    []entra.Scope{read},
		Resource:  &url.URL{Scheme: "https", Host: "bookings.contoso.com"},
	})
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	for _, path := range verifier.MetadataPaths() {
		mux.Handle(path, verifier.MetadataHandler())
	}
	mux.Handle("GET /bookings", verifier.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, ok := bearer.CallerFromContext(r.Context())
		if !ok || !caller.HasRole("Clerk") { // roles are the API's own business
			http.Error(w, "this is for clerks", http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, "the bookings of %s\n", caller.Key()) // tenant and object id: names change
	})))

	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/bookings", http.NoBody))
	fmt.Println(answer.Code)
	fmt.Println(answer.Header().Get("WWW-Authenticate"))
	// Output:
	// 401
	// Bearer scope="api://0e000000-0000-4000-8000-000000000001/Bookings.Read", resource_metadata="https://bookings.contoso.com/.well-known/oauth-protected-resource"
}
