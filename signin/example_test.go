package signin_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/signin"
)

// A client of an MCP server behind Entra, with the official SDK. It signs in when the server asks for it, and again when
// a tool needs more. Tokens are kept in memory; package signin/vault keeps them on disk.
func ExampleNewHandler() {
	ctx := context.Background()
	server, err := signin.ServerURL("https://mcp.contoso.com/mcp")
	if err != nil {
		log.Fatal(err)
	}
	id, err := identity.ParseClientID("c11e4700-0000-4000-8000-000000000002") // a public client of one's tenant
	if err != nil {
		log.Fatal(err)
	}
	client, err := signin.New(signin.Config{
		Client: id,
		Prompt: func(_ context.Context, code signin.DeviceCode) error {
			fmt.Fprintf(os.Stderr, "%s wants you to sign in: open %s and enter %s\n", code.Server, code.VerificationURL, code.UserCode)
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	handler, err := signin.NewHandler(server, client, signin.HandlerConfig{
		APIs: []string{"api://a9100000-0000-4000-8000-000000000001"}, // known to be this server's; without it, Confirm asks
	})
	if err != nil {
		log.Fatal(err)
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "mine", Version: "1"}, nil).Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint: server.String(), HTTPClient: signin.SameOrigin(http.DefaultClient), OAuthHandler: handler,
	}, nil)
	if err != nil {
		log.Fatal(err) // *signin.Refused, *signin.Needed, signin.ErrNotTrusted, …: see Acquirer
	}
	defer session.Close()
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "my_mail"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.StructuredContent)
}
