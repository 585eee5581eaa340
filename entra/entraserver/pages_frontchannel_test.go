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
