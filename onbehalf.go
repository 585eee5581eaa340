// Package onbehalf lets the tools of an AI agent act as the signed-in person, and says exactly why when they may not.
//
// It is an MCP server behind Microsoft Entra ID, in the order of a call:
//
//	verify    package bearer    the access token becomes an identity.Caller, or a 401 that says where to sign in
//	exchange  package obo       the caller's token becomes a token of the API that the tool names, on behalf of the caller
//	call      your handler      gets the caller, that token and its arguments; it never sees HTTP or JWT
//	refuse    this package      a refusal becomes something that the person can do: sign in again, consent, ask whom
//	record    package chain     each of these leaves one hop, without any token
//
// A server with a tool of its own:
//
//	server, err := onbehalf.New(onbehalf.Config{ … })
//	err = onbehalf.AddTool(server, &onbehalf.Tool{Name: "my_mail"}, graphScope,
//		func(ctx context.Context, caller *identity.Caller, token identity.Token, in Input) (Output, error) { … })
//	http.ListenAndServe("127.0.0.1:8000", server.Handler())
//
// A handler returns what the person may read as an error made by [Say], what an API said of its token by [obo.Rejected],
// and tells how far it is by [Progress]. docs/library.md has what is easily missed.
//
// What it is not: a client (see package signin), an agent, or a gateway in front of other people's servers.
package onbehalf

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/onbehalf/onbehalf/bearer"
	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/httpguard"
	"github.com/onbehalf/onbehalf/internal/sealed"
	"github.com/onbehalf/onbehalf/obo"
)

// Config says whom a [Server] serves and as whom it asks for tokens. It is validated whole by [New].
type Config struct {
	// Name and Version are what the server calls itself towards clients.
	Name, Version string
	// URL is where clients reach the server, also its RFC 9728 resource: "https://mcp.contoso.com/mcp".
	URL *url.URL

	// Cloud holds the authority; the zero Cloud is the public one.
	Cloud entra.Cloud
	// Tenants are those whose people may call: one for most; several make an allow-list.
	Tenants []identity.TenantID
	// Client is the API's registration: the audience of the tokens that come in, the client of the exchange.
	Client identity.ClientID
	// AppIDURI is the API's identifier URI, default "api://CLIENT".
	AppIDURI string
	// Scope is the short name of the permission that every call needs, default "execute".
	Scope string
	// Clients are the applications that may call, by azp; none means any that the tenant let the person sign in to.
	Clients []identity.ClientID

	// Exchanger obtains downstream tokens; package obo makes one. Nil: no tool may name a downstream scope.
	Exchanger obo.Exchanger
	// StateSecrets seal what a client carries from one attempt of a call to the next, the first for sealing, all for
	// opening: give all replicas the same, of at least 32 characters each. None: a random key, so that only this process
	// knows its own.
	StateSecrets []identity.Secret
	// Groups resolves the groups of a person whose token says that they are too many for it; [GroupsByGraph] makes one.
	// Nil: such a token is refused, and never read as one without groups.
	Groups func(ctx context.Context, c *identity.Caller) ([]string, error)

	// Verify changes the remaining settings of the verification, such as v1 tokens; most servers leave it nil.
	Verify func(*bearer.Config)

	// MCP changes the SDK's options, for servers that offer more than tools; most leave it nil. See [Server.MCP].
	MCP func(*mcp.ServerOptions)

	// Hosts are further names that requests may give in their Host header, beside that of URL: those by which a load
	// balancer probes. Origins are web pages that may call, as in "https://inspector.contoso.com"; programs send none.
	Hosts, Origins []string
	// Proxies are the networks of the reverse proxies whose X-Forwarded-For is believed.
	Proxies []netip.Prefix
	// CallsPerSecond is how many calls a person may make with one client in the long run; 0 means 50, negative no limit.
	CallsPerSecond float64

	// Recorders get the chain of each finished call.
	Recorders []chain.Recorder
	// RecordArguments puts the arguments of tool calls into the chain, up to 4 KiB a call. They say what people look for:
	// by default they are recorded nowhere.
	RecordArguments bool
	// Timeout bounds one call, exchange and tool included; default 60 s.
	Timeout time.Duration

	// HTTPClient reaches Entra's keys; default: one of its own with a timeout.
	HTTPClient *http.Client
	// Logger gets what operators need to know, never a token; default: nothing is logged.
	Logger *slog.Logger
	// Now is the clock; default: the system's.
	Now func() time.Time
}

const (
	defaultTimeout = 60 * time.Second // of one call
	answerTime     = 15 * time.Second // for reading the request and writing the answer

	minSecret = 32 // characters
)

// Server is an MCP server whose tools act as the caller. Add tools with [AddTool], then serve [Server.Handler].
type Server struct {
	config   Config
	scope    entra.Scope
	verifier *bearer.Verifier
	gate     *bearer.ToolGate
	guard    *httpguard.Guard
	states   *sealed.Box
	mcp      *mcp.Server
	logs     bool     // the server offers log messages, which go out as events: clients ask for them once for all calls
	tools    sync.Map // by name, the *jsonschema.Schema of their arguments
}

// New validates the configuration and returns a server without tools. The error names every mistake.
func New(config Config) (*Server, error) {
	scope, err := config.complete()
	if err != nil {
		return nil, err
	}
	verify := bearer.Config{
		Cloud:      config.Cloud,
		Tenants:    config.Tenants,
		Audiences:  []string{config.Client.String(), config.AppIDURI},
		Clients:    config.Clients,
		Resource:   config.URL,
		Scopes:     []entra.Scope{scope},
		Groups:     config.Groups,
		HTTPClient: config.HTTPClient,
		Logger:     config.Logger,
		Now:        config.Now,
	}
	if config.Verify != nil {
		config.Verify(&verify)
	}
	verifier, err := bearer.New(verify)
	if err != nil {
		return nil, fmt.Errorf("onbehalf: %w", err)
	}
	guard, err := httpguard.New(httpguard.Config{
		Hosts: append([]string{config.URL.Hostname()}, config.Hosts...), AllowLoopback: isLoopback(config.URL.Hostname()),
		Origins: config.Origins, Proxies: config.Proxies, Calls: config.CallsPerSecond, Timeout: config.Timeout + answerTime,
		Caller: callerKey, Now: config.Now, Logger: config.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("onbehalf: %w", err)
	}
	states, err := sealed.New(config.StateSecrets...)
	if err != nil {
		return nil, fmt.Errorf("onbehalf: StateSecrets: %w", err)
	}
	s := &Server{config: config, scope: scope, verifier: verifier, gate: bearer.NewToolGate(verifier), guard: guard, states: states}
	options := &mcp.ServerOptions{
		Logger:       config.Logger,
		Capabilities: &mcp.ServerCapabilities{Tools: &mcp.ToolCapabilities{}}, // nil would advertise logging, which is deprecated
		SchemaCache:  mcp.NewSchemaCache(),
		SetCacheable: func(_ context.Context, _ mcp.Request, c *mcp.Cacheable) { c.CacheScope = "private" },
	}
	if config.MCP != nil {
		config.MCP(options)
	}
	s.logs = options.Capabilities == nil || options.Capabilities.Logging != nil //nolint:staticcheck // deprecated by the newest protocol, alive in older ones
	s.mcp = mcp.NewServer(&mcp.Implementation{Name: config.Name, Version: config.Version}, options)
	s.mcp.AddReceivingMiddleware(s.recoverPanics, nullArguments, s.gate.Receiving, s.answerRefusals)
	return s, nil
}

// complete fills the defaults in and reports every mistake of what this package itself reads.
func (c *Config) complete() (entra.Scope, error) {
	var wrong []error
	if c.URL == nil || c.URL.Host == "" || c.URL.Scheme != "https" && c.URL.Scheme != "http" {
		wrong = append(wrong, errors.New("URL: want the public URL of the server, like https://mcp.contoso.com/mcp"))
	}
	if c.Client.IsZero() {
		wrong = append(wrong, errors.New("client: want the application id of the API's registration"))
	}
	if c.Cloud.Authority == "" {
		c.Cloud = entra.Clouds()[0]
	}
	c.Name = or(c.Name, "onbehalf")
	c.Version = or(c.Version, "0")
	c.AppIDURI = or(c.AppIDURI, "api://"+c.Client.String())
	c.Scope = or(c.Scope, "execute")
	c.Timeout = or(c.Timeout, defaultTimeout)
	c.Logger = or(c.Logger, slog.New(slog.DiscardHandler))
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // the default clock
	}
	if slices.ContainsFunc(c.StateSecrets, func(s identity.Secret) bool { return len(s.Reveal()) < minSecret }) {
		wrong = append(wrong, fmt.Errorf("StateSecrets (CACHE_SECRET): want at least %d characters each", minSecret))
	}
	scope, err := entra.NewScope(c.AppIDURI, c.Scope)
	if err != nil {
		wrong = append(wrong, fmt.Errorf("AppIDURI and Scope: %w", err))
	}
	if len(wrong) > 0 {
		return entra.Scope{}, fmt.Errorf("onbehalf: %w", errors.Join(wrong...))
	}
	return scope, nil
}

// or returns value, or fallback when value is zero.
func or[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback()
}

// MCP returns the SDK's server, for prompts and resources beside the tools. A tool that is added there, and not with
// [AddTool], gets a verified caller, too, but no token, no hop in the chain, and no requirement of its own.
func (s *Server) MCP() *mcp.Server { return s.mcp }

// Scope returns what a client must ask for, fully qualified.
func (s *Server) Scope() entra.Scope { return s.scope }
