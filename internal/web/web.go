// Package web is the web-based agent: a person signs in with Entra ID and asks; the tools of MCP servers answer, called
// as that person; a refusal becomes something to click.
//
// The browser gets pages, events and a session cookie, never a token: those stay here, in memory, one cache a sign-in.
// Whether a server may have a token, and which, decides package signin; what the model may do, package agent; this
// package joins them, and keeps each person's conversations to that person.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/internal/agent"
	"github.com/onbehalf/onbehalf/internal/agent/dialog"
	"github.com/onbehalf/onbehalf/internal/history"
	"github.com/onbehalf/onbehalf/internal/httpguard"
	"github.com/onbehalf/onbehalf/internal/web/markdown"
	"github.com/onbehalf/onbehalf/signin"
)

// Config says whom the agent serves and with what. [New] validates it whole.
type Config struct {
	// URL is where browsers reach the agent: "https://chat.contoso.com". Plain http is for this machine only.
	URL *url.URL
	// Hosts are further names that requests may give in their Host header, beside that of URL.
	Hosts []string

	// SignIn signs people in; its redirect address is [Callback] of URL.
	SignIn *signin.Hosted
	// Scope is what the sign-in asks for: the MCP server's.
	Scope entra.Scope
	// Authority is Entra's, "https://HOST/": forms may lead there.
	Authority string
	// Local says that the authority is a stand-in on this machine.
	Local bool

	// Servers are the MCP servers that people may use, the one of Scope first. MCPClient reaches them.
	Servers   []Server
	MCPClient *http.Client

	// Agent drives conversations; Close closes it. Model says what answers.
	Agent Loop
	Model Model
	// Examples are questions to begin with.
	Examples []string

	// History keeps conversations; Close closes it. Nil: in memory.
	History  history.Store
	KeepDays int  // how long; 0: until deleted, or until the process ends when History is in memory
	IDsOnly  bool // keep nothing of documents but their ids

	Sessions Sessions
	Turns    Turns
	// Proxies are the networks of the reverse proxies whose X-Forwarded-For is believed.
	Proxies []netip.Prefix

	Now    func() time.Time // nil: the system's clock
	Logger *slog.Logger     // nil: nothing is logged. Never what people ask or get
}

// Loop drives conversations: [agent.Agent], whose methods say what each does.
type Loop interface {
	Run(ctx context.Context, p agent.Person, c *dialog.Conversation, emit func(agent.Event)) error
	Repeat(ctx context.Context, p agent.Person, call dialog.Call, confirmed bool) (dialog.Call, error)
	Tools(ctx context.Context, p agent.Person) ([]agent.Tool, []agent.Problem, error)
	Forget(key string)
	Close()
}

// Paths of the agent that its registration names.
const (
	CallbackPath     = "/signin/callback"
	SignedOutPath    = "/signed-out"
	FrontChannelPath = "/signout/frontchannel" // the logout URL
)

// Callback returns the redirect address of an agent at this URL, which its registration must name.
func Callback(base *url.URL) *url.URL { return base.JoinPath(CallbackPath) }

// App is the web agent. It is safe for concurrent use.
type App struct {
	cfg      Config
	pages    *pages
	sessions *sessions
	entrance *entrance
	desk     *desk
	markdown *markdown.Renderer
	model    Model
	mcp      *http.Client
	handler  http.Handler

	calls *httpguard.Limiter // requests of scripts, by person
	asks  *httpguard.Limiter // questions, by person
	doors *httpguard.Limiter // sign-ins, by address
}

// Limits of how often, per second in the long run and at once.
const (
	callsPerSecond, callsAtOnce = 20, 100
	asksPerSecond, asksAtOnce   = 0.5, 15
	doorsPerSecond, doorsAtOnce = 10, 1000 // two a sign-in; a company may come from one address
)

// New validates the configuration.
func New(cfg Config) (*App, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	a := &App{cfg: cfg}
	var err error
	if a.pages, err = loadPages(cfg.Now); err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	a.sessions = newSessions(cfg.Sessions, cookieSuffix(cfg.URL), cfg.Now, func(s *session) { cfg.Agent.Forget(s.name()) })
	a.desk, a.markdown, a.model, a.mcp = newDesk(a), markdown.New(), cfg.Model, mcpClient(cfg.MCPClient)
	a.calls = httpguard.NewLimiter(callsPerSecond, callsAtOnce, cfg.Now)
	a.asks = httpguard.NewLimiter(asksPerSecond, asksAtOnce, cfg.Now)
	a.doors = httpguard.NewLimiter(doorsPerSecond, doorsAtOnce, cfg.Now)
	a.entrance = newEntrance(cfg.Now)
	a.handler = a.protect(a.routes())
	return a, nil
}

func (c *Config) complete() error {
	var wrong []error
	switch {
	case c.URL == nil || c.URL.Host == "" || c.URL.Scheme != "https" && c.URL.Scheme != "http" || strings.Trim(c.URL.Path, "/") != "" || c.URL.RawQuery != "" || c.URL.User != nil:
		wrong = append(wrong, errors.New("URL: want the public URL without a path, like https://chat.contoso.com"))
	case c.URL.Scheme == "http" && !isLoopback(c.URL.Hostname()):
		wrong = append(wrong, errors.New("URL: want https: cookies and pages may go in clear to this machine only"))
	}
	if c.SignIn == nil {
		wrong = append(wrong, errors.New("SignIn: missing"))
	}
	if c.Scope.IsZero() {
		wrong = append(wrong, errors.New("scope: missing"))
	}
	if u, err := url.Parse(c.Authority); err != nil || u.Scheme != "https" || u.Host == "" {
		wrong = append(wrong, errors.New("authority: want https://HOST/"))
	}
	if c.Agent == nil {
		wrong = append(wrong, errors.New("agent: missing"))
	}
	if len(c.Servers) == 0 {
		wrong = append(wrong, errors.New("servers: name at least one MCP server"))
	}
	if err := checkServers(c.Servers); err != nil {
		wrong = append(wrong, err)
	}
	if c.MCPClient == nil {
		c.MCPClient = &http.Client{Timeout: 30 * time.Second}
	}
	if c.History == nil {
		c.History = &history.Memory{}
	}
	if c.Turns.PerPerson <= 0 {
		c.Turns.PerPerson = defaultPerPerson
	}
	if c.Turns.Most <= 0 {
		c.Turns.Most = defaultTurns
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // the one place where the system's clock is the default
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("web: %w", errors.Join(wrong...))
	}
	return nil
}

// Run forgets what is too old until the context ends; then it ends streams and turns, waits for them, and closes agent
// and history. Nothing is served afterwards.
func (a *App) Run(ctx context.Context) error {
	a.desk.sweep(ctx)
	a.desk.close()
	a.cfg.Agent.Close()
	if err := a.cfg.History.Close(); err != nil {
		return fmt.Errorf("web: %w", err)
	}
	return nil
}

// Handler returns the agent's pages, API and events.
func (a *App) Handler() http.Handler { return a.handler }

func (a *App) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.page(a.home))
	mux.HandleFunc("GET /c/{id}", a.page(a.conversation))
	mux.HandleFunc("POST /c/{id}/signin", a.page(a.signInForCall))
	mux.HandleFunc("GET /c/{id}/consent", a.page(a.consentForCall))
	mux.HandleFunc("POST /c/{id}/resume", a.page(a.resumeCall))
	mux.HandleFunc("GET /me", a.page(a.me))
	mux.HandleFunc("POST /me/signin", a.page(a.atTheDoor(a.signInForTools)))
	mux.HandleFunc("POST /signin", a.page(a.atTheDoor(a.beginSignIn)))
	mux.HandleFunc("GET "+CallbackPath, a.page(a.atTheDoor(a.finishSignIn)))
	mux.HandleFunc("GET "+FrontChannelPath, a.frontChannel)
	mux.HandleFunc("POST /signout", a.page(a.signOut))
	mux.HandleFunc("GET "+SignedOutPath, a.page(a.signedOut))
	mux.Handle("GET /static/", a.pages.static)
	mux.HandleFunc("GET /favicon.ico", a.pages.favicon)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /c/{id}/calls/{call}/chain", a.page(a.chainPage))
	a.formRoutes(mux)
	a.apiRoutes(mux)
	mux.HandleFunc("/", a.page(func(http.ResponseWriter, *visit) error { return errNoPage }))
	return mux
}
