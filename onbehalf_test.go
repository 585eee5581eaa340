package onbehalf_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf"
	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/obo"
)

type greeting struct {
	Text string `json:"text"`
}

// stack is a server of ours behind the local Entra.
type stack struct {
	entra  *entratest.Entra
	server *onbehalf.Server
	url    string
	calls  *calls
	log    *strings.Builder
}

// calls remembers the chains.
type calls struct{ all []*chain.Call }

func (c *calls) Record(_ context.Context, call *chain.Call) { c.all = append(c.all, call) }

// last returns the hops of the call before.
func (c *calls) last() []chain.Hop {
	hops, _ := c.all[len(c.all)-1].Hops()
	return hops
}

func start(t *testing.T, add func(*onbehalf.Server) error) *stack {
	t.Helper()
	s := &stack{entra: entratest.Start(t, nil), calls: &calls{}, log: &strings.Builder{}}
	tenant, err1 := identity.ParseTenantID(s.entra.Tenant)
	client, err2 := identity.ParseClientID(s.entra.API)
	cloud, err3 := entra.CloudOf(s.entra.URL)
	if err := errors.Join(err1, err2); err != nil || !errors.Is(err3, entra.ErrUnknownCloud) {
		t.Fatal(err, err3)
	}
	exchanger, err := obo.New(obo.Config{Cloud: cloud, Tenant: tenant, Client: client, Credential: obo.Secret(s.entra.Secret(s.entra.API)), HTTPClient: s.entra.Client()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = exchanger.Close() })
	listener := httptest.NewUnstartedServer(nil)
	s.url = "http://" + listener.Listener.Addr().String() + "/mcp"
	public, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	s.server, err = onbehalf.New(onbehalf.Config{
		URL: public, Cloud: cloud, Tenants: []identity.TenantID{tenant}, Client: client, Exchanger: exchanger,
		Recorders: []chain.Recorder{s.calls}, HTTPClient: s.entra.Client(), Logger: slog.New(slog.NewTextHandler(s.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := add(s.server); err != nil {
		t.Fatal(err)
	}
	listener.Config.Handler = s.server.Handler()
	listener.Start()
	t.Cleanup(listener.Close)
	return s
}

// bearing sends a token with every request.
type bearing struct{ token identity.Secret }

func (b bearing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token.Reveal())
	return http.DefaultTransport.RoundTrip(r)
}

// as connects a person.
func (s *stack) as(t *testing.T, token identity.Secret) *mcp.ClientSession {
	t.Helper()
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test"}, nil).Connect(t.Context(),
		&mcp.StreamableClientTransport{Endpoint: s.url, HTTPClient: &http.Client{Transport: bearing{token}}, DisableStandaloneSSE: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

func (s *stack) alice(t *testing.T) *mcp.ClientSession {
	t.Helper()
	return s.as(t, s.entra.SignIn("alice", s.entra.WebClient, s.server.Scope().String()))
}

func text(result *mcp.CallToolResult) string {
	var b strings.Builder
	for _, content := range result.Content {
		if t, ok := content.(*mcp.TextContent); ok {
			b.WriteString(t.Text)
		}
	}
	return b.String()
}

func TestAToolActsAsTheCaller(t *testing.T) {
	search := entra.Clouds()[0].SearchScope()
	s := start(t, func(server *onbehalf.Server) error {
		return onbehalf.AddTool(server, &onbehalf.Tool{Name: "greet"}, search,
			func(_ context.Context, caller *identity.Caller, token identity.Token, in greeting) (greeting, error) {
				if token.Object != caller.Object || token.Value.IsZero() {
					return greeting{}, errors.New("not the caller's token")
				}
				return greeting{in.Text + ", " + caller.Name}, nil
			})
	})
	result, err := s.alice(t).CallTool(t.Context(), &mcp.CallToolParams{Name: "greet", Arguments: greeting{"Hello"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"text": "Hello, Alice Archer"}, result.StructuredContent); diff != "" || result.IsError {
		t.Errorf("result (-want +got):\n%s%s", diff, text(result))
	}
	if id, ok := result.Meta[onbehalf.MetaChain].(string); !ok || len(id) != 32 {
		t.Errorf("the result names no chain: %v", result.Meta)
	}
	var stations []string
	for _, hop := range s.calls.last() {
		stations = append(stations, string(hop.Station)+" "+string(hop.Decision))
	}
	if want := []string{"verify cached", "exchange allowed", "tool allowed"}; !slices.Equal(stations, want) {
		t.Errorf("chain %v, want %v", stations, want)
	}
}

// rejected is the error of an API that did not accept the token.
type rejected struct{}

func (rejected) Error() string            { return "401" }
func (rejected) Rejected() (string, bool) { return "", true }

func TestARejectedTokenIsExchangedOnce(t *testing.T) {
	var tokens []string
	always := false
	s := start(t, func(server *onbehalf.Server) error {
		return onbehalf.AddTool(server, &onbehalf.Tool{Name: "greet"}, entra.Clouds()[0].SearchScope(),
			func(_ context.Context, _ *identity.Caller, token identity.Token, _ struct{}) (greeting, error) {
				tokens = append(tokens, token.Value.Reveal())
				if len(tokens) == 1 || always {
					return greeting{}, rejected{}
				}
				return greeting{"at last"}, nil
			})
	})
	session := s.alice(t)
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "greet"})
	if err != nil || result.IsError {
		t.Fatal(err, result)
	}
	if len(tokens) != 2 || tokens[0] == tokens[1] {
		t.Errorf("the handler ran %d times, want twice with different tokens", len(tokens))
	}
	tokens, always = nil, true
	if result, err = session.CallTool(t.Context(), &mcp.CallToolParams{Name: "greet"}); err != nil || !result.IsError || len(tokens) != 2 {
		t.Errorf("got %v, %v after %d tries; want an error after two", result, err, len(tokens))
	}
}

func TestWhatAnErrorTellsTheOutside(t *testing.T) {
	secret := errors.New("dial tcp db-7.internal: password=hunter2")
	for _, test := range []struct {
		desc   string
		handle func() error
		want   string
		secret bool // the log, and only the log, must have it
	}{
		{"meant for the person", func() error { return onbehalf.Say("there is no such customer", secret) }, "there is no such customer", true},
		{"wrapped on the way", func() error { return errors.Join(onbehalf.Say("come back tomorrow", nil)) }, "come back tomorrow", false},
		{"for the operator to mend", func() error { return onbehalf.Report("there is no such index", secret) }, "no such index; the operator finds the reason under the reference", true},
		{"meant for nobody", func() error { return secret }, "the operator finds the reason under the reference", true},
		{"a panic", func() error { panic(secret) }, "the operator finds the reason under the reference", true},
		{"out of time", func() error { return context.DeadlineExceeded }, "took too long", false},
	} {
		t.Run(test.desc, func(t *testing.T) {
			s := start(t, func(server *onbehalf.Server) error {
				return onbehalf.AddTool(server, &onbehalf.Tool{Name: "greet"}, entra.Scope{},
					func(context.Context, *identity.Caller, identity.Token, struct{}) (greeting, error) {
						return greeting{}, test.handle()
					})
			})
			result, err := s.alice(t).CallTool(t.Context(), &mcp.CallToolParams{Name: "greet"})
			got := ""
			switch {
			case err != nil:
				got = err.Error()
			case result.IsError:
				got = text(result)
			}
			if !strings.Contains(got, test.want) || strings.Contains(got, "hunter2") {
				t.Errorf("the outside got %q, want %q and no secret", got, test.want)
			}
			if test.secret != strings.Contains(s.log.String(), "hunter2") {
				t.Errorf("the log has: %s", s.log)
			}
		})
	}
}

func TestArgumentsThatDoNotFitAreExplained(t *testing.T) {
	s := start(t, func(server *onbehalf.Server) error {
		return onbehalf.AddTool(server, &onbehalf.Tool{Name: "greet"}, entra.Scope{},
			func(_ context.Context, _ *identity.Caller, _ identity.Token, in greeting) (greeting, error) {
				return in, nil
			})
	})
	result, err := s.alice(t).CallTool(t.Context(), &mcp.CallToolParams{Name: "greet", Arguments: map[string]any{"text": 3, "more": true}})
	want := "greet cannot take these arguments: more is unknown (known: text); text is 3; it has to be a text"
	if err != nil || !result.IsError || text(result) != want {
		t.Errorf("got %q, %v; want %q", text(result), err, want)
	}
}

func TestToolsThatAskForMore(t *testing.T) {
	s := start(t, func(server *onbehalf.Server) error {
		nothing := func(context.Context, *identity.Caller, identity.Token, struct{}) (greeting, error) {
			return greeting{"in"}, nil
		}
		return errors.Join(
			onbehalf.AddTool(server, &onbehalf.Tool{Name: "open"}, entra.Scope{}, nothing),
			onbehalf.AddTool(server, &onbehalf.Tool{Name: "scoped", Scopes: []string{"write"}}, entra.Scope{}, nothing),
			onbehalf.AddTool(server, &onbehalf.Tool{Name: "role", Roles: []string{"Auditor"}}, entra.Scope{}, nothing),
		)
	})
	alice := s.alice(t)
	list, err := alice.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Tools) != 1 || list.Tools[0].Name != "open" {
		t.Errorf("alice is shown %d tools, want the one that she may use", len(list.Tools))
	}
	auditor := s.entra.Sign(nil, map[string]any{"scp": "execute write", "roles": []string{"Auditor"}})
	for _, test := range []struct {
		desc, tool, version string
		token               identity.Secret
		status              int
		scope               string
	}{
		{"without the scope", "scoped", "2026-07-28", s.entra.Sign(nil, nil), 403, "api://" + s.entra.API + "/write"},
		{"without the scope, older protocol", "scoped", "2025-11-25", s.entra.Sign(nil, nil), 403, "api://" + s.entra.API + "/write"},
		{"without the role", "role", "2025-11-25", s.entra.Sign(nil, nil), 403, ""},
		{"without the role, by header", "role", "2026-07-28", s.entra.Sign(nil, nil), 403, ""},
		{"with the scope", "scoped", "2025-11-25", auditor, 200, ""},
		{"with the role", "role", "2025-11-25", auditor, 200, ""},
	} {
		status, header := s.post(t, test.token, test.version, "tools/call", map[string]any{"name": test.tool, "arguments": map[string]any{}})
		challenge := header.Get("WWW-Authenticate")
		if status != test.status || test.scope != "" && !strings.Contains(challenge, `error="insufficient_scope"`) || !strings.Contains(challenge, test.scope) {
			t.Errorf("%s: got %d %q, want %d", test.desc, status, challenge, test.status)
		}
	}
}

func TestArgumentsAreRecordedOnlyOnDemand(t *testing.T) {
	s := start(t, func(server *onbehalf.Server) error {
		return onbehalf.AddTool(server, &onbehalf.Tool{Name: "greet"}, entra.Scope{},
			func(_ context.Context, _ *identity.Caller, _ identity.Token, in greeting) (greeting, error) {
				return in, nil
			})
	})
	if _, err := s.alice(t).CallTool(t.Context(), &mcp.CallToolParams{Name: "greet", Arguments: greeting{"what alice looks for"}}); err != nil {
		t.Fatal(err)
	}
	if hops, err := json.Marshal(s.calls.last()); err != nil || strings.Contains(string(hops), "looks for") {
		t.Errorf("%s, %v: arguments are recorded unasked", hops, err)
	}
}

func TestAStrangerCannotFillTheRecords(t *testing.T) {
	s := start(t, func(*onbehalf.Server) error { return nil })
	for range 1000 {
		s.post(t, identity.NewSecret("nonsense"), "2025-11-25", "tools/list", map[string]any{})
	}
	if n := len(s.calls.all); n > 500 {
		t.Errorf("%d of 1000 refused requests were recorded", n)
	}
}

// post sends one request as a client of a protocol version does.
func (s *stack) post(t *testing.T, token identity.Secret, version, method string, params map[string]any) (status int, header http.Header) {
	t.Helper()
	if version >= "2026" {
		params["_meta"] = map[string]any{
			"io.modelcontextprotocol/protocolVersion": version, "io.modelcontextprotocol/clientInfo": map[string]any{"name": "t", "version": "1"},
			"io.modelcontextprotocol/clientCapabilities": map[string]any{},
		}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("MCP-Protocol-Version", version)
	if version >= "2026" {
		req.Header.Set("Mcp-Method", method)
		if name, ok := params["name"].(string); ok {
			req.Header.Set("Mcp-Name", name)
		}
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Header
}

func TestNewReportsEveryMistake(t *testing.T) {
	_, err := onbehalf.New(onbehalf.Config{AppIDURI: "no uri"})
	if err == nil || !strings.Contains(err.Error(), "URL:") || !strings.Contains(err.Error(), "client:") || !strings.Contains(err.Error(), "AppIDURI") {
		t.Errorf("got %v, want URL, client and AppIDURI named", err)
	}
}

func TestAddToolReportsMistakes(t *testing.T) {
	start(t, func(server *onbehalf.Server) error {
		handle := func(context.Context, *identity.Caller, identity.Token, struct{}) (greeting, error) {
			return greeting{}, nil
		}
		if err := onbehalf.AddTool(server, &onbehalf.Tool{Name: "twice"}, entra.Scope{}, handle); err != nil {
			t.Error(err)
		}
		if err := onbehalf.AddTool(server, &onbehalf.Tool{Name: "twice"}, entra.Scope{}, handle); err == nil {
			t.Error("a second tool of the same name was accepted")
		}
		if err := onbehalf.AddTool(server, &onbehalf.Tool{Name: "in"}, entra.Scope{},
			func(context.Context, *identity.Caller, identity.Token, int) (greeting, error) { return greeting{}, nil }); err == nil {
			t.Error("an input that is no object was accepted")
		}
		if err := onbehalf.AddTool(server, &onbehalf.Tool{Name: "in"}, entra.Scope{}, handle); err != nil {
			t.Errorf("what was refused has taken the name: %v", err)
		}
		for desc, add := range map[string]func() error{
			"no tool": func() error { return onbehalf.AddTool(server, nil, entra.Scope{}, handle) },
			"no handler": func() error {
				return onbehalf.AddTool[struct{}, greeting](server, &onbehalf.Tool{Name: "n"}, entra.Scope{}, nil)
			},
			"no name":             func() error { return onbehalf.AddTool(server, &onbehalf.Tool{}, entra.Scope{}, handle) },
			"a name with a space": func() error { return onbehalf.AddTool(server, &onbehalf.Tool{Name: "a b"}, entra.Scope{}, handle) },
			"applications without roles": func() error {
				return onbehalf.AddTool(server, &onbehalf.Tool{Name: "a", Applications: true}, entra.Scope{}, handle)
			},
			"a scope that is none": func() error {
				return onbehalf.AddTool(server, &onbehalf.Tool{Name: "s", Scopes: []string{"a/b"}}, entra.Scope{}, handle)
			},
		} {
			if err := add(); err == nil {
				t.Errorf("%s was accepted", desc)
			} else {
				t.Log(err)
			}
		}
		return nil
	})
}
