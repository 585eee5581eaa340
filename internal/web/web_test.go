package web_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/onbehalf/onbehalf"
	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/agent"
	"github.com/onbehalf/onbehalf/internal/agent/builtin"
	"github.com/onbehalf/onbehalf/internal/sample"
	"github.com/onbehalf/onbehalf/internal/serve"
	"github.com/onbehalf/onbehalf/internal/web"
	"github.com/onbehalf/onbehalf/obo"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchtest"
	"github.com/onbehalf/onbehalf/signin"
)

// site is a web agent under test, beside a local Entra, a local Search and the MCP server between.
type site struct {
	*entratest.Entra
	URL    string
	MCP    *httptest.Server
	app    *web.App
	search *searchtest.Service
	stop   func() // ends the agent as a signal does
}

func id[T any](tb testing.TB, parse func(string) (T, error), text string) T {
	tb.Helper()
	parsed, err := parse(text)
	if err != nil {
		tb.Fatal(err)
	}
	return parsed
}

// options change what is started.
type options struct {
	model  agent.Model // nil: the stand-in, which searches with the person's words
	asks   bool        // calls ask first
	change func(*web.Config)

	directory *entraserver.Directory // nil: the sample tenant
	documents []sample.Document      // beside the sample documents
}

func start(tb testing.TB, o options) *site {
	tb.Helper()
	s := &site{Entra: entratest.Start(tb, &entratest.Options{Directory: o.directory})}
	s.search = searchtest.Start(tb, &searchtest.Options{Entra: s.Entra})
	s.fill(tb, o.documents)
	s.startMCP(tb)
	s.startWeb(tb, o)
	return s
}

// fill loads the sample documents.
func (s *site) fill(tb testing.TB, more []sample.Document) {
	tb.Helper()
	if _, err := s.search.Engine.Put(tb.Context(), sample.Definition(sample.IndexName), ""); err != nil {
		tb.Fatal(err)
	}
	documents, err := sample.Documents(sample.Readers{
		Alice: entraserver.Alice, Engineering: entraserver.Engineering, Finance: entraserver.Finance, Board: entraserver.Board,
	})
	if err != nil {
		tb.Fatal(err)
	}
	s.write(tb, append(documents, more...))
}

// write puts documents into the index.
func (s *site) write(tb testing.TB, documents []sample.Document) {
	tb.Helper()
	var actions []search.Action
	for action, err := range sample.Stream(documents) {
		if err != nil {
			tb.Fatal(err)
		}
		actions = append(actions, action)
	}
	if _, err := s.search.Engine.Write(tb.Context(), sample.IndexName, actions); err != nil {
		tb.Fatal(err)
	}
}

// startMCP starts the MCP server, wired as "onbehalf serve" does.
func (s *site) startMCP(tb testing.TB) {
	tb.Helper()
	s.MCP = httptest.NewUnstartedServer(nil)
	_, port, err := net.SplitHostPort(s.MCP.Listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	cloud, err := entra.CloudOf(s.Entra.URL + "/")
	if err != nil && !errors.Is(err, entra.ErrUnknownCloud) {
		tb.Fatal(err)
	}
	address := &url.URL{Scheme: "http", Host: "localhost:" + port, Path: "/mcp"}
	server, err := serve.New(serve.Config{
		Server: onbehalf.Config{
			URL: address, Cloud: cloud, Tenants: []identity.TenantID{id(tb, identity.ParseTenantID, s.Tenant)}, Client: id(tb, identity.ParseClientID, s.API),
		},
		Credential:      obo.Secret(s.Secret(s.API)),
		Search:          serve.Search{Endpoint: s.search.URL, Index: sample.IndexName, Key: s.search.Server.QueryKey(), PermissionFields: []string{"oid", "group"}},
		ConsentRedirect: serve.LocalRedirect(address), EntraClient: s.Client(), SearchClient: s.search.Client(),
	})
	if err != nil {
		tb.Fatal(err)
	}
	s.MCP.Config.Handler = server.Handler()
	s.MCP.Start()
	s.MCP.URL = address.String()
	tb.Cleanup(func() {
		s.MCP.Close()
		_ = server.Close()
	})
}

// startWeb starts the agent, on the port that it had before if it ran before.
func (s *site) startWeb(tb testing.TB, o options) {
	tb.Helper()
	listen := "127.0.0.1:0"
	if u, err := url.Parse(s.URL); err == nil && u.Host != "" {
		listen = "127.0.0.1:" + u.Port()
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		tb.Fatal(err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	s.URL = "http://localhost:" + port
	base := &url.URL{Scheme: "http", Host: "localhost:" + port}
	scope, err := entra.NewScope("api://"+s.API, "execute")
	if err != nil {
		tb.Fatal(err)
	}
	hosted, err := signin.NewHosted(signin.HostedConfig{
		Authority: s.Entra.URL + "/", Tenant: s.Tenant, Client: id(tb, identity.ParseClientID, s.WebAgent), Redirect: web.Callback(base), HTTPClient: s.Client(),
		Secret: func() (identity.Secret, error) { return s.Secret(s.WebAgent), nil },
	})
	if err != nil {
		tb.Fatal(err)
	}
	if o.model == nil {
		o.model = builtin.Model{}
	}
	policy := agent.AskPolicy{Unasked: map[string]string{"docs.get_documents": ""}}
	if o.asks {
		policy = agent.AskPolicy{}
	}
	loop, err := agent.New(agent.Config{Model: o.model, Ask: policy})
	if err != nil {
		tb.Fatal(err)
	}
	cfg := web.Config{
		URL: base, SignIn: hosted, Scope: scope, Authority: s.Entra.URL + "/", Local: true, Agent: loop,
		Servers: []web.Server{{Name: "docs", URL: id(tb, url.Parse, s.MCP.URL), APIs: []string{scope.Resource()}}},
	}
	if o.change != nil {
		o.change(&cfg)
	}
	if s.app, err = web.New(cfg); err != nil {
		tb.Fatal(err)
	}
	server := &http.Server{Handler: s.app.Handler()}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.app.Run(ctx) }()
	go func() { _ = server.Serve(listener) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
		_ = server.Close()
	})
	tb.Cleanup(func() { s.stop() })
}

// window is a person's browser at the site.
type window struct {
	*entratest.Browser
	t    testing.TB
	site *site
}

func (s *site) window(tb testing.TB, person string) *window {
	tb.Helper()
	return &window{s.Browser(person), tb, s}
}

// fail ends the goroutine of this window: many may run beside the test's own.
func (w *window) fail(format string, args ...any) {
	w.t.Helper()
	w.t.Errorf(format, args...)
	runtime.Goexit()
}

func (w *window) open(path string) *entratest.Page {
	w.t.Helper()
	page, err := w.Open(w.site.URL + path)
	if err != nil {
		w.fail("%v", err)
	}
	return page
}

var csrfField = regexp.MustCompile(`<meta name="csrf" content="([^"]+)">`)

func csrf(tb testing.TB, page *entratest.Page) string {
	tb.Helper()
	match := csrfField.FindStringSubmatch(page.Body)
	if match == nil {
		tb.Errorf("%s has no CSRF token:\n%s", page.URL, page.Body)
		runtime.Goexit()
	}
	return match[1]
}

// post sends a form of the site's, and walks through the sign-in pages that it leads to.
func (w *window) post(path string, form url.Values) *entratest.Page {
	w.t.Helper()
	request, err := http.NewRequest(http.MethodPost, w.site.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		w.fail("%v", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Origin", w.site.URL)
	page, err := w.Send(request)
	if err != nil {
		w.fail("%v", err)
	}
	return page
}

func (w *window) signIn() *entratest.Page {
	w.t.Helper()
	page := w.post("/signin", url.Values{"csrf": {csrf(w.t, w.open("/"))}})
	if page.Status != http.StatusOK || !strings.HasPrefix(page.URL.String(), w.site.URL) {
		w.fail("after the sign-in: HTTP %d at %s\n%s", page.Status, page.URL, page.Body)
	}
	return page
}

func (w *window) cookies() string {
	w.t.Helper()
	request, err := http.NewRequest(http.MethodGet, w.site.URL, nil)
	if err != nil {
		w.fail("%v", err)
	}
	for _, c := range w.Client().Jar.Cookies(request.URL) {
		request.AddCookie(c)
	}
	return request.Header.Get("Cookie")
}

func TestSignInAndOut(t *testing.T) {
	s := start(t, options{})
	w := s.window(t, "alice")
	page := w.signIn()
	if !strings.Contains(page.Body, "Alice Archer") {
		t.Errorf("the page does not greet alice:\n%s", page.Body)
	}
	if me := w.open("/me"); !strings.Contains(me.Body, "alice@contoso.example") {
		t.Errorf("the page does not say who alice is:\n%s", me.Body)
	}
	out := w.post("/signout", url.Values{"csrf": {csrf(t, w.open("/"))}})
	if out.URL.Path != "/signed-out" || !strings.Contains(out.Body, "signed out") {
		t.Errorf("after the sign-out: %s\n%s", out.URL, out.Body)
	}
	if again := w.open("/me"); strings.Contains(again.Body, "Alice") {
		t.Error("still signed in")
	}
}

func TestNobodyElseBeginsASignIn(t *testing.T) {
	s := start(t, options{})
	alice, mallory := s.window(t, "alice"), s.window(t, "bob")
	for desc, form := range map[string]url.Values{
		"no token":           {},
		"a token of another": {"csrf": {csrf(t, mallory.open("/"))}},
	} {
		alice.open("/")
		if page := alice.post("/signin", form); page.Status != http.StatusForbidden || !strings.HasPrefix(page.URL.String(), s.URL) {
			t.Errorf("%s: HTTP %d at %s", desc, page.Status, page.URL)
		}
	}
	request, err := http.NewRequest(http.MethodPost, s.URL+"/signin", strings.NewReader(url.Values{"csrf": {csrf(t, alice.open("/"))}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Origin", "https://evil.example")
	response, err := alice.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusForbidden {
		t.Errorf("from another site: HTTP %d %s %v", response.StatusCode, text, err)
	}
}
