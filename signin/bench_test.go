package signin_test

import (
	"testing"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/signin"
)

// BenchmarkCachedToken is what a command spends on a token that lies in the cache: MSAL's reading of it, mostly.
func BenchmarkCachedToken(b *testing.B) {
	local := entratest.Start(b, nil)
	id, err := identity.ParseClientID(local.WebClient)
	if err != nil {
		b.Fatal(err)
	}
	api, err := entra.ParseScope("api://" + local.API + "/execute")
	if err != nil {
		b.Fatal(err)
	}
	p := &person{Entra: local, name: "alice"}
	client, err := signin.New(signin.Config{Authority: local.URL, Tenant: local.Tenant, Client: id, HTTPClient: local.Client(), Prompt: p.prompt})
	if err != nil {
		b.Fatal(err)
	}
	request := signin.Request{Server: "https://server.example/mcp", Scopes: []entra.Scope{api}}
	if _, err := client.Token(b.Context(), request); err != nil {
		b.Fatal(err)
	}
	request.Silent = true
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Token(b.Context(), request); err != nil {
			b.Fatal(err)
		}
	}
}
