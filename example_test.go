package onbehalf_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/onbehalf/onbehalf"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/obo"
)

type mailInput struct {
	Top int `json:"top,omitempty" jsonschema:"how many mails, newest first; at most 50"`
}

type mailOutput struct {
	Mails []struct {
		Subject string `json:"subject"`
	} `json:"value"`
}

// A server whose tool reads the caller's mail from Microsoft Graph. It shows what a stranger gets: where to sign in.
func Example() {
	tenant, err := identity.ParseTenantID("7f1d3f0e-6d8e-4d6f-9c41-0d9f4f6f2b10")
	if err != nil {
		log.Fatal(err)
	}
	client, err := identity.ParseClientID("a9100000-0000-4000-8000-000000000001")
	if err != nil {
		log.Fatal(err)
	}
	cloud := entra.Clouds()[0]
	exchanger, err := obo.New(obo.Config{Tenant: tenant, Client: client, Credential: obo.Secret(identity.NewSecret("…"))})
	if err != nil {
		log.Fatal(err)
	}
	defer exchanger.Close()
	server, err := onbehalf.New(onbehalf.Config{
		Name: "mail", Version: "1", URL: &url.URL{Scheme: "https", Host: "mcp.contoso.com", Path: "/mcp"},
		Tenants: []identity.TenantID{tenant}, Client: client, Exchanger: exchanger, Groups: onbehalf.GroupsByGraph(cloud, exchanger, nil),
	})
	if err != nil {
		log.Fatal(err)
	}
	tool := &onbehalf.Tool{Name: "my_mail", Title: "My mail", Description: "The signed-in person's newest mail.", ReadOnly: true}
	err = onbehalf.AddTool(server, tool, cloud.GraphScope("Mail.Read"), func(ctx context.Context, _ *identity.Caller, token identity.Token, in mailInput) (out mailOutput, err error) {
		top := min(max(in.Top, 1), 50)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/v1.0/me/messages?$select=subject&$top=%d", cloud.Graph, top), http.NoBody)
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
			return out, err // onbehalf gets a fresh token and runs this once more, or asks the person for what Graph demands
		}
		if resp.StatusCode != http.StatusOK {
			return out, onbehalf.Say("Microsoft Graph does not give your mail just now.", fmt.Errorf("HTTP %d", resp.StatusCode))
		}
		onbehalf.Progress(ctx, 1, 2, "reading")
		return out, json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&out)
	})
	if err != nil {
		log.Fatal(err)
	}

	// In a program: (&http.Server{Addr: "127.0.0.1:8000", Handler: server.Handler(), ReadHeaderTimeout: 5 * time.Second}).ListenAndServe()
	answer := httptest.NewRecorder()
	server.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "https://mcp.contoso.com/mcp", http.NoBody))
	fmt.Println(answer.Code)
	fmt.Println(answer.Header().Get("WWW-Authenticate"))
	// Output:
	// 401
	// Bearer scope="api://a9100000-0000-4000-8000-000000000001/execute", resource_metadata="https://mcp.contoso.com/.well-known/oauth-protected-resource/mcp"
}

// A handler is a function: a test calls it with a caller and a token of its own making.
func ExampleHandler() {
	greet := func(_ context.Context, caller *identity.Caller, _ identity.Token, in struct{ Greeting string }) (string, error) {
		if in.Greeting == "" {
			return "", onbehalf.Say("Say how to greet.", nil)
		}
		return in.Greeting + ", " + caller.Name, nil
	}
	fmt.Println(greet(context.Background(), &identity.Caller{Name: "Alice"}, identity.Token{}, struct{ Greeting string }{"Good morning"}))
	fmt.Println(greet(context.Background(), &identity.Caller{Name: "Alice"}, identity.Token{}, struct{ Greeting string }{}))
	// Output:
	// Good morning, Alice <nil>
	//  Say how to greet.
}
