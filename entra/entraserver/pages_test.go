package entraserver

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/entra"
)

// person at a browser without scripts: keeps cookies, reads forms, presses buttons.
type surfer struct {
	t       *testing.T
	server  *Server
	cookies map[string]string
	origin  string // of forms; "" sends none

	status   int
	location string
	page     string
	header   http.Header
}

func newSurfer(t *testing.T, s *Server) *surfer {
	t.Helper()
	return &surfer{t: t, server: s, cookies: map[string]string{}, origin: "https://localhost:8443"}
}

func (p *surfer) send(r *http.Request) {
	p.t.Helper()
	for name, value := range p.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	p.server.ServeHTTP(w, r)
	answer := w.Result()
	for _, cookie := range answer.Cookies() {
		p.cookies[cookie.Name] = cookie.Value
		if !cookie.Secure || !cookie.HttpOnly || cookie.Path != "/" || cookie.SameSite != http.SameSiteLaxMode {
			p.t.Errorf("cookie %v", cookie)
		}
	}
	body, _ := io.ReadAll(answer.Body)
	p.status, p.location, p.page, p.header = answer.StatusCode, answer.Header.Get("Location"), string(body), answer.Header
	if strings.HasPrefix(p.header.Get("Content-Type"), "text/html") && !strings.HasPrefix(p.header.Get("Content-Security-Policy"), "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'") {
		p.t.Errorf("%s: no strict policy: %v", r.URL.Path, p.header)
	}
	if strings.Contains(p.page, "ZgotmplZ") {
		p.t.Errorf("%s: a template refused a value: %s", r.URL, p.page)
	}
}

func (p *surfer) open(target string) {
	p.t.Helper()
	p.send(httptest.NewRequest(http.MethodGet, "https://localhost:8443"+target, nil))
}

var (
	actionPattern = regexp.MustCompile(`<form method="post" action="([^"]+)"`)
	flowPattern   = regexp.MustCompile(`name="flow" value="([^"]+)"`)
	titlePattern  = regexp.MustCompile(`<h1>([^<]+)</h1>`)
	hiddenPattern = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)
)

// press submits the page's form with more fields, in pairs.
func (p *surfer) press(fields ...string) {
	p.t.Helper()
	action, sealed := actionPattern.FindStringSubmatch(p.page), flowPattern.FindStringSubmatch(p.page)
	if action == nil || sealed == nil {
		p.t.Fatalf("no form on this page (%d to %q): %s", p.status, p.location, p.page)
	}
	form := url.Values{"flow": {html.UnescapeString(sealed[1])}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, "https://localhost:8443"+html.UnescapeString(action[1]), strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if p.origin != "" {
		r.Header.Set("Origin", p.origin)
	}
	p.send(r)
}

// title is the heading of the page.
func (p *surfer) title() string {
	if found := titlePattern.FindStringSubmatch(p.page); found != nil {
		return html.UnescapeString(found[1])
	}
	return ""
}

// see fails unless the page has the heading.
func (p *surfer) see(title string) {
	p.t.Helper()
	if p.title() != title {
		p.t.Fatalf("got %d %q %q, want the page %q\n%s", p.status, p.title(), p.location, title, p.page)
	}
}

// result returns the parameters with which the person comes back to the application.
func (p *surfer) result() url.Values {
	p.t.Helper()
	if p.location == "" {
		p.t.Fatalf("not sent back: %d %s", p.status, p.page)
	}
	u, err := url.Parse(p.location)
	if err != nil {
		p.t.Fatal(err)
	}
	values := u.Query()
	fragment, _ := url.ParseQuery(u.Fragment)
	for name := range fragment {
		values[name] = fragment[name]
	}
	return values
}

const verifier = "a-verifier-of-at-least-forty-three-characters-0123456789"

func s256(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// authorizeURL is a request of the sample's public client; more parameters come in pairs, "" removes one.
func authorizeURL(more ...string) string {
	q := url.Values{
		"client_id": {ContosoWebClient}, "response_type": {"code"}, "redirect_uri": {"http://localhost:5151"}, "scope": {"api://" + ContosoAPI + "/execute openid profile offline_access"},
		"state": {"s t"}, "nonce": {"n"}, "code_challenge": {s256(verifier)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i+1 < len(more); i += 2 {
		if q.Set(more[i], more[i+1]); more[i+1] == "" {
			q.Del(more[i])
		}
	}
	return "/" + ContosoTenant + "/oauth2/v2.0/authorize?" + q.Encode()
}

// tokenRequest posts to the token endpoint.
func tokenRequest(t *testing.T, s *Server, fields ...string) (int, map[string]any) {
	t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, "https://localhost:8443/"+ContosoTenant+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var out map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Code, out
}

// redeem trades a code of authorizeURL for tokens.
func redeem(t *testing.T, s *Server, code string) (int, map[string]any) {
	t.Helper()
	return tokenRequest(t, s, "grant_type", "authorization_code", "client_id", ContosoWebClient, "code", code, "redirect_uri", "http://localhost:5151", "code_verifier", verifier,
		"scope", "api://"+ContosoAPI+"/execute openid profile offline_access", "client_info", "1")
}

// claimsIn reads a token without looking at its signature.
func claimsIn(t *testing.T, token any) claimSet {
	t.Helper()
	text, _ := token.(string)
	parsed, err := parseJWT(text)
	if err != nil {
		t.Fatalf("%v: %v", token, err)
	}
	return parsed.claims
}

func TestSignInByOneClick(t *testing.T) {
	s := newTestServer(t, nil)
	p := newSurfer(t, s)
	p.open(authorizeURL("client_info", "1"))
	p.see("Sign in")
	for _, want := range []string{"Local Entra for tests", "not Microsoft", "Alice Archer", "Erin Evans", "disabled", "mcp-client", "Passw0rd!"} {
		if !strings.Contains(p.page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(p.page, "<script") {
		t.Error("the page has a script")
	}
	p.press("person", Alice)
	result := p.result()
	if !strings.HasPrefix(p.location, "http://localhost:5151?") || result.Get("state") != "s t" || result.Get("session_state") == "" || result.Get("client_info") == "" {
		t.Fatalf("sent to %s", p.location)
	}
	status, tokens := redeem(t, s, result.Get("code"))
	if status != 200 {
		t.Fatalf("%d %v", status, tokens)
	}
	if access, id := claimsIn(t, tokens["access_token"]), claimsIn(t, tokens["id_token"]); access.text("oid") != Alice || access.text("scp") != "execute" || id.text("nonce") != "n" || id.text("aud") != ContosoWebClient {
		t.Errorf("got %v and %v", access, id)
	}
	if status, again := redeem(t, s, result.Get("code")); status != 400 || !strings.Contains(fmt.Sprint(again["error_description"]), "AADSTS54005") {
		t.Errorf("the code worked twice: %v", again)
	}
}

func TestSignInWithAPassword(t *testing.T) {
	s := newTestServer(t, nil)
	p := newSurfer(t, s)
	p.open(authorizeURL("login_hint", "bob@contoso.example"))
	p.see("Sign in")
	if !strings.Contains(p.page, `value="bob@contoso.example"`) || !strings.Contains(p.page, "<details open>") {
		t.Error("the hint is not filled in")
	}
	for _, test := range []struct{ login, password, want string }{
		{"bob@contoso.example", "wrong", "AADSTS50126"},
		{"bob@contoso.example", "", "AADSTS50126"},
		{"nobody@contoso.example", "Passw0rd!", "AADSTS50034"},
		{"erin@contoso.example", "Passw0rd!", "AADSTS50057"},
		{`"><script>alert(1)</script>`, "x", "AADSTS50034"},
	} {
		p.press("login", test.login, "passwd", test.password)
		p.see("Sign in")
		if !strings.Contains(p.page, test.want) || strings.Contains(p.page, "<script") {
			t.Errorf("%s: the page does not say %s: %s", test.login, test.want, p.page)
		}
	}
	p.press("login", " BOB@contoso.example ", "passwd", "Passw0rd!")
	if p.result().Get("code") == "" {
		t.Errorf("sent to %s", p.location)
	}
}

func TestDisabledPersonIsTurnedAway(t *testing.T) {
	p := newSurfer(t, newTestServer(t, nil))
	p.open(authorizeURL())
	p.press("person", Erin)
	p.see("Sign in")
	if !strings.Contains(p.page, "AADSTS50057") {
		t.Error(p.page)
	}
	p.press("person", "00000000-0000-4000-8000-000000000000")
	if !strings.Contains(p.page, "AADSTS50034") {
		t.Error(p.page)
	}
}

func TestWhoIsSignedInAlready(t *testing.T) {
	s := newTestServer(t, nil)
	p := newSurfer(t, s)
	p.open(authorizeURL("prompt", "none"))
	if got := p.result(); got.Get("error") != "login_required" || !strings.HasPrefix(got.Get("error_description"), "AADSTS50058") || got.Get("state") != "s t" {
		t.Errorf("got %v", got)
	}
	p.open(authorizeURL())
	p.press("person", Alice)
	for _, silent := range []string{authorizeURL("prompt", "none"), authorizeURL(), authorizeURL("prompt", "none", "login_hint", "alice@contoso.example")} {
		p.open(silent)
		if p.result().Get("code") == "" {
			t.Errorf("%s: sent to %s", silent, p.location)
		}
	}
	p.open(authorizeURL("prompt", "none", "login_hint", "bob@contoso.example"))
	if p.result().Get("error") != "login_required" {
		t.Errorf("somebody else's sign-in was used: %s", p.location)
	}

	p.open(authorizeURL("prompt", "login"))
	p.see("Sign in")
	p.press("person", Alice)
	p.result()

	p.open(authorizeURL("prompt", "select_account"))
	p.see("Pick an account")
	p.press("another", "1")
	p.see("Sign in")
	p.press("person", Bob)
	_, tokens := redeem(t, s, p.result().Get("code"))
	if claimsIn(t, tokens["access_token"]).text("oid") != Bob {
		t.Error("not signed in as the other account")
	}

	p.open(authorizeURL())
	p.see("Pick an account") // two by now
	p.press("session", Alice)
	_, tokens = redeem(t, s, p.result().Get("code"))
	if claimsIn(t, tokens["access_token"]).text("oid") != Alice {
		t.Error("not signed in as the picked account")
	}
	p.open(authorizeURL("prompt", "none"))
	if p.result().Get("error") != "login_required" {
		t.Errorf("with two accounts, one was chosen: %s", p.location)
	}
	if err := s.SetPolicies(Policies{Revoked: []string{"alice"}}); err != nil {
		t.Fatal(err)
	}
	p.open(authorizeURL("prompt", "none", "login_hint", "alice@contoso.example"))
	if p.result().Get("error") != "login_required" {
		t.Errorf("a revoked sign-in was used: %s", p.location)
	}
}

func TestResponseModes(t *testing.T) {
	s := newTestServer(t, nil)
	p := newSurfer(t, s)
	p.open(authorizeURL("response_mode", "fragment"))
	p.press("person", Alice)
	if !strings.HasPrefix(p.location, "http://localhost:5151#") || p.result().Get("code") == "" {
		t.Errorf("fragment: %s", p.location)
	}
	p.open(authorizeURL("response_mode", "form_post"))
	fields := map[string]string{}
	for _, match := range hiddenPattern.FindAllStringSubmatch(p.page, -1) {
		fields[match[1]] = html.UnescapeString(match[2])
	}
	if p.status != 200 || !strings.Contains(p.page, `<form method="POST" action="http://localhost:5151">`) || fields["code"] == "" || fields["state"] != "s t" {
		t.Errorf("form_post: %d %s", p.status, p.page)
	}
	sum := sha256.Sum256([]byte(submitScript))
	if !strings.Contains(p.page, "<script>"+submitScript+"</script>") || !strings.HasSuffix(p.header.Get("Content-Security-Policy"), "script-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
		t.Errorf("form_post: the script is not the one that the policy allows: %s", p.header.Get("Content-Security-Policy"))
	}
	p.open(authorizeURL("response_mode", "form_post", "prompt", "none", "login_hint", "bob", "state", `"><script>alert(1)</script>`))
	if strings.Contains(p.page, "alert(1)</script>") || !strings.Contains(p.page, "login_required") {
		t.Errorf("form_post: %s", p.page)
	}
}

func TestAuthorizeRefuses(t *testing.T) {
	s := newTestServer(t, nil)
	api := "api://" + ContosoAPI
	for _, test := range []struct {
		desc  string
		more  []string
		error string // of the redirect; "" when a page says it
		code  string
	}{
		{"no client", []string{"client_id", ""}, "", "AADSTS900144"},
		{"a client that is no GUID", []string{"client_id", "me"}, "", "AADSTS700038"},
		{"an unknown client", []string{"client_id", Alice}, "", "AADSTS700016"},
		{"another redirect URI", []string{"redirect_uri", "https://evil.example/"}, "", "AADSTS50011"},
		{"a path too many", []string{"redirect_uri", "http://localhost:5151/evil"}, "", "AADSTS50011"},
		{"a name that begins alike", []string{"redirect_uri", "http://localhost.evil.example:5151"}, "", "AADSTS50011"},
		{"a user name", []string{"redirect_uri", "http://localhost@evil.example"}, "", "AADSTS50011"},
		{"https instead of http", []string{"redirect_uri", "https://localhost:5151"}, "", "AADSTS50011"},
		{"a backslash", []string{"redirect_uri", `http://localhost\@evil.example`}, "", "AADSTS50011"},
		{"a script", []string{"redirect_uri", "javascript:alert(1)//http://localhost"}, "", "AADSTS50011"},
		{"a fragment", []string{"redirect_uri", "http://localhost:5151#x"}, "", "AADSTS50011"},
		{"none where two are registered", []string{"redirect_uri", ""}, "", "AADSTS50011"},
		{"no response type", []string{"response_type", ""}, "invalid_request", "AADSTS900144"},
		{"a token", []string{"response_type", "token"}, "unsupported_response_type", "AADSTS700051"},
		{"an id_token where that is off", []string{"response_type", "id_token"}, "unsupported_response_type", "AADSTS700054"},
		{"an id_token in a query", []string{"response_type", "id_token", "response_mode", "query"}, "invalid_request", "AADSTS70007"},
		{"an unknown mode", []string{"response_mode", "pigeon"}, "invalid_request", "AADSTS90023"},
		{"an unknown prompt", []string{"prompt", "please"}, "invalid_request", "AADSTS90023"},
		{"a short challenge", []string{"code_challenge", "abc"}, "invalid_request", "AADSTS501491"},
		{"an unknown challenge method", []string{"code_challenge_method", "S512"}, "invalid_request", "AADSTS90023"},
		{"a method without a challenge", []string{"code_challenge", ""}, "invalid_request", "AADSTS900144"},
		{"claims that are no JSON", []string{"claims", "{"}, "invalid_request", "AADSTS90023"},
		{"no scope", []string{"scope", ""}, "invalid_request", "AADSTS900144"},
		{"an unknown scope", []string{"scope", api + "/nothing"}, "invalid_scope", "AADSTS70011"},
		{"an unknown resource", []string{"scope", "api://nothing/x"}, "invalid_resource", "AADSTS500011"},
		{"two resources", []string{"scope", api + "/execute https://search.azure.com/user_impersonation"}, "invalid_scope", "AADSTS700022"},
		{"a permission that Graph does not have", []string{"scope", "execute"}, "invalid_client", "AADSTS650053"},
		{"a resource that is not the scope's", []string{"resource", api + "/"}, "invalid_target", "AADSTS9010010"},
		{"a request object", []string{"request", "x"}, "invalid_request", "AADSTS90023"},
	} {
		p := newSurfer(t, s)
		p.open(authorizeURL(test.more...))
		if test.error == "" {
			if p.location != "" || p.status != 400 || !strings.Contains(p.page, test.code) {
				t.Errorf("%s: got %d to %q, %s", test.desc, p.status, p.location, p.page)
			}
			continue
		}
		if got := p.result(); got.Get("error") != test.error || !strings.HasPrefix(got.Get("error_description"), test.code+":") || got.Get("state") != "s t" || got.Get("code") != "" {
			t.Errorf("%s: got %v", test.desc, got)
		}
	}
	p := newSurfer(t, s)
	p.open(strings.Replace(authorizeURL(), ContosoTenant, "nowhere.example", 1))
	if p.status != 400 || !strings.Contains(p.page, "AADSTS90002") {
		t.Errorf("an unknown tenant: %d %s", p.status, p.page)
	}
}

func TestMFA(t *testing.T) {
	s := newTestServer(t, nil)
	for _, test := range []struct {
		desc, policy, claims string
		contexts             string
	}{
		{"by policy", "mfa", "", ""},
		{"by claims", "", `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`, "c1"},
	} {
		t.Run(test.desc, func(t *testing.T) {
			if test.policy != "" {
				if err := s.SetPolicies(Policies{Rules: []Rule{{Name: "x", Require: test.policy, People: []string{"alice"}, Resources: []string{"mcp-server"}}}}); err != nil {
					t.Fatal(err)
				}
				defer func() { _ = s.SetPolicies(Policies{}) }()
			}
			p := newSurfer(t, s)
			p.open(authorizeURL("claims", test.claims))
			p.press("person", Alice)
			p.see("Approve the sign-in")
			p.open(authorizeURL("claims", test.claims, "prompt", "none"))
			if got := p.result(); got.Get("error") != "interaction_required" || !strings.HasPrefix(got.Get("error_description"), "AADSTS50076") {
				t.Errorf("silently: %v", got)
			}
			p.open(authorizeURL("claims", test.claims))
			p.press("mfa", "denied")
			if got := p.result(); got.Get("error") != "access_denied" || !strings.Contains(got.Get("error_description"), "AADSTS500121") {
				t.Errorf("denied: %v", got)
			}
			p.open(authorizeURL("claims", test.claims))
			p.press("mfa", "approved")
			status, tokens := redeem(t, s, p.result().Get("code"))
			if status != 200 {
				t.Fatalf("%d %v", status, tokens)
			}
			if got := claimsIn(t, tokens["access_token"]); strings.Join(got.texts("acrs"), " ") != test.contexts {
				t.Errorf("got %v", got)
			}
			p.open(authorizeURL("claims", test.claims, "prompt", "none"))
			if p.result().Get("code") == "" {
				t.Errorf("a second time MFA is asked for: %s", p.location)
			}
		})
	}
}

func TestPoliciesThatNoSignInSatisfies(t *testing.T) {
	for code, policies := range map[string]Policies{
		"AADSTS53003": {Rules: []Rule{{Name: "x", Require: "block", People: []string{"alice"}}}},
		"AADSTS53000": {Rules: []Rule{{Name: "x", Require: "device", Clients: []string{"mcp-client"}}}},
		"AADSTS50105": {AssignmentRequired: []string{"mcp-server"}},
	} {
		s := newTestServer(t, nil)
		if err := s.SetPolicies(policies); err != nil {
			t.Fatal(err)
		}
		p := newSurfer(t, s)
		p.open(authorizeURL())
		p.press("person", Alice)
		p.see("You cannot access this right now")
		if !strings.Contains(p.page, code) {
			t.Errorf("%s: %s", code, p.page)
		}
		p.press("back", "1")
		if got := p.result(); got.Get("error") != "access_denied" || !strings.HasPrefix(got.Get("error_description"), code) {
			t.Errorf("%s: %s", code, p.location)
		}
		p.open(authorizeURL("prompt", "none"))
		if got := p.result(); got.Get("code") != "" || !strings.Contains(got.Get("error_description"), code) {
			t.Errorf("%s: %v", code, got)
		}
	}
}

func TestConsent(t *testing.T) {
	s := newTestServer(t, nil)
	search := "https://search.azure.com/user_impersonation"
	p := newSurfer(t, s)
	p.open(authorizeURL("scope", search))
	p.press("person", Alice)
	p.see("Permissions requested")
	if !strings.Contains(p.page, "Access Azure AI Search") || !strings.Contains(p.page, search) || strings.Contains(p.page, "on behalf of your organization") {
		t.Error(p.page)
	}
	p.press("consent", "no")
	if got := p.result(); got.Get("error") != "access_denied" || !strings.HasPrefix(got.Get("error_description"), "AADSTS65004") {
		t.Errorf("declined: %v", got)
	}
	p.open(authorizeURL("scope", search, "prompt", "none"))
	if got := p.result(); got.Get("error") != "consent_required" || !strings.HasPrefix(got.Get("error_description"), "AADSTS65001") {
		t.Errorf("silently: %v", got)
	}
	p.open(authorizeURL("scope", search))
	p.press("consent", "yes", "everybody", "1") // not hers to give for everybody
	if p.result().Get("code") == "" {
		t.Errorf("accepted: %s", p.location)
	}
	granted := func(who string) int {
		return len(s.dir.Granted(client(ContosoWebClient), client(entra.SearchAppID), object(who)))
	}
	if granted(Alice) != 1 || granted(Bob) != 0 {
		t.Errorf("alice %d, bob %d", granted(Alice), granted(Bob))
	}
	p.open(authorizeURL("scope", search))
	if p.result().Get("code") == "" {
		t.Error("asked a second time")
	}
	p.open(authorizeURL("scope", search, "prompt", "consent"))
	p.see("Permissions requested")

	admin := newSurfer(t, s)
	admin.open(authorizeURL("scope", search))
	admin.press("person", Adele)
	admin.see("Permissions requested")
	admin.press("consent", "yes", "everybody", "1")
	if admin.result().Get("code") == "" || granted(Bob) != 1 {
		t.Error("an administrator's consent is not everybody's")
	}
}

// A client that the API knows asks for all permissions: one page asks for those of the API behind it, too.
func TestCombinedConsent(t *testing.T) {
	s := newTestServer(t, nil)
	if err := s.SetPolicies(Policies{ConsentMissing: []ConsentGap{{Client: ContosoAPI, Resource: entra.SearchAppID}}}); err != nil {
		t.Fatal(err)
	}
	missing := func(who string) bool {
		return s.policies.consentHidden(client(ContosoAPI), client(entra.SearchAppID), object(who))
	}
	all := []string{"scope", "api://" + ContosoAPI + "/.default"}
	p := newSurfer(t, s)
	p.open(authorizeURL(all...))
	p.press("person", Alice)
	if p.result().Get("code") == "" || !missing(Alice) {
		t.Errorf("the client's own consent is there, so nothing is asked: %s", p.location)
	}
	p.open(authorizeURL(append(all, "prompt", "consent")...))
	p.see("Permissions requested")
	for _, want := range []string{"Execute MCP tools", "Access Azure AI Search", "https://search.azure.com/user_impersonation"} {
		if !strings.Contains(p.page, want) {
			t.Errorf("%q is not asked for:\n%s", want, p.page)
		}
	}
	p.press("consent", "yes")
	if p.result().Get("code") == "" || missing(Alice) || !missing(Bob) {
		t.Errorf("alice consented for herself: %s", p.location)
	}
	stranger := newSurfer(t, s)
	stranger.open(authorizeURL("scope", "api://"+ContosoAPI+"/execute", "prompt", "consent"))
	stranger.press("person", Bob)
	if strings.Contains(stranger.page, "Access Azure AI Search") {
		t.Error("one scope by name asks for what is behind it")
	}
}

func TestConsentOnlyByAnAdministrator(t *testing.T) {
	s := newTestServer(t, nil)
	p := newSurfer(t, s)
	p.open(authorizeURL("scope", "https://graph.microsoft.com/Application.ReadWrite.All"))
	p.press("person", Alice)
	p.see("Permissions requested")
	if !strings.Contains(p.page, "AADSTS90094") {
		t.Error(p.page)
	}
	p.press("consent", "yes") // as if there were a button
	p.see("Permissions requested")
	p.press("another", "1")
	p.press("person", Adele)
	p.see("Permissions requested")
	p.press("consent", "yes")
	if p.result().Get("code") == "" {
		t.Error(p.location)
	}
}

// A page of another site, or another browser, cannot finish a sign-in.
func TestFormsBelongToTheirBrowser(t *testing.T) {
	s := newTestServer(t, nil)
	theirs := newSurfer(t, s)
	theirs.open(authorizeURL())
	page := theirs.page
	for _, test := range []struct {
		desc string
		do   func(p *surfer)
	}{
		{"another browser's form", func(p *surfer) { p.page = page; p.press("person", Alice) }},
		{"a browser without cookies", func(p *surfer) { p.cookies = map[string]string{}; p.press("person", Alice) }},
		{"another origin", func(p *surfer) { p.origin = "https://evil.example"; p.press("person", Alice) }},
		{"an opaque origin", func(p *surfer) { p.origin = "null"; p.press("person", Alice) }},
		{"a forged flow", func(p *surfer) {
			p.page = flowPattern.ReplaceAllString(p.page, `name="flow" value="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"`)
			p.press("person", Alice)
		}},
	} {
		p := newSurfer(t, s)
		p.open(authorizeURL())
		test.do(p)
		if p.status != 400 || p.location != "" {
			t.Errorf("%s: got %d to %q", test.desc, p.status, p.location)
		}
	}
}
