package web_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/entra/entratest"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/web"
	"github.com/onbehalf/onbehalf/signin"
)

// site is a web agent under test, beside a local Entra.
type site struct {
	*entratest.Entra
	URL string
	app *web.App
}

func start(t testing.TB, change func(*web.Config)) *site {
	t.Helper()
	s := &site{Entra: entratest.Start(t, nil)}
	server := httptest.NewUnstartedServer(nil)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s.URL = "http://localhost:" + port
	base, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	client, err := identity.ParseClientID(s.WebAgent)
	if err != nil {
		t.Fatal(err)
	}
	scope, err := entra.NewScope("api://"+s.API, "execute")
	if err != nil {
		t.Fatal(err)
	}
	hosted, err := signin.NewHosted(signin.HostedConfig{
		Authority: s.Entra.URL + "/", Tenant: s.Tenant, Client: client, Redirect: web.Callback(base), HTTPClient: s.Client(),
		Secret: func() (identity.Secret, error) { return s.Secret(s.WebAgent), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := web.Config{URL: base, SignIn: hosted, Scope: scope, Authority: s.Entra.URL + "/", Local: true}
	if change != nil {
		change(&cfg)
	}
	if s.app, err = web.New(cfg); err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = s.app.Handler()
	server.Start()
	t.Cleanup(server.Close)
	return s
}

// window is a person's browser at the site.
type window struct {
	*entratest.Browser
	t    testing.TB
	site *site
}

func (s *site) window(t testing.TB, person string) *window {
	t.Helper()
	return &window{s.Browser(person), t, s}
}

func (w *window) open(path string) *entratest.Page {
	w.t.Helper()
	page, err := w.Open(w.site.URL + path)
	if err != nil {
		w.t.Fatal(err)
	}
	return page
}

var csrfField = regexp.MustCompile(`<meta name="csrf" content="([^"]+)">`)

func csrf(t testing.TB, page *entratest.Page) string {
	t.Helper()
	match := csrfField.FindStringSubmatch(page.Body)
	if match == nil {
		t.Fatalf("%s has no CSRF token:\n%s", page.URL, page.Body)
	}
	return match[1]
}

// post sends a form of the site's, and walks through the sign-in pages that it leads to.
func (w *window) post(path string, form url.Values) *entratest.Page {
	w.t.Helper()
	request, err := http.NewRequest(http.MethodPost, w.site.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Origin", w.site.URL)
	page, err := w.Send(request)
	if err != nil {
		w.t.Fatal(err)
	}
	return page
}

func (w *window) signIn() *entratest.Page {
	w.t.Helper()
	page := w.post("/signin", url.Values{"csrf": {csrf(w.t, w.open("/"))}})
	if page.Status != http.StatusOK || !strings.HasPrefix(page.URL.String(), w.site.URL) {
		w.t.Fatalf("after the sign-in: HTTP %d at %s\n%s", page.Status, page.URL, page.Body)
	}
	return page
}

func (w *window) cookie(suffix string) string {
	u, err := url.Parse(w.site.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range w.Client().Jar.Cookies(u) {
		if strings.HasSuffix(c.Name, suffix) {
			return c.Value
		}
	}
	return ""
}

func TestSignInAndOut(t *testing.T) {
	s := start(t, nil)
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
	s := start(t, nil)
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
