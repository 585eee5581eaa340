package entraserver

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/entra"
)

// control calls the control API as a program of this machine does.
func control(t *testing.T, s *Server, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, "/_local/"+path, strings.NewReader(body))
	r.RemoteAddr, r.Host = "127.0.0.1:50000", "localhost:8443"
	if method != http.MethodGet {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func requestDeviceCode(t *testing.T, s *Server, form url.Values) map[string]any {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/CONTOSO.example/OAuth2/V2.0/DeviceCode", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	return body
}

func TestDeviceCodeByControl(t *testing.T) {
	s := newServer(t, Config{SlowDown: true})
	start := func() (user string, poll url.Values) {
		body := requestDeviceCode(t, s, url.Values{clientID: {ContosoWebClient}, "scope": {apiExecute + " openid profile offline_access"}})
		if body["expires_in"] != 900.0 || body["interval"] != 5.0 || body["verification_uri"] != "https://localhost:8443/devicelogin" {
			t.Fatalf("device code: %v", body)
		}
		return claimSet(body).text("user_code"), url.Values{"grant_type": {grantDevice}, clientID: {ContosoWebClient}, "device_code": {claimSet(body).text("device_code")}}
	}
	expect := func(desc string, form url.Values, want string) {
		t.Helper()
		if _, body := post(t, s, form, nil); claimSet(body).text("error") != want {
			t.Errorf("%s: got %v, want %q", desc, body, want)
		}
	}
	user, poll := start()
	expect("nobody yet", poll, "authorization_pending")
	expect("too fast, where that matters", poll, "slow_down")
	expect("another client's", with(poll, clientID, ContosoOther, "client_secret", s.dir.ClientSecret(client(ContosoOther)).Reveal()), "bad_verification_code")
	expect("a confidential client", with(poll, clientID, ContosoOther), invalidClient)
	spaced := strings.ToLower(user[:3] + "-" + user[3:])
	for path, want := range map[string]int{
		"devicecodes/NOSUCHONE/approve":      400,
		"devicecodes/" + spaced + "/approve": 204,
	} {
		if w := control(t, s, "POST", path, `{"user":"alice"}`); w.Code != want {
			t.Errorf("%s: got %d %s, want %d", path, w.Code, w.Body, want)
		}
	}
	if w := control(t, s, "POST", "devicecodes/"+user+"/approve", `{"user":"bob"}`); w.Code != 400 || !strings.Contains(w.Body.String(), "AADSTS90120") {
		t.Errorf("approved twice: %d %s", w.Code, w.Body)
	}
	short := with(without(poll, "device_code"), "grant_type", "device_code", "code", poll.Get("device_code"))
	_, body := post(t, s, short, nil)
	if body["access_token"] == nil || body["refresh_token"] == nil || body["id_token"] == nil {
		t.Errorf("approved: %v", body)
	}
	expect("a second time", poll, "bad_verification_code")

	user, poll = start()
	if w := control(t, s, "POST", "devicecodes/"+user+"/decline", `{}`); w.Code != 204 {
		t.Errorf("decline: %d %s", w.Code, w.Body)
	}
	expect("declined", poll, "authorization_declined")

	user, poll = start()
	control(t, s, "POST", "clock/advance", `{"seconds":901}`)
	if w := control(t, s, "POST", "devicecodes/"+user+"/approve", `{"user":"alice"}`); !strings.Contains(w.Body.String(), "AADSTS70019") {
		t.Errorf("too late: %s", w.Body)
	}
	expect("expired", poll, "expired_token")
}

func TestControl(t *testing.T) {
	s := newServer(t, Config{})
	w := control(t, s, "GET", "people", "")
	var people []map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &people); err != nil || len(people) != 6 || people[1]["user"] != "alice" || people[1]["oid"] != Alice {
		t.Errorf("people: %v, %s", err, w.Body)
	}
	for _, test := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "tokens", `{"user":"bob","claims":{"aud":"x","scp":null},"key":"unknown"}`, 200},
		{"POST", "tokens", `{"key":"golden"}`, 400},
		{"POST", "tokens", `{"user":"mallory"}`, 400},
		{"POST", "clock/advance", `{"seconds":0}`, 400},
		{"POST", "clock/advance", `{"secs":1}`, 400},
		{"POST", "keys/rotate", `{}`, 204},
		{"POST", "keys/rotate", `{"revoke":true}`, 204},
		{"PUT", "policies", `{"rules":[{"require":"mfa","resources":["https://search.azure.com"]}]}`, 204},
		{"PUT", "policies", `{"rules":[{"require":"magic"}]}`, 400},
		{"GET", "policies", "", 200},
		{"PUT", "scenario/mfa", `{}`, 204},
		{"PUT", "scenario/magic", `{}`, 400},
		{"POST", "faults", `{"endpoint":"token","status":503}`, 204},
		{"GET", "requests", "", 200},
		{"POST", "reset", "", 204},
		{"GET", "reset", "", 405},
		{"GET", "nothing", "", 404},
		{"POST", "devicecodes/X/approve", `{"user":"mallory"}`, 400},
	} {
		if w := control(t, s, test.method, test.path, test.body); w.Code != test.want {
			t.Errorf("%s %s %s: got %d %s, want %d", test.method, test.path, test.body, w.Code, w.Body, test.want)
		}
	}
	if diff := cmp.Diff(Policies{}, s.policies.current().source); diff != "" {
		t.Errorf("reset leaves policies: %s", diff)
	}
}

// TestControlRefusesPages has what a web page could try.
func TestControlRefusesPages(t *testing.T) {
	s := newServer(t, Config{})
	for desc, change := range map[string]func(*http.Request){
		"another machine":   func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1" },
		"another name":      func(r *http.Request) { r.Host = "rebound.example" },
		"another origin":    func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"upper case path":   func(r *http.Request) { r.URL.Path = "/_LOCAL/people"; r.Header.Set("Origin", "https://evil.example") },
		"a tenant before":   func(r *http.Request) { r.URL.Path = "/common/_local/people" },
		"a doubled slash":   func(r *http.Request) { r.URL.Path = "//_local/people" },
		"dots in the path":  func(r *http.Request) { r.URL.Path = "/x/../_local/people" },
		"dots after it":     func(r *http.Request) { r.URL.Path = "/_local/../_local/people"; r.Host = "rebound.example" },
		"a cross-site load": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
	} {
		r := httptest.NewRequest(http.MethodGet, "/_local/people", nil)
		r.RemoteAddr, r.Host = "127.0.0.1:50000", "localhost:8443"
		change(r)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code < 400 && w.Code != http.StatusTemporaryRedirect && w.Code != http.StatusMovedPermanently || strings.Contains(w.Body.String(), Alice) {
			t.Errorf("%s: got %d %s", desc, w.Code, w.Body)
		}
	}
}

func TestFaults(t *testing.T) {
	s := newServer(t, Config{})
	control(t, s, "POST", "faults", `{"endpoint":"token","count":1,"status":429,"retry_after":7,"aadsts":90055}`)
	control(t, s, "POST", "faults", `{"endpoint":"token","count":1,"status":400,"aadsts":50076,"claims":"{\"access_token\":{}}"}`)
	form := exchange(s, signIn(t, s, "alice", ContosoWebClient, "", apiExecute))
	if status, body := post(t, s, form, nil); status != 429 || aadsts(body) != 90055 || body["error"] != "temporarily_unavailable" {
		t.Errorf("got %d %v", status, body)
	}
	if status, body := post(t, s, form, nil); status != 400 || aadsts(body) != 50076 || body["claims"] != `{"access_token":{}}` || body["suberror"] != "basic_action" {
		t.Errorf("got %d %v", status, body)
	}
	if status, _ := post(t, s, form, nil); status != 200 {
		t.Errorf("got %d after the faults", status)
	}
	control(t, s, "POST", "faults", `{"endpoint":"token/client_credentials","status":500}`)
	if status, _ := post(t, s, form, nil); status != 200 {
		t.Errorf("a fault of another grant: %d", status)
	}
	if status, _ := post(t, s, url.Values{"grant_type": {grantClient}}, nil); status != 500 {
		t.Errorf("a fault of this grant: %d", status)
	}
	control(t, s, "POST", "faults", `{"endpoint":"graph","status":503,"error":"ServiceUnavailable"}`)
	if status, body, _ := get(t, s, "/v1.0/me"); status != 503 || body["error"] == nil || body["error_codes"] != nil {
		t.Errorf("Graph's errors are of Graph's form: %d %v", status, body)
	}
}

// TestScenarios has what each scenario does to an exchange of alice's for search.
func TestScenarios(t *testing.T) {
	for name, want := range map[string]int{
		"blocked": 53003, "consent": 65001, "mfa": 50076, "revoked": 50173, "rotate-keys": 50013, "throttled": 90055,
		"expired": 0, "overage": 0, "resource-mismatch": 0, "slow": 0,
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, Config{})
			form := exchange(s, signIn(t, s, "alice", ContosoWebClient, "", apiExecute))
			if err := s.Scenario(name); err != nil {
				t.Fatal(err)
			}
			if name == "slow" {
				s.traffic.Reset()
			}
			if _, body := post(t, s, form, nil); aadsts(body) != want {
				t.Errorf("got %v, want AADSTS%d", body, want)
			}
		})
	}
	if n := len(Scenarios()); n != 11 {
		t.Errorf("%d scenarios", n)
	}
}

// What a set-up makes is taken away; what a tenant has without one stays.
func TestScenarioEmpty(t *testing.T) {
	s := newServer(t, Config{})
	if err := s.Scenario("empty"); err != nil {
		t.Fatal(err)
	}
	for _, a := range s.dir.Applications() {
		if !a.Foreign {
			t.Errorf("%s is still there", a.DisplayName)
		}
	}
	for _, id := range []string{entra.SearchAppID, entra.GraphAppID, GraphCommandLineID, AzureCLIID, ContosoIdentity} {
		if s.dir.PrincipalOf(client(id)) == nil {
			t.Errorf("%s is gone", id)
		}
	}
	if s.dir.FindPerson("alice") == nil {
		t.Error("alice is gone")
	}
}

func TestScenarioOverage(t *testing.T) {
	s := newServer(t, Config{})
	if err := s.Scenario("overage"); err != nil {
		t.Fatal(err)
	}
	if _, claims := claimsOf(t, signIn(t, s, "alice", ContosoWebClient, "", apiExecute)); claims["_claim_names"] == nil {
		t.Error("alice is not in too many groups")
	}
}

func TestLoadPeople(t *testing.T) {
	d := contoso(t)
	const file = `{"name":"Ann Example","upn":"ann.1234@contoso.example","oid":"11111111-1111-4111-8111-111111111111","groups":["22222222-2222-4222-8222-222222222222","` + Engineering + `"]}

{"name":"Ben","upn":"ben@contoso.example","oid":"33333333-3333-4333-8333-333333333333","groups":[]}
`
	n, err := d.LoadPeople(strings.NewReader(file))
	if err != nil || n != 2 {
		t.Fatal(n, err)
	}
	ann := d.FindPerson("ann.1234")
	if ann == nil || !ann.Enabled || len(d.MemberOf(ann.ID)) != 2 || d.Group(object("22222222-2222-4222-8222-222222222222")) == nil {
		t.Errorf("ann: %+v", ann)
	}
	for _, bad := range []string{`{"name":"x"}`, `nonsense`, `{"name":"Al","upn":"alice@contoso.example","oid":"44444444-4444-4444-8444-444444444444"}`, `{"name":"x","upn":"x","oid":"short"}`} {
		if _, err := d.LoadPeople(strings.NewReader("\n" + bad)); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%s: %v, want an error that names line 2", bad, err)
		}
	}
}
