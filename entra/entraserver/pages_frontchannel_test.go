package entraserver

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/identity"
)

var framePattern = regexp.MustCompile(`<iframe src="([^"]+)"`)

// Who signs out at Entra, or at another application, is signed out of those that have a logout URL; they are told the sid
// that they have in the ID token.
func TestFrontChannelLogout(t *testing.T) {
	s := newTestServer(t, nil)
	agent, err := identity.ParseClientID(ContosoWebAgent)
	if err != nil {
		t.Fatal(err)
	}
	const redirect = "http://localhost:5151/signin/callback"
	signIn := func() (p *surfer, sid string) {
		p = newSurfer(t, s)
		p.open(authorizeURL("client_id", ContosoWebAgent, "redirect_uri", redirect, "prompt", "login"))
		p.press("person", Alice)
		status, tokens := tokenRequest(t, s, "grant_type", "authorization_code", "client_id", ContosoWebAgent, "client_secret", s.dir.ClientSecret(agent).Reveal(),
			"code", p.result().Get("code"), "redirect_uri", redirect, "code_verifier", verifier)
		text, _ := tokens["id_token"].(string)
		if sid = claimsIn(t, text).text("sid"); status != 200 || sid == "" {
			t.Fatalf("no sid: %d %v", status, tokens)
		}
		return p, sid
	}
	logout := "/" + ContosoTenant + "/oauth2/v2.0/logout"
	for _, test := range []struct {
		desc, query, refresh string
		told                 bool
	}{
		{"at Entra", "", "", true},
		{"at another application", "?client_id=" + ContosoWebClient + "&post_logout_redirect_uri=" + url.QueryEscape("http://localhost:5252"), "1;url=http://localhost:5252", true},
		{"at the application itself", "?client_id=" + ContosoWebAgent + "&post_logout_redirect_uri=" + url.QueryEscape("http://localhost:5151/signed-out"), "", false},
	} {
		p, sid := signIn()
		p.open(logout + test.query)
		frame := framePattern.FindStringSubmatch(p.page)
		if (frame != nil) != test.told || p.header.Get("Refresh") != test.refresh {
			t.Errorf("%s: frames %q, refresh %q, to %q", test.desc, frame, p.header.Get("Refresh"), p.location)
			continue
		}
		if !test.told {
			continue
		}
		u, err := url.Parse(html.UnescapeString(frame[1]))
		if err != nil || u.Host != "localhost:5151" || u.Path != "/signout/frontchannel" || u.Query().Get("sid") != sid || u.Query().Get("iss") != "https://localhost:8443/"+ContosoTenant+"/v2.0" {
			t.Errorf("%s: %v %v: want sid %s", test.desc, u, err, sid)
		}
		if policy := p.header.Get("Content-Security-Policy"); !strings.HasSuffix(policy, "; frame-src http://localhost:5151") {
			t.Errorf("%s: %s", test.desc, policy)
		}
		if p.open(logout); framePattern.MatchString(p.page) {
			t.Errorf("%s: told twice", test.desc)
		}
	}
}

// The claim login_hint names the account at the sign-out, which does not ask which one then, and at the next sign-in.
func TestLoginHint(t *testing.T) {
	s := newTestServer(t, nil)
	agent, err := identity.ParseClientID(ContosoWebAgent)
	if err != nil {
		t.Fatal(err)
	}
	const redirect = "http://localhost:5151/signin/callback"
	authorize := func(more ...string) string {
		return authorizeURL(append([]string{"client_id", ContosoWebAgent, "redirect_uri", redirect}, more...)...)
	}
	p, hints := newSurfer(t, s), map[string]string{}
	for _, who := range []string{Alice, Bob} {
		p.open(authorize("prompt", "login"))
		p.press("person", who)
		_, tokens := tokenRequest(t, s, "grant_type", "authorization_code", "client_id", ContosoWebAgent, "client_secret", s.dir.ClientSecret(agent).Reveal(),
			"code", p.result().Get("code"), "redirect_uri", redirect, "code_verifier", verifier)
		text, _ := tokens["id_token"].(string)
		if hints[who] = claimsIn(t, text).text("login_hint"); hints[who] == "" || strings.Contains(hints[who], who) {
			t.Fatalf("the hint is %q in %v", hints[who], tokens)
		}
	}
	if p.open(authorize("login_hint", hints[Bob])); p.result().Get("code") == "" {
		t.Error("the hint picks no account")
	}
	logout := "/" + ContosoTenant + "/oauth2/v2.0/logout?logout_hint="
	p.open(logout + "O.someoneelse")
	p.see("Sign out?")
	p.open(logout + hints[Alice])
	p.see("You’re signed out")
	if p.open(authorize("prompt", "none", "login_hint", hints[Alice])); p.result().Get("error") != "login_required" {
		t.Error("alice is still signed in")
	}
	if p.open(authorize("prompt", "none", "login_hint", hints[Bob])); p.result().Get("code") == "" {
		t.Error("bob was signed out with alice")
	}
	p = newSurfer(t, s)
	if p.open(authorize("login_hint", hints[Alice])); !strings.Contains(p.page, `value="alice@contoso.example"`) {
		t.Error("the page does not offer who is hinted at")
	}
}

// Each sign-in has a sid of its own, and an application that does not ask for it gets none.
func TestSessionIDIsOfOneSignIn(t *testing.T) {
	s := newTestServer(t, nil)
	ids := map[string]bool{}
	for range 2 {
		p := newSurfer(t, s)
		p.open(authorizeURL("prompt", "login"))
		p.press("person", Alice)
		_, tokens := tokenRequest(t, s, "grant_type", "authorization_code", "client_id", ContosoWebClient, "code", p.result().Get("code"), "redirect_uri", "http://localhost:5151", "code_verifier", verifier)
		text, _ := tokens["id_token"].(string)
		if sid := claimsIn(t, text).text("sid"); sid != "" {
			t.Errorf("an application that does not ask for it gets the sid %s", sid)
		}
		if hint := claimsIn(t, text).text("login_hint"); hint != "" {
			t.Errorf("an application that does not ask for it gets the login_hint %s", hint)
		}
		c := s.internalCall()
		c.Request = httptest.NewRequest(http.MethodGet, "https://localhost:8443/", nil)
		c.AddCookie(&http.Cookie{Name: browserCookie, Value: p.cookies[browserCookie]})
		b := s.readBrowser(c)
		sess, ok := b.session(object(Alice))
		if !ok {
			t.Fatal("not signed in")
		}
		ids[s.sessionID(sess)] = true
	}
	if len(ids) != 2 {
		t.Errorf("two sign-ins have the ids %v", ids)
	}
}
