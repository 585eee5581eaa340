package entraserver

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// TestAdminConsent is the way out of the scenario "consent": the link that AADSTS65001 leads to, as an administrator.
func TestAdminConsent(t *testing.T) {
	s := newServer(t, Config{})
	if err := s.Scenario("consent"); err != nil {
		t.Fatal(err)
	}
	form := exchange(s, signIn(t, s, "alice", ContosoWebClient, "", apiExecute))
	p := newSurfer(t, s)
	p.open("/" + ContosoTenant + "/adminconsent?client_id=" + ContosoAPI)
	p.press("login", "alice", "passwd", ContosoPassword)
	if !strings.Contains(p.page, "AADSTS90094") || !strings.Contains(p.page, "user_impersonation") {
		t.Errorf("alice is no administrator: %s", p.page)
	}
	p.press("consent", "yes")
	if _, body := post(t, s, form, nil); aadsts(body) != 65001 {
		t.Errorf("alice consented for everyone: %v", body)
	}
	p.press("another", "1")
	p.press("login", "adele", "passwd", ContosoPassword)
	p.see("Permissions requested")
	p.press("consent", "yes")
	p.see("Consent is given")
	if _, body := post(t, s, form, nil); aadsts(body) != 0 {
		t.Errorf("after the administrator's consent: %v", body)
	}
}

func TestAdminConsentGoesBack(t *testing.T) {
	s := newServer(t, Config{})
	const redirect = "http://localhost:8090/callback"
	open := func(more string) *surfer {
		p := newSurfer(t, s)
		p.open("/" + ContosoTenant + "/v2.0/adminconsent?client_id=" + ContosoOther + "&state=s1" + more)
		return p
	}
	ask := "&redirect_uri=" + url.QueryEscape(redirect) + "&scope=" + url.QueryEscape(apiExecute)
	p := open(ask)
	p.press("login", "adele", "passwd", ContosoPassword)
	p.press("consent", "yes")
	if got := p.result(); !strings.HasPrefix(p.location, redirect) || got.Get("admin_consent") != "True" || got.Get("tenant") != ContosoTenant || got.Get("state") != "s1" {
		t.Errorf("sent back to %s", p.location)
	}
	if got := s.dir.Granted(client(ContosoOther), client(ContosoAPI), object(Bob)); len(got) != 1 {
		t.Errorf("granted for everyone: %v", got)
	}
	p = open(ask)
	p.press("login", "adele", "passwd", ContosoPassword)
	p.press("consent", "no")
	if got := p.result(); got.Get("error") != "access_denied" {
		t.Errorf("refused: sent back to %s", p.location)
	}
	for more, want := range map[string]string{
		"&redirect_uri=https://evil.example": "AADSTS50011",
		"&scope=https://nobody.example/x":    "AADSTS500011",
		"":                                   "", // nothing is registered for it
	} {
		p = open(more)
		if want == "" {
			p.press("login", "adele", "passwd", ContosoPassword)
			want = "AADSTS650056"
		}
		if p.location != "" || !strings.Contains(p.page, want) {
			t.Errorf("%s: got %q, want a page with %s", more, p.location, want)
		}
	}
}

func TestUserInfo(t *testing.T) {
	s := newServer(t, Config{})
	for token, want := range map[string]int{
		signIn(t, s, "alice", ContosoWebClient, "", "User.Read"): 200,
		signIn(t, s, "alice", ContosoWebClient, "", apiExecute):  401,
		"nonsense": 401,
		"":         401,
	} {
		r := httptest.NewRequest(http.MethodGet, "/oidc/userinfo", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != want || want == 200 && !strings.Contains(w.Body.String(), "Alice Archer") {
			t.Errorf("got %d %s, want %d", w.Code, w.Body, want)
		}
	}
}
