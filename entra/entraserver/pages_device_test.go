package entraserver

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// startDevice asks for a device code.
func startDevice(t *testing.T, s *Server, fields ...string) (userCode, deviceCode string) {
	t.Helper()
	form := url.Values{"client_id": {ContosoWebClient}, "scope": {"api://" + ContosoAPI + "/execute openid offline_access"}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, "https://localhost:8443/"+ContosoTenant+"/oauth2/v2.0/devicecode", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.RemoteAddr = "192.0.2.7:1234"
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var out map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	userCode, _ = out["user_code"].(string)
	deviceCode, _ = out["device_code"].(string)
	return userCode, deviceCode
}

func poll(t *testing.T, s *Server, deviceCode string) (int, map[string]any) {
	t.Helper()
	return tokenRequest(t, s, "grant_type", "device_code", "client_id", ContosoWebClient, "device_code", deviceCode)
}

func TestDeviceLogin(t *testing.T) {
	s := newTestServer(t, nil)
	user, device := startDevice(t, s)
	p := newSurfer(t, s)
	p.open("/devicelogin")
	p.see("Enter the code")
	p.press("user_code", "WRONGCODE")
	p.see("Enter the code")
	if !strings.Contains(p.page, "AADSTS70018") {
		t.Error(p.page)
	}
	p.press("user_code", " "+strings.ToLower(user[:4])+"-"+user[4:])
	p.see("Sign in")
	p.press("person", Alice)
	p.see("Are you trying to sign in to mcp-client?")
	for _, want := range []string{"alice@contoso.example", "192.0.2.7", "api://" + ContosoAPI + "/execute", "Somebody who sends you a code"} {
		if !strings.Contains(p.page, want) {
			t.Errorf("the page lacks %q: %s", want, p.page)
		}
	}
	if _, answer := poll(t, s, device); answer["error"] != "authorization_pending" {
		t.Errorf("before the confirmation: %v", answer)
	}
	p.press("device", "yes")
	p.see("You’re signed in")
	status, tokens := poll(t, s, device)
	if status != 200 || claimsIn(t, tokens["access_token"]).text("oid") != Alice {
		t.Errorf("%d %v", status, tokens)
	}

	// The account is offered the next time, and the code is used up.
	p.open("/devicelogin?otc=" + user)
	if !strings.Contains(p.page, `value="`+user+`"`) {
		t.Error("the code is not filled in")
	}
	p.press("user_code", user)
	p.see("Enter the code")
	user, _ = startDevice(t, s)
	p.open("/devicelogin")
	p.press("user_code", user)
	p.see("Pick an account")
}

func TestDeviceLoginDeclined(t *testing.T) {
	s := newTestServer(t, nil)
	for _, button := range []string{"device", "cancel"} {
		user, device := startDevice(t, s)
		p := newSurfer(t, s)
		p.open("/devicelogin")
		p.press("user_code", user)
		if button == "device" {
			p.press("person", Alice)
			p.press("device", "no")
		} else {
			p.press("cancel", "1")
		}
		p.see("Not signed in")
		if _, answer := poll(t, s, device); answer["error"] != "authorization_declined" {
			t.Errorf("%s: %v", button, answer)
		}
	}
}

// Policies and missing consent are met at the page; the device keeps waiting while somebody else may try.
func TestDeviceLoginMeetsPolicies(t *testing.T) {
	s := newTestServer(t, nil)
	if err := s.SetPolicies(Policies{Rules: []Rule{{Name: "block", Require: "block", People: []string{"bob"}}, {Name: "mfa", Require: "mfa", People: []string{"alice"}}}}); err != nil {
		t.Fatal(err)
	}
	user, device := startDevice(t, s, "scope", "https://search.azure.com/user_impersonation")
	p := newSurfer(t, s)
	p.open("/devicelogin")
	p.press("user_code", user)
	p.press("person", Bob)
	p.see("You cannot access this right now")
	if _, answer := poll(t, s, device); answer["error"] != "authorization_pending" {
		t.Errorf("after the refusal: %v", answer)
	}
	p.press("another", "1")
	p.press("person", Alice)
	p.see("Approve the sign-in")
	p.press("mfa", "approved")
	p.see("Permissions requested")
	p.press("consent", "yes")
	p.see("Are you trying to sign in to mcp-client?")
	p.press("device", "yes")
	p.see("You’re signed in")
	status, tokens := poll(t, s, device)
	if got := claimsIn(t, tokens["access_token"]); status != 200 || strings.Join(got.texts("amr"), " ") != "pwd mfa" {
		t.Errorf("%d %v", status, got)
	}
}

func TestLogout(t *testing.T) {
	s := newTestServer(t, nil)
	signedIn := func(people ...string) *surfer {
		p := newSurfer(t, s)
		for _, who := range people {
			p.open(authorizeURL("prompt", "login"))
			p.press("person", who)
		}
		return p
	}
	logout := "/" + ContosoTenant + "/oauth2/v2.0/logout"
	silent := authorizeURL("prompt", "none")
	for _, test := range []struct {
		desc, query, title, location string
	}{
		{"plainly", "", "You’re signed out", ""},
		{"back to the application", "?client_id=" + ContosoWebAgent + "&post_logout_redirect_uri=" + url.QueryEscape("http://localhost:8080/signed-out") + "&state=x", "", "http://localhost:8080/signed-out?state=x"},
		{"back to any application's address", "?post_logout_redirect_uri=" + url.QueryEscape("http://localhost:8080/signed-out"), "", "http://localhost:8080/signed-out"},
		{"not to another's", "?client_id=" + ContosoOther + "&post_logout_redirect_uri=" + url.QueryEscape("http://localhost:8080/signed-out"), "You’re signed out", ""},
		{"not to anywhere", "?post_logout_redirect_uri=" + url.QueryEscape("https://evil.example/"), "You’re signed out", ""},
		{"not to a script", "?post_logout_redirect_uri=" + url.QueryEscape("javascript:alert(1)"), "You’re signed out", ""},
		{"not for nobody's client", "?client_id=x&post_logout_redirect_uri=" + url.QueryEscape("http://localhost"), "You’re signed out", ""},
	} {
		p := signedIn(Alice)
		p.open(logout + test.query)
		if p.title() != test.title || p.location != test.location {
			t.Errorf("%s: got %q to %q", test.desc, p.title(), p.location)
		}
		if p.open(silent); p.result().Get("error") != "login_required" {
			t.Errorf("%s: still signed in", test.desc)
		}
	}

	p := signedIn(Alice, Bob)
	p.open(logout)
	p.see("Sign out?")
	p.press("session", Bob)
	if p.open(silent); p.result().Get("code") == "" {
		t.Error("alice was signed out with bob")
	}
	p = signedIn(Alice, Bob)
	p.open(logout + "?logout_hint=alice@contoso.example") // a name is no hint
	p.see("Sign out?")
	p = signedIn(Alice, Bob)
	p.open(logout)
	p.press("everybody", "1")
	if p.open(silent); p.result().Get("error") != "login_required" {
		t.Error("still signed in")
	}
}

func FuzzAuthorize(f *testing.F) {
	s, err := New(Config{URL: "https://localhost:8443"})
	if err != nil {
		f.Fatal(err)
	}
	good := strings.TrimPrefix(authorizeURL(), "/"+ContosoTenant+"/oauth2/v2.0/authorize?")
	f.Add(good, Alice)
	f.Add(good+"&prompt=none", "")
	f.Add(strings.Replace(good, "code&", "id_token&", 1)+"&response_mode=form_post&claims=%7B%7D&resource=x", Bob)
	f.Add(strings.Replace(good, url.QueryEscape("http://localhost:5151"), url.QueryEscape("//evil.example"), 1), Bob)
	f.Fuzz(func(t *testing.T, query, person string) {
		r := httptest.NewRequest(http.MethodGet, "https://localhost:8443/"+ContosoTenant+"/oauth2/v2.0/authorize", nil)
		r.URL.RawQuery = query
		p := newSurfer(t, s)
		p.send(r)
		check := func() {
			if p.status >= 500 {
				t.Fatalf("%q: %d %s", query, p.status, p.page)
			}
			u, err := url.Parse(p.location)
			if err == nil && u.User == nil && (p.location == "" || slices.Contains([]string{"localhost", "127.0.0.1", "login.microsoftonline.com"}, u.Hostname())) {
				return
			}
			t.Fatalf("%q: sent to %q", query, p.location)
		}
		check()
		if p.title() == "Sign in" {
			p.press("person", person, "login", query, "passwd", person)
			check()
		}
	})
}
