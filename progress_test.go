package onbehalf_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// A tool says how far it is: a client that asked for that hears it, in order and without steps back.
func TestProgress(t *testing.T) {
	s := start(t, func(server *onbehalf.Server) error {
		return onbehalf.AddTool(server, &onbehalf.Tool{Name: "greet"}, entra.Scope{},
			func(ctx context.Context, _ *identity.Caller, _ identity.Token, _ struct{}) (greeting, error) {
				for _, done := range []float64{0, 1, 1, 0.5, 2} {
					onbehalf.Progress(ctx, done, 2, "page")
				}
				return greeting{"done"}, nil
			})
	})
	heard := make(chan mcp.ProgressNotificationParams, 10)
	client := mcp.NewClient(&mcp.Implementation{Name: "test"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) { heard <- *r.Params },
	})
	token := s.entra.SignIn("alice", s.entra.WebClient, s.server.Scope().String())
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: s.url, HTTPClient: &http.Client{Transport: bearing{token}}, DisableStandaloneSSE: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	silent := &mcp.CallToolParams{Name: "greet"}
	asking := &mcp.CallToolParams{Name: "greet"}
	asking.SetProgressToken("p")
	for _, params := range []*mcp.CallToolParams{silent, asking} {
		if result, err := session.CallTool(t.Context(), params); err != nil || result.IsError {
			t.Fatal(err, result)
		}
	}
	for _, want := range []float64{0, 1, 2} {
		if got := <-heard; got.Progress != want || got.Total != 2 || got.Message != "page" || got.ProgressToken != "p" {
			t.Errorf("heard %+v, want %v of 2", got, want)
		}
	}
	if len(heard) > 0 {
		t.Errorf("heard more: %+v", <-heard)
	}
	onbehalf.Progress(t.Context(), 1, 2, "outside of a call") // does nothing
}
