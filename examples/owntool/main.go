// Command owntool is an MCP server with a tool of one's own: TENANT_ID=… API_CLIENT_ID=… owntool localhost:8002
package main

import (
	"context"
	"errors"
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
	if len(os.Args) != 2 {
		log.Fatal("usage: owntool HOST:PORT, such as localhost:8002")
	}
	tenant, err1 := identity.ParseTenantID(os.Getenv("TENANT_ID"))
	client, err2 := identity.ParseClientID(os.Getenv("API_CLIENT_ID"))
	cloud, err3 := entra.CloudOf(os.Getenv("AZURE_AUTHORITY_HOST")) // Microsoft's public one, unless it is set
	if errors.Is(err3, entra.ErrUnknownCloud) && os.Getenv("ONBEHALF_LOCAL") == "1" {
		err3 = nil // the local Entra: any other is trusted by mistake
	}
	if err := errors.Join(err1, err2, err3); err != nil {
		log.Fatal("TENANT_ID, API_CLIENT_ID, AZURE_AUTHORITY_HOST: ", err)
	}
	server, err := onbehalf.New(onbehalf.Config{
		URL: &url.URL{Scheme: "http", Host: os.Args[1], Path: "/mcp"}, Cloud: cloud,
		Tenants: []identity.TenantID{tenant}, Client: client,
	})
	if err == nil {
		err = onbehalf.AddTool(server, &onbehalf.Tool{Name: "greet", Description: "Greets the signed-in person."}, entra.Scope{}, greet)
	}
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(os.Args[1], server.Handler()))
}
