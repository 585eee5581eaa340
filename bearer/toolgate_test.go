package bearer_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/bearer"
	"github.com/onbehalf/onbehalf/entra"
)

// gated is a server with a tool for everyone ("read"), one that wants a scope ("write"), one that wants a role
// ("admin") and one for applications ("job").
func gated(t *testing.T, a *authority) string {
	t.Helper()
	v := a.verifier(t, func(c *bearer.Config) { c.AllowAppOnly = true })
	gate := bearer.NewToolGate(v)
	gate.Require("write", bearer.Requirement{Scopes: []entra.Scope{must(entra.ParseScope("api://" + api + "/write"))}})
	gate.Require("admin", bearer.Requirement{Roles: []string{"Admin"}})
	gate.Require("job", bearer.Requirement{Roles: []string{"Job"}, Applications: true})
	server := mcp.NewServer(&mcp.Implementation{Name: "x", Version: "1"}, &mcp.ServerOptions{Capabilities: &mcp.ServerCapabilities{}})
	for _, name := range []string{"read", "write", "admin", "job"} {
		mcp.AddTool(server, &mcp.Tool{Name: name}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "ran " + name}}}, nil, nil
		})
	}
	server.AddReceivingMiddleware(gate.Receiving)
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true})
	at := httptest.NewServer(v.Middleware(gate.Middleware(handler)))
	t.Cleanup(at.Close)
	return at.URL
}

func TestToolGate(t *testing.T) {
	a := newAuthority(t)
	at := gated(t, a)
	person, writer, admin := a.token(nil), a.token(object{"scp": "execute write"}), a.token(object{"roles": []string{"Admin"}})
	job := a.token(object{"scp": nil, "idtyp": "app", "roles": []string{"Job"}, "sub": alice})
	for _, test := range []struct {
		desc, token, tool string
		status            int
	}{
		{"a person reads", person, "read", 200},
		{"a person writes without the scope", person, "write", 403},
		{"a person writes with the scope", writer, "write", 200},
		{"a person without the role", person, "admin", 403},
		{"a person with the role", admin, "admin", 200},
		{"an application uses its tool", job, "job", 200},
		{"a person without the application's role", person, "job", 403},
		{"an application uses a tool for people", job, "read", 403},
		{"an application uses a tool with a scope", job, "write", 403},
		{"an application uses a tool that does not exist", job, "none", 403},
	} {
		call := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":{}}}`, test.tool)
		status, headers, body := post(t, at, test.token, call)
		if status != test.status || (test.status == 200) != strings.Contains(string(body), "ran "+test.tool) {
			t.Errorf("%s: %d %s, want %d", test.desc, status, body, test.status)
		}
		if want := `error="insufficient_scope"`; test.tool == "write" && test.token == person {
			if got := headers.Get("WWW-Authenticate"); !strings.Contains(got, want) || !strings.Contains(got, `scope="api://`+api+`/execute api://`+api+`/write"`) {
				t.Errorf("%s: %s, want all scopes that the operation needs", test.desc, got)
			}
		}
	}
	for desc, test := range map[string]struct {
		token string
		want  []string
	}{
		"a person": {person, []string{"read"}}, "a writer": {writer, []string{"read", "write"}},
		"an administrator": {admin, []string{"admin", "read"}}, "an application": {job, []string{"job"}},
	} {
		_, _, body := post(t, at, test.token, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
		for _, tool := range []string{"read", "write", "admin", "job"} {
			if got := strings.Contains(string(body), `"name":"`+tool+`"`); got != slices.Contains(test.want, tool) {
				t.Errorf("%s: %s listed: %v", desc, tool, got)
			}
		}
	}
}

// TestToolGateHasNoWayAround sends calls whose headers and bodies say different things.
func TestToolGateHasNoWayAround(t *testing.T) {
	a := newAuthority(t)
	at := gated(t, a)
	for desc, test := range map[string]struct{ version, method, name, body string }{
		"the headers name another tool":   {"2025-11-25", "tools/call", "read", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write"}}`},
		"the headers name another method": {"2025-11-25", "tools/list", "", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write"}}`},
		"no headers":                      {"2025-06-18", "", "", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write"}}`},
		"two methods":                     {"2025-06-18", "", "", `{"jsonrpc":"2.0","id":1,"Method":"tools/list","method":"tools/call","METHOD":"tools/list","params":{"name":"write"}}`},
		"two names":                       {"2025-06-18", "", "", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","name":"write"}}`},
		"the name in another case":        {"2025-06-18", "", "", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write","Name":"read"}}`},
		"an escaped name":                 {"2025-06-18", "", "", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\u0077rite"}}`},
		"a batch of an old protocol":      {"", "", "", `[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read"}},{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"write"}}]`},
		"the newest protocol, unequal":    {"2026-07-28", "tools/call", "read", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"x","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`},
	} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, at, strings.NewReader(test.body))
		for name, value := range map[string]string{
			"Mcp-Protocol-Version": test.version, "Mcp-Method": test.method, "Mcp-Name": test.name,
			"Authorization": "Bearer " + a.token(nil), "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		w, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body := make([]byte, 4096)
		n, _ := w.Body.Read(body)
		_ = w.Body.Close()
		if strings.Contains(string(body[:n]), "ran write") {
			t.Errorf("%s: the tool ran: %d %s", desc, w.StatusCode, body[:n])
		}
	}
}

func TestToolGateWithoutCaller(t *testing.T) {
	gate := bearer.NewToolGate(newAuthority(t).verifier(t, nil))
	if gate.Check("read", nil) == nil {
		t.Error("a request without a Caller may use a tool")
	}
	if caller, ok := bearer.CallerFrom(&auth.TokenInfo{Extra: map[string]any{"onbehalf.caller": "alice"}}); ok || caller != nil {
		t.Error("a Caller was made of text")
	}
}
