package signin_test

import (
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/signin"
)

// A clock that is wrong by an hour: Entra and the server agree on the time, this machine does not. Sign-in, calls and
// refreshing go on, and nobody is asked twice.
func TestClockWrongByAnHour(t *testing.T) {
	for desc, entraAhead := range map[string]time.Duration{"this machine is ahead": -time.Hour, "this machine is behind": time.Hour} {
		for _, method := range []signin.Method{signin.ByDeviceCode, signin.ByBrowser} {
			t.Run(desc+", "+method.String(), func(t *testing.T) {
				p := &person{name: "alice", Entra: entratest.Start(t, &entratest.Options{Now: func() time.Time { return time.Now().Add(entraAhead) }})}
				id, err := identity.ParseClientID(p.WebClient)
				if err != nil {
					t.Fatal(err)
				}
				client := newClient(t, signin.Config{Authority: p.URL, Tenant: p.Tenant, Client: id, HTTPClient: p.Client(), Method: method, Prompt: p.prompt, Open: p.open})
				server := startMCP(t, p.URL+"/"+p.Tenant+"/v2.0")
				server.scopes = []string{"api://" + p.API + "/execute"}
				handler := newHandler(t, server, client, signin.HandlerConfig{APIs: []string{"api://" + p.API}})
				session, err := connect(t, server, handler)
				if err != nil {
					t.Fatal(err)
				}
				for range 2 {
					if _, err = session.CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami"}); err != nil {
						t.Fatal(err)
					}
				}
				token, ok := handler.Token()
				if left := time.Until(token.Expires); !ok || left < time.Minute || left > 2*time.Hour {
					t.Errorf("by this machine's clock the token is good for %s", left)
				}
				_, err = client.Token(t.Context(), signin.Request{Server: server.URL + "/mcp", Scopes: []entra.Scope{scope(t, server.scopes[0])}, Fresh: true})
				if err != nil || p.signIns != 1 {
					t.Errorf("refreshed: %v, %d sign-ins, want 1", err, p.signIns)
				}
			})
		}
	}
}
