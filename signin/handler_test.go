package signin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/signin"
)

// mcpServer is a protected MCP server on the SDK, with a guard whose answers a test chooses.
type mcpServer struct {
	*httptest.Server
	authority string
	resource  string // "": its own URL
	scopes    []string

	guard func(token string) (status int, challenge string) // 200 lets the request pass
	calls atomic.Int64
}

func startMCP(t *testing.T, authority string) *mcpServer {
	t.Helper()
	server := mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "whoami"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, struct{}, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "you"}}}, struct{}{}, nil
	})
	s := &mcpServer{authority: authority, scopes: []string{"api://the-api/execute"}}
	s.guard = func(token string) (int, string) {
		if token == "" {
			return 401, ""
		}
		return 200, ""
	}
	inner := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-protected-resource/mcp", s.metadata)
	mux.HandleFunc("/mcp", func(w http.ResponseWriter, r *http.Request) {
		s.calls.Add(1)
		status, challenge := s.guard(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		if status == 200 {
			inner.ServeHTTP(w, r)
			return
		}
		if challenge == "" {
			challenge = fmt.Sprintf(`Bearer realm="", resource_metadata="%s/.well-known/oauth-protected-resource/mcp"`, s.URL)
		}
		w.Header().Set("WWW-Authenticate", challenge)
		w.WriteHeader(status)
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *mcpServer) metadata(w http.ResponseWriter, _ *http.Request) {
	resource := s.resource
	if resource == "" {
		resource = s.URL + "/mcp"
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"resource": resource, "authorization_servers": []string{s.authority}, "scopes_supported": s.scopes,
	})
}

func (s *mcpServer) address(t *testing.T) *url.URL {
	t.Helper()
	u, err := url.Parse(s.URL + "/mcp")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func newHandler(t *testing.T, s *mcpServer, acquirer signin.Acquirer, cfg signin.HandlerConfig) *signin.Handler {
	t.Helper()
	handler, err := signin.NewHandler(s.address(t), acquirer, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

func connect(t *testing.T, s *mcpServer, handler *signin.Handler) (*mcp.ClientSession, error) {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: s.URL + "/mcp", OAuthHandler: handler, MaxRetries: -1}, nil)
	if err == nil {
		t.Cleanup(func() { _ = session.Close() })
	}
	return session, err
}

// acquirer counts and answers as a test says.
type acquirer struct {
	mu       sync.Mutex
	requests []signin.Request
	answer   func(signin.Request) (identity.Token, error)
}

func (a *acquirer) Token(_ context.Context, r signin.Request) (identity.Token, error) {
	a.mu.Lock()
	a.requests = append(a.requests, r)
	n := len(a.requests)
	a.mu.Unlock()
	if a.answer != nil {
		return a.answer(r)
	}
	return tokenNamed(fmt.Sprintf("token-%d", n)), nil
}

func (a *acquirer) asked() (interactive int, last signin.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.requests {
		if !r.Silent {
			interactive++
		}
		last = r
	}
	return interactive, last
}

func tokenNamed(value string) identity.Token {
	id, _ := identity.ParseTenantID(tenant)
	return identity.Token{Value: identity.NewSecret(value), Tenant: id, Expires: time.Now().Add(time.Hour)}
}

func TestHandlerSignsInOnceForManyCalls(t *testing.T) {
	fake := startFake(t)
	server := startMCP(t, fake.URL+"/"+tenant+"/v2.0")
	handler := newHandler(t, server, newClient(t, fake.config()), signin.HandlerConfig{Scopes: []entra.Scope{scope(t, "api://the-api/execute")}})
	session, err := connect(t, server, handler)
	if err != nil {
		t.Fatal(err)
	}
	// Every token so far is refused from now on: all calls see a 401 at once.
	old, _ := handler.Token()
	server.guard = func(token string) (int, string) {
		if token == old.Value.Reveal() {
			return 401, `Bearer error="invalid_token"`
		}
		return 200, ""
	}
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			if _, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami"}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if codes, refreshes := fake.sent(""), fake.sent("refresh_token"); codes != 1 || refreshes != 1 {
		t.Errorf("%d sign-ins and %d refreshes, want 1 and 1", codes, refreshes)
	}
}

func TestHandlerAsksOnceAfterADenial(t *testing.T) {
	server := startMCP(t, "https://login.microsoftonline.com/"+tenant+"/v2.0")
	declined := errors.New("declined")
	fake := &acquirer{answer: func(r signin.Request) (identity.Token, error) {
		if r.Silent {
			return identity.Token{}, &signin.Needed{Request: r}
		}
		return identity.Token{}, declined
	}}
	handler := newHandler(t, server, fake, signin.HandlerConfig{Scopes: []entra.Scope{scope(t, "api://the-api/execute")}})
	for range 2 { // the SDK itself tries twice: server/discover, then initialize
		if _, err := connect(t, server, handler); !errors.Is(err, declined) {
			t.Errorf("got %v", err)
		}
	}
	if n, _ := fake.asked(); n != 1 {
		t.Errorf("the person was asked %d times, want 1", n)
	}
	handler.Forget()
	_, _ = connect(t, server, handler)
	if n, _ := fake.asked(); n != 2 {
		t.Errorf("after Forget: asked %d times, want 2", n)
	}
}
