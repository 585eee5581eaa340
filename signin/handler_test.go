package signin_test

import (
	"context"
	"encoding/base64"
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

func TestWhomTheHandlerTrusts(t *testing.T) {
	const entraURL = "https://login.microsoftonline.com/" + tenant + "/v2.0"
	for _, tt := range []struct {
		desc    string
		change  func(*mcpServer)
		cfg     signin.HandlerConfig
		confirm error // of the person, who is asked when ask is set
		ask     bool
		asked   int  // how often the person was asked
		token   bool // whether a token was got
	}{
		{desc: "a scope of the server's own URL needs no yes", token: true, change: func(s *mcpServer) { s.scopes = []string{s.URL + "/mcp/execute"} }},
		{desc: "a bare scope is the server's own", token: true, change: func(s *mcpServer) { s.scopes = []string{"execute", "openid"} }},
		{desc: "a bare scope where the metadata has it in full", ask: true, asked: 1, token: true, change: func(s *mcpServer) {
			s.guard = func(token string) (int, string) {
				if token != "" {
					return 200, ""
				}
				return 401, `Bearer scope="execute"`
			}
		}},
		{desc: "a scope of another API, nobody to ask"},
		{desc: "a scope of another API, the person says no", ask: true, confirm: errors.New("no"), asked: 1},
		{desc: "a scope of another API, the person says yes", ask: true, asked: 1, token: true},
		{desc: "an API that the person named", cfg: signin.HandlerConfig{APIs: []string{"api://the-api"}}, token: true},
		{desc: "Microsoft Graph, though the person would say yes", ask: true, change: func(s *mcpServer) { s.scopes = []string{"https://graph.microsoft.com/Mail.Read"} }},
		{desc: "Azure AI Search by its id", ask: true, change: func(s *mcpServer) { s.scopes = []string{entra.SearchAppID + "/.default"} }},
		{desc: "a bare id", ask: true, change: func(s *mcpServer) { s.scopes = []string{bob + "/.default"} }},
		{desc: "Azure management", ask: true, change: func(s *mcpServer) { s.scopes = []string{"https://management.azure.com//.default"} }},
		{desc: "scopes of two APIs", ask: true, change: func(s *mcpServer) { s.scopes = []string{"api://the-api/execute", "api://other/read"} }},
		{desc: "metadata of another resource", ask: true, change: func(s *mcpServer) { s.resource = "https://victim.example/mcp" }},
		{desc: "metadata of another path", ask: true, change: func(s *mcpServer) { s.resource = s.URL + "/mcp2" }},
		{desc: "metadata of the folder above", ask: true, asked: 1, token: true, change: func(s *mcpServer) { s.resource = s.URL }},
		{desc: "no Entra", ask: true, change: func(s *mcpServer) { s.authority = "https://accounts.example.com" }},
		{desc: "an authority in clear", ask: true, change: func(s *mcpServer) { s.authority = "http://login.microsoftonline.com/x/v2.0" }},
		{desc: "many scopes", ask: true, change: func(s *mcpServer) {
			for i := range 17 {
				s.scopes = append(s.scopes, fmt.Sprintf("api://the-api/s%d", i))
			}
		}},
		{desc: "metadata at another host", ask: true, change: func(s *mcpServer) {
			s.guard = func(string) (int, string) { return 401, `Bearer resource_metadata="http://127.0.0.1:9/x"` }
		}},
		{desc: "a header that cannot be read", ask: true, change: func(s *mcpServer) {
			s.guard = func(string) (int, string) { return 401, `Bearer realm="` }
		}},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			server := startMCP(t, entraURL)
			if tt.change != nil {
				tt.change(server)
			}
			asked := 0
			if tt.ask {
				tt.cfg.Confirm = func(_ context.Context, g signin.Grant) error {
					asked++
					if g.Server != server.URL+"/mcp" || len(g.Scopes) == 0 || g.Authority != "https://login.microsoftonline.com/" {
						t.Errorf("asked to confirm %+v", g)
					}
					return tt.confirm
				}
			}
			acquirer := &acquirer{}
			_, err := connect(t, server, newHandler(t, server, acquirer, tt.cfg))
			if (err == nil) != tt.token {
				t.Errorf("got %v", err)
			}
			if asked != tt.asked {
				t.Errorf("the person was asked %d times, want %d", asked, tt.asked)
			}
			if got := len(acquirer.requests) > 0; got != tt.token {
				t.Errorf("a token was asked for: %t", got)
			}
		})
	}
}

func TestAConfirmedServerIsRememberedAndCanBeRevoked(t *testing.T) {
	server := startMCP(t, "https://login.microsoftonline.com/"+tenant+"/v2.0")
	ledger, asked := &signin.Notes{}, 0
	cfg := signin.HandlerConfig{Ledger: ledger, Confirm: func(context.Context, signin.Grant) error { asked++; return nil }}
	for range 2 {
		if _, err := connect(t, server, newHandler(t, server, &acquirer{}, cfg)); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times, want 1", asked)
	}
	// The second time, the token went with the first request: the server was not even asked what it wants.
	grants, err := ledger.Grants(t.Context())
	if err != nil || len(grants) != 1 || !grants[0].Confirmed || grants[0].Server != server.URL+"/mcp" {
		t.Errorf("remembered: %+v, %v", grants, err)
	}
	if err := ledger.Revoke(t.Context(), server.URL+"/mcp"); err != nil {
		t.Fatal(err)
	}
	if _, err := connect(t, server, newHandler(t, server, &acquirer{}, cfg)); err != nil || asked != 2 {
		t.Errorf("after revocation: asked %d times, %v", asked, err)
	}
}

// A handler is for one server: put before another, it signs nobody in.
func TestAHandlerServesOneServer(t *testing.T) {
	server, other := startMCP(t, "https://login.microsoftonline.com/"+tenant+"/v2.0"), startMCP(t, "https://login.microsoftonline.com/"+tenant+"/v2.0")
	acquirer := &acquirer{}
	handler := newHandler(t, server, acquirer, signin.HandlerConfig{APIs: []string{"api://the-api"}})
	if _, err := connect(t, other, handler); !errors.Is(err, signin.ErrNotTrusted) {
		t.Errorf("got %v, want ErrNotTrusted", err)
	}
	if len(acquirer.requests) > 0 {
		t.Errorf("a token was asked for: %+v", acquirer.requests)
	}
	for _, missing := range []func() (*signin.Handler, error){
		func() (*signin.Handler, error) { return signin.NewHandler(nil, acquirer, signin.HandlerConfig{}) },
		func() (*signin.Handler, error) {
			return signin.NewHandler(&url.URL{Scheme: "https", Host: "mcp.example"}, nil, signin.HandlerConfig{})
		},
	} {
		if _, err := missing(); err == nil {
			t.Error("made a handler without its server or acquirer")
		}
	}
}

func TestResourceParameter(t *testing.T) {
	for _, tt := range []struct{ desc, scope, override, want string }{
		{"the App ID URI is not the server's resource: left out", "api://the-api/execute", "", ""},
		{"the App ID URI is the server's resource: sent", "URL/mcp/execute", "", "URL/mcp"},
		{"never", "URL/mcp/execute", signin.NoResource, ""},
		{"as the person says", "api://the-api/execute", "api://the-api", "api://the-api"},
	} {
		server := startMCP(t, "https://login.microsoftonline.com/organizations/v2.0")
		server.scopes = []string{strings.Replace(tt.scope, "URL", server.URL, 1)}
		acquirer := &acquirer{}
		cfg := signin.HandlerConfig{Resource: tt.override, APIs: []string{"api://the-api"}}
		if _, err := connect(t, server, newHandler(t, server, acquirer, cfg)); err != nil {
			t.Errorf("%s: %v", tt.desc, err)
		}
		if _, last := acquirer.asked(); last.Resource != strings.Replace(tt.want, "URL", server.URL, 1) {
			t.Errorf("%s: got %q, want %q", tt.desc, last.Resource, tt.want)
		}
	}
}

func TestStepUp(t *testing.T) {
	api := []string{"api://the-api"}
	call := func(t *testing.T, s *mcpServer, session *mcp.ClientSession) error {
		t.Helper()
		_, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami"})
		return err
	}
	t.Run("a further scope", func(t *testing.T) {
		server := startMCP(t, "https://login.microsoftonline.com/"+tenant+"/v2.0")
		acquirer := &acquirer{}
		session, err := connect(t, server, newHandler(t, server, acquirer, signin.HandlerConfig{APIs: api}))
		if err != nil {
			t.Fatal(err)
		}
		server.guard = func(token string) (int, string) {
			if token == "token-1" {
				return 403, `Bearer error="insufficient_scope", scope="api://the-api/write"`
			}
			return 200, ""
		}
		if err := call(t, server, session); err != nil {
			t.Fatal(err)
		}
		if _, last := acquirer.asked(); fmt.Sprint(last.Scopes) != "[api://the-api/execute api://the-api/write]" {
			t.Errorf("asked for %s, want the union", last.Scopes)
		}
		server.guard = func(string) (int, string) {
			return 403, `Bearer error="insufficient_scope", scope="api://the-api/write"`
		}
		before := len(acquirer.requests)
		if err := call(t, server, session); err == nil || !strings.Contains(err.Error(), "issued with") || len(acquirer.requests) != before {
			t.Errorf("a scope that the token has: %v, and %d further requests", err, len(acquirer.requests)-before)
		}
		server.guard = func(string) (int, string) {
			return 403, `Bearer error="insufficient_scope", scope="https://graph.microsoft.com/Mail.Read"`
		}
		if err := call(t, server, session); !errors.Is(err, signin.ErrNotTrusted) {
			t.Errorf("a scope of Graph: %v", err)
		}
		server.guard = func(string) (int, string) { return 403, `Bearer error="access_denied"` }
		if err := call(t, server, session); err == nil || !strings.Contains(err.Error(), "forbids") {
			t.Errorf("a plain 403: %v", err)
		}
	})
	t.Run("claims", func(t *testing.T) {
		server := startMCP(t, "https://login.microsoftonline.com/"+tenant+"/v2.0")
		acquirer := &acquirer{}
		var cause signin.Cause
		handler := newHandler(t, server, acquirer, signin.HandlerConfig{APIs: api, Ask: func(_ context.Context, c signin.Cause) error {
			cause = c
			return nil
		}})
		session, err := connect(t, server, handler)
		if err != nil {
			t.Fatal(err)
		}
		acquirer.answer = func(r signin.Request) (identity.Token, error) {
			if r.Silent {
				return identity.Token{}, &signin.Needed{Request: r}
			}
			return tokenNamed("with-mfa"), nil
		}
		server.guard = func(token string) (int, string) {
			if token == "with-mfa" {
				return 200, ""
			}
			return 401, `Bearer realm="", error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnsiYWNycyI6eyJlc3NlbnRpYWwiOnRydWUsInZhbHVlIjoiYzEifSwiZW1haWwiOm51bGx9fQ=="`
		}
		if err := call(t, server, session); err != nil {
			t.Fatal(err)
		}
		const want = `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`
		if n, last := acquirer.asked(); n != 1 || last.Claims != want || cause.Claims != want || cause.Server != server.URL+"/mcp" {
			t.Errorf("%d sign-ins, claims %q; the person was shown %+v", n, last.Claims, cause)
		}
	})
	t.Run("three sign-ins an hour", func(t *testing.T) {
		server := startMCP(t, "https://login.microsoftonline.com/"+tenant+"/v2.0")
		n := 0
		acquirer := &acquirer{answer: func(r signin.Request) (identity.Token, error) {
			if r.Silent {
				return identity.Token{}, &signin.Needed{Request: r}
			}
			n++
			return tokenNamed(fmt.Sprintf("token-%d", n)), nil
		}}
		now := time.Now()
		cfg := signin.HandlerConfig{APIs: api, Now: func() time.Time { return now }}
		session, err := connect(t, server, newHandler(t, server, acquirer, cfg))
		if err != nil {
			t.Fatal(err)
		}
		required := ""
		server.guard = func(token string) (int, string) {
			if token == required {
				return 200, ""
			}
			return 401, fmt.Sprintf(`Bearer error="insufficient_claims", claims="%s"`, encodeClaims(n))
		}
		for range 5 {
			required = fmt.Sprintf("token-%d", n+1)
			err = call(t, server, session)
		}
		if interactive, _ := acquirer.asked(); interactive != 3 || !errors.Is(err, signin.ErrTooMany) {
			t.Errorf("%d sign-ins, %v; want 3, then no more", interactive, err)
		}
		now = now.Add(61 * time.Minute)
		acquirer.answer = func(r signin.Request) (identity.Token, error) {
			if r.Silent {
				return identity.Token{}, &signin.Needed{Request: r}
			}
			return identity.Token{Value: identity.NewSecret("later"), Expires: now.Add(time.Hour)}, nil
		}
		required = "later"
		if err := call(t, server, session); err != nil {
			t.Error(err)
		}
		if interactive, _ := acquirer.asked(); interactive != 4 {
			t.Errorf("an hour later: %d sign-ins, want 4", interactive)
		}
	})
}

func encodeClaims(n int) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"access_token":{"acrs":{"value":"c%d"}}}`, n))
}

func TestARefusedNewTokenIsSaidSo(t *testing.T) {
	server := startMCP(t, "https://login.microsoftonline.com/"+tenant+"/v2.0")
	n := 0
	acquirer := &acquirer{answer: func(r signin.Request) (identity.Token, error) {
		if n++; r.Silent && !r.Fresh {
			return identity.Token{}, &signin.Needed{Request: r}
		}
		return tokenNamed(fmt.Sprintf("new-%d", n)), nil
	}}
	server.guard = func(string) (int, string) { return 401, "" } // whatever comes
	handler := newHandler(t, server, acquirer, signin.HandlerConfig{APIs: []string{"api://the-api"}})
	if _, err := connect(t, server, handler); err == nil {
		t.Error("it connects")
	}
	if _, err := connect(t, server, handler); !errors.Is(err, signin.ErrStillRefused) {
		t.Errorf("got %v", err)
	}
	if n, _ := acquirer.asked(); n != 1 {
		t.Errorf("%d sign-ins, want 1", n)
	}
}

func TestAnotherTenantsTokenIsNotSent(t *testing.T) {
	server := startMCP(t, "https://login.microsoftonline.com/"+bob+"/v2.0")
	_, err := connect(t, server, newHandler(t, server, &acquirer{}, signin.HandlerConfig{APIs: []string{"api://the-api"}}))
	if !errors.Is(err, signin.ErrNotTrusted) {
		t.Errorf("got %v", err)
	}
}

func TestSameOrigin(t *testing.T) {
	var got []string
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = append(got, r.Header.Get("Authorization")) }))
	defer elsewhere.Close()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/here":
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
		case "/away":
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}
	}))
	defer front.Close()
	client := signin.SameOrigin(http.DefaultClient)
	for path, ok := range map[string]bool{"/here": true, "/away": false} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, front.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer secret")
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		if (err == nil) != ok {
			t.Errorf("%s: %v", path, err)
		}
	}
	if len(got) != 0 {
		t.Errorf("the token followed the redirect: %q", got)
	}
}

func TestServerURL(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://server.example/mcp": true, "http://localhost:8000/mcp": true, "http://127.0.0.1/mcp": true, "http://[::1]:1/mcp": true,
		"http://server.example/mcp": false, "https://user@server.example/mcp": false, "https://server.example/mcp?x=1": false,
		"ftp://server.example": false, "server.example/mcp": false, "http://localhost.evil.example/": false, "https:///mcp": false,
	} {
		if _, err := signin.ServerURL(address); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// A server can demand what no sign-in gives. That is tried once, and not at every sign-in from then on.
func TestADemandThatCannotBeMet(t *testing.T) {
	s := startMCP(t, "https://login.microsoftonline.com/"+tenant+"/v2.0")
	scope, err := entra.ParseScope(s.scopes[0])
	if err != nil {
		t.Fatal(err)
	}
	ledger := &signin.Notes{}
	demand := `{"access_token":{"acrs":{"value":"c99"}}}`
	err = ledger.Remember(t.Context(), signin.Grant{
		Server: s.URL + "/mcp", Authority: "https://login.microsoftonline.com/", Tenant: tenant, Scopes: []entra.Scope{scope}, Confirmed: true, Demanded: demand,
	})
	tenantID, err2 := identity.ParseTenantID(tenant)
	if err = errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	entraID := &acquirer{answer: func(r signin.Request) (identity.Token, error) {
		if r.Claims != "" {
			return identity.Token{}, &signin.Refused{Err: &entra.Error{Code: "access_denied"}}
		}
		return identity.Token{Value: identity.NewSecret("token"), Tenant: tenantID, Expires: time.Now().Add(time.Hour)}, nil
	}}
	handler := newHandler(t, s, entraID, signin.HandlerConfig{Ledger: ledger})
	if _, err := handler.Login(t.Context()); err == nil || entraID.requests[0].Claims != demand {
		t.Errorf("got %v for claims %q, want the refusal of the demand", err, entraID.requests[0].Claims)
	}
	if _, err := handler.Login(t.Context()); err != nil {
		t.Errorf("the next sign-in: %v", err)
	}
}
