// Command owntool is an MCP server with a tool of one's own: TENANT_ID=… API_CLIENT_ID=… owntool localhost:8002
package main

import (
	"context"
	"log"
	"net/http"
	"net/url"
	"os"

	"github.com/onbehalf/onbehalf"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

type input struct {
	Greeting string `json:"greeting" jsonschema:"how to greet"`
}

func greet(_ context.Context, caller *identity.Caller, _ identity.Token, in input) (map[string]string, error) {
	return map[string]string{"text": in.Greeting + ", " + caller.Name}, nil
}

func main() {
	tenant, _ := identity.ParseTenantID(os.Getenv("TENANT_ID")) // New names what is wrong
	client, _ := identity.ParseClientID(os.Getenv("API_CLIENT_ID"))
	cloud, _ := entra.CloudOf(os.Getenv("AZURE_AUTHORITY_HOST"))
	addr := os.Args[1]
	server, err := onbehalf.New(onbehalf.Config{
		URL: &url.URL{Scheme: "http", Host: addr, Path: "/mcp"}, Cloud: cloud,
		Tenants: []identity.TenantID{tenant}, Client: client,
	})
	if err == nil {
		err = onbehalf.AddTool(server, &onbehalf.Tool{Name: "greet", Description: "Greets the signed-in person."}, entra.Scope{}, greet)
	}
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(addr, server.Handler()))
}
