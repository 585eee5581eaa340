package signin

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// A server that names another tenant with every answer does not fill the client's memory.
func TestTenantsThatAServerMakesUp(t *testing.T) {
	id, err := identity.ParseClientID("22222222-2222-4222-8222-222222222222")
	if err != nil {
		t.Fatal(err)
	}
	scope, err := entra.ParseScope("https://mcp.example/mcp/execute")
	if err != nil {
		t.Fatal(err)
	}
	client, err := New(Config{Client: id})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 * maxClients {
		_, err := client.Token(context.Background(), Request{
			Server: "https://mcp.example/mcp", Scopes: []entra.Scope{scope}, Tenant: fmt.Sprintf("t%d.example", n), Silent: true,
		})
		if _, ok := errors.AsType[*Needed](err); !ok {
			t.Fatal(err)
		}
	}
	if len(client.msals) > maxClients {
		t.Errorf("%d clients are kept", len(client.msals))
	}
}
