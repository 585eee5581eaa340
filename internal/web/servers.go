package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/agent"
	"github.com/onbehalf/onbehalf/internal/agent/dialog"
	"github.com/onbehalf/onbehalf/internal/web/refusal"
	"github.com/onbehalf/onbehalf/signin"
)

// Server is an MCP server that people may use through the agent.
type Server struct {
	Name  string // prefix of its tools: [a-z0-9-], 1 to 24 characters
	URL   *url.URL
	Group string // trust group: see [agent.Server]; "": alone
	// APIs are App ID URIs that the operator knows to be this server's. Without them it gets tokens for its own URL alone.
	APIs []string
}

var serverName = regexp.MustCompile(`^[a-z0-9-]{1,24}$`)

func checkServers(servers []Server) error {
	for i, s := range servers {
		switch {
		case !serverName.MatchString(s.Name):
			return fmt.Errorf("server %q: a name has 1 to 24 of a-z, 0-9 and -", s.Name)
		case slices.ContainsFunc(servers[:i], func(other Server) bool { return other.Name == s.Name }):
			return fmt.Errorf("server %q: there are two of that name", s.Name)
		case s.URL == nil:
			return fmt.Errorf("server %q: the URL is missing", s.Name)
		}
		if _, err := signin.ServerURL(s.URL.String()); err != nil {
			return fmt.Errorf("server %q: %w", s.Name, err)
		}
	}
	return nil
}

// connection is what a session has with one MCP server: the trust rules and tokens of package signin.
type connection struct {
	handler *signin.Handler
	ledger  *signin.Notes
	last    chain.Hop // how the token at hand was got
}

// connect returns the session's connection to a server, made when it is needed.
func (a *App) connect(s *session, server *Server) (*connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.servers[server.Name]; c != nil {
		return c, nil
	}
	c := &connection{ledger: &signin.Notes{}}
	handler, err := signin.NewHandler(server.URL, acquirer{s, server.Name}, signin.HandlerConfig{
		HTTPClient: a.cfg.MCPClient, APIs: server.APIs, Ledger: c.ledger, Now: a.cfg.Now, Logger: a.cfg.Logger,
		// The person cannot be asked in the middle of a call: what is needed goes back as it is, and becomes a button.
		Ask: func(_ context.Context, cause signin.Cause) error {
			return &signin.Needed{Request: signin.Request{Server: cause.Server, Scopes: cause.Scopes, Claims: cause.Claims}, Cause: cause.Reason}
		},
	})
	if err != nil {
		return nil, err
	}
	c.handler = handler
	if s.servers == nil {
		s.servers = map[string]*connection{}
	}
	s.servers[server.Name] = c
	return c, nil
}

// acquirer gets the session's tokens and notes how.
type acquirer struct {
	session *session
	server  string
}

// Token implements [signin.Acquirer].
func (q acquirer) Token(ctx context.Context, r signin.Request) (identity.Token, error) {
	ctx, call := chain.Begin(ctx)
	token, err := q.session.tokens.Token(ctx, r)
	if hops, _ := call.Hops(); err == nil && len(hops) > 0 {
		q.session.mu.Lock()
		defer q.session.mu.Unlock()
		if c := q.session.servers[q.server]; c != nil {
			c.last = hops[0]
		}
	}
	return token, err
}

// chainHeader names the chain of a call in every answer of our servers: see package onbehalf.
const chainHeader = "Onbehalf-Chain"

// authorizer tells of a refusal that came as HTTP 401 or 403, of which call it was.
type authorizer struct{ *signin.Handler }

// Authorize implements the MCP SDK's OAuthHandler.
func (h authorizer) Authorize(ctx context.Context, req *http.Request, resp *http.Response) error {
	id := resp.Header.Get(chainHeader)
	if err := h.Handler.Authorize(ctx, req, resp); err != nil {
		return &chainedError{err, id}
	}
	return nil
}

// chainedError is an error of a call, and the id of its chain where the server gave one (see [agent.Server]).
type chainedError struct {
	error
	id string
}

// Unwrap returns the error itself.
func (e *chainedError) Unwrap() error { return e.error }

// ChainID returns what the server called the chain.
func (e *chainedError) ChainID() string { return e.id }

// personFor is how a session's turns run.
func (a *App) personFor(s *session) agent.Person {
	p := agent.Person{Key: s.name()}
	for i := range a.cfg.Servers {
		server := &a.cfg.Servers[i]
		p.Servers = append(p.Servers, agent.Server{
			Name: server.Name, Group: server.Group, Host: server.URL.Host,
			Transport: func(context.Context) (mcp.Transport, error) {
				c, err := a.connect(s, server)
				if err != nil {
					return nil, err
				}
				return &mcp.StreamableClientTransport{
					Endpoint: server.URL.String(), HTTPClient: a.mcp, OAuthHandler: authorizer{c.handler}, DisableStandaloneSSE: true,
				}, nil
			},
		})
	}
	p.Refuse = func(_ context.Context, call dialog.Call, err error, result *mcp.CallToolResult) *dialog.Refusal {
		return refusal.Of(call.Host, err, result)
	}
	return p
}

// mcpTransport makes errors of answers that say "not now": the SDK would tell them apart by their text alone.
type mcpTransport struct{ base http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (t mcpTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		_ = resp.Body.Close()
		const longest = 600
		seconds, err := strconv.Atoi(strings.TrimSpace(resp.Header.Get("Retry-After")))
		if err != nil || seconds < 0 {
			seconds = 0
		}
		return nil, &chainedError{&refusal.BusyError{Status: resp.StatusCode, Wait: time.Duration(min(seconds, longest)) * time.Second}, resp.Header.Get(chainHeader)}
	}
	return resp, nil
}

// maxAnswer bounds the body of one answer of an MCP server, in bytes.
const maxAnswer = 8 << 20

// mcpClient is the client of MCP calls. They have no deadline of their own: the agent's contexts have.
func mcpClient(base *http.Client) *http.Client {
	client := signin.SameOrigin(base)
	client.Timeout = 0
	transport := client.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	client.Transport = mcpTransport{agent.BoundBodies(transport, maxAnswer)}
	return client
}
