// Package web is the web-based agent: a person signs in with Entra ID and asks; the tools of MCP servers answer, called
// as that person; a refusal becomes something to click.
//
// The browser gets pages, events and a session cookie, never a token: those stay here, in memory, one cache a sign-in.
// Whether a server may have a token, and which, decides package signin; what the model may do, package agent; this
// package joins them, and keeps each person's conversations to that person.
package web

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/entra"
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

	Sessions Sessions

	Now    func() time.Time // nil: the system's clock
	Logger *slog.Logger     // nil: nothing is logged. Never what people ask or get
}

// Paths of the agent that its registration names.
const (
	CallbackPath  = "/signin/callback"
	SignedOutPath = "/signed-out"
)

// Callback returns the redirect address of an agent at this URL, which its registration must name.
func Callback(base *url.URL) *url.URL { return base.JoinPath(CallbackPath) }

// App is the web agent. It is safe for concurrent use.
type App struct {
	cfg      Config
	pages    *pages
	sessions *sessions
	entrance *entrance
	handler  http.Handler
}

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
	a.sessions = newSessions(cfg.Sessions, cookieSuffix(cfg.URL), cfg.Now)
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

// Handler returns the agent's pages, API and events.
func (a *App) Handler() http.Handler { return a.handler }

func (a *App) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.page(a.home))
	mux.HandleFunc("GET /me", a.page(a.me))
	mux.HandleFunc("POST /signin", a.page(a.beginSignIn))
	mux.HandleFunc("GET "+CallbackPath, a.page(a.finishSignIn))
	mux.HandleFunc("POST /signout", a.page(a.signOut))
	mux.HandleFunc("GET "+SignedOutPath, a.page(a.signedOut))
	mux.Handle("GET /static/", a.pages.static)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("/", a.page(func(http.ResponseWriter, *visit) error { return errNoPage }))
	return mux
}
