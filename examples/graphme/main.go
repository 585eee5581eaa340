// Command graphme is an MCP server whose tool asks Microsoft Graph who the signed-in person is, as that person:
//
//	TENANT_ID=… API_CLIENT_ID=… CLIENT_SECRET=… graphme localhost:8003
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"

	"github.com/onbehalf/onbehalf"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/obo"
)

type profile struct {
	DisplayName string `json:"displayName"`
	Mail        string `json:"mail"`
}

// me reads /me of Microsoft Graph: the token is the person's, exchanged for Graph on the way in.
func me(graph string) onbehalf.Handler[struct{}, profile] {
	return func(ctx context.Context, _ *identity.Caller, token identity.Token, _ struct{}) (out profile, err error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, graph+"/v1.0/me", http.NoBody)
		if err != nil {
			return out, err
		}
		req.Header.Set("Authorization", "Bearer "+token.Value.Reveal())
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return out, err
		}
		defer resp.Body.Close()
		if err := obo.Rejected(resp); err != nil {
			return out, err
		}
		if resp.StatusCode != http.StatusOK {
			return out, onbehalf.Say(fmt.Sprintf("Microsoft Graph answered %d", resp.StatusCode), nil)
		}
		return out, json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&out)
	}
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: graphme HOST:PORT, such as localhost:8003")
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
	exchanger, err := obo.New(obo.Config{Cloud: cloud, Tenant: tenant, Client: client, Credential: obo.Secret(identity.NewSecret(os.Getenv("CLIENT_SECRET")))})
	if err != nil {
		log.Fatal(err)
	}
	server, err := onbehalf.New(onbehalf.Config{
		URL: &url.URL{Scheme: "http", Host: os.Args[1], Path: "/mcp"}, Cloud: cloud,
		Tenants: []identity.TenantID{tenant}, Client: client, Exchanger: exchanger,
	})
	if err == nil {
		err = onbehalf.AddTool(server, &onbehalf.Tool{Name: "me", Description: "Your profile.", ReadOnly: true}, cloud.GraphScope("User.Read"), me(cloud.Graph))
	}
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(os.Args[1], server.Handler()))
}
