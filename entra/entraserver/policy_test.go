package entraserver

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/entra"
)

// TestPolicies exchanges alice's token for search under one policy after the other.
func TestPolicies(t *testing.T) {
	s := newServer(t, Config{})
	const policy = "0b7ec700-0000-4000-8000-00000000aaaa"
	one := func(r Rule) Policies { r.ID = policy; return Policies{Rules: []Rule{r}} }
	for _, test := range []struct {
		desc      string
		policies  Policies
		claims    string // of the sign-in
		aadsts    int
		code, sub string
		challenge bool
	}{
		{desc: "none"},
		{desc: "MFA for search", policies: one(Rule{Resources: []string{searchURI}, Require: requireMFA}), aadsts: 50076, code: invalidGrant, sub: "basic_action", challenge: true},
		{desc: "MFA for search, signed in with the claims", policies: one(Rule{Resources: []string{searchURI}, Require: requireMFA}), claims: challenge("capolids", policy)},
		{desc: "MFA for search, signed in with another policy's claims", policies: one(Rule{Resources: []string{searchURI}, Require: requireMFA}), claims: challenge("capolids", newGUID()), aadsts: 50076, code: invalidGrant, sub: "basic_action", challenge: true},
		{desc: "MFA for everything: the first sign-in has it", policies: one(Rule{Require: requireMFA})},
		{desc: "MFA for a person, by name", policies: one(Rule{People: []string{"alice"}, Clients: []string{"mcp-server"}, Require: requireMFA}), aadsts: 50076, code: invalidGrant, sub: "basic_action", challenge: true},
		{desc: "MFA for somebody else", policies: one(Rule{People: []string{"bob"}, Resources: []string{searchURI}, Require: requireMFA})},
		{desc: "enrolment", policies: one(Rule{Resources: []string{searchURI}, Require: requireEnrolment}), aadsts: 50079, code: invalidGrant, sub: "basic_action", challenge: true},
		{desc: "a managed device", policies: one(Rule{Resources: []string{searchURI}, Require: requireDevice}), aadsts: 53000, code: interaction, sub: "message_only", challenge: true},
		{desc: "blocked", policies: one(Rule{Resources: []string{entra.SearchAppID}, Require: requireBlock}), aadsts: 53003, code: interaction, sub: "message_only"},
		{desc: "a fresh sign-in", policies: one(Rule{Resources: []string{searchURI}, Require: requireFresh, Seconds: 3600})},
		{desc: "assignment required", policies: Policies{AssignmentRequired: []string{searchURI}}, aadsts: 50105, code: invalidGrant},
		{desc: "consent missing", policies: Policies{ConsentMissing: []ConsentGap{{Client: "mcp-server", Resource: searchURI}}}, aadsts: 65001, code: invalidGrant, sub: "consent_required"},
		{desc: "consent of somebody else missing", policies: Policies{ConsentMissing: []ConsentGap{{Client: "mcp-server", Resource: searchURI, People: []string{"bob"}}}}},
	} {
		if err := s.SetPolicies(test.policies); err != nil {
			t.Errorf("%s: %v", test.desc, err)
			continue
		}
		_, body := post(t, s, exchange(s, signIn(t, s, "alice", ContosoWebClient, test.claims, apiExecute)), nil)
		got := claimSet(body)
		if aadsts(body) != test.aadsts || got.text("error") != test.code || got.text("suberror") != test.sub || (got.text("claims") != "") != test.challenge {
			t.Errorf("%s: got %v, want %s/%s AADSTS%d, with claims %t", test.desc, body, test.code, test.sub, test.aadsts, test.challenge)
		}
		if test.challenge && got.text("claims") != `{"access_token":{"capolids":{"essential":true,"values":["`+policy+`"]}}}` {
			t.Errorf("%s: claims = %s", test.desc, got.text("claims"))
		}
	}
}

// TestPoliciesAtSignIn has those that no sign-in satisfies.
func TestPoliciesAtSignIn(t *testing.T) {
	s := newServer(t, Config{})
	for want, p := range map[string]Policies{
		"AADSTS53003": {Rules: []Rule{{People: []string{"alice"}, Require: requireBlock}}},
		"AADSTS53000": {Rules: []Rule{{Clients: []string{"mcp-client"}, Require: requireDevice}}},
		"AADSTS50105": {AssignmentRequired: []string{"mcp-client"}},
		"AADSTS50057": {Disabled: []string{"alice"}},
	} {
		if err := s.SetPolicies(p); err != nil {
			t.Fatal(err)
		}
		if _, err := s.SignIn("alice", ContosoWebClient, "", apiExecute); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestRevocation(t *testing.T) {
	s := newServer(t, Config{})
	assertion := signIn(t, s, "alice", ContosoWebClient, "", apiExecute)
	_, body := post(t, s, with(exchange(s, assertion), "scope", searchDefault+" offline_access"), nil)
	refresh := with(without(exchange(s, ""), "assertion", "requested_token_use", "scope"), "grant_type", grantRefresh, "refresh_token", claimSet(body).text("refresh_token"))
	if err := s.SetPolicies(Policies{Revoked: []string{"alice"}}); err != nil {
		t.Fatal(err)
	}
	if _, body = post(t, s, refresh, nil); aadsts(body) != 50173 {
		t.Errorf("a revoked refresh token: %v", body)
	}
	_, body = post(t, s, with(exchange(s, assertion), "scope", searchDefault+" offline_access"), nil)
	if aadsts(body) != 0 {
		t.Errorf("an assertion is still good, by default: %v", body)
	}
	if _, body = post(t, s, with(refresh, "refresh_token", claimSet(body).text("refresh_token")), nil); aadsts(body) != 50173 {
		t.Errorf("the exchange of a revoked sign-in made a refresh token that is not: %v", body)
	}
	if err := s.SetPolicies(Policies{RefuseRevoked: new(true)}); err != nil {
		t.Fatal(err)
	}
	if _, body = post(t, s, exchange(s, assertion), nil); aadsts(body) != 50173 {
		t.Errorf("an assertion of a revoked sign-in: %v", body)
	}
	if _, body = post(t, s, exchange(s, signIn(t, s, "alice", ContosoWebClient, "", apiExecute)), nil); aadsts(body) != 0 {
		t.Errorf("after signing in anew: %v", body)
	}
}

// TestScenariosThatComeLater has those that a person who signs in after the start meets a minute later.
func TestScenariosThatComeLater(t *testing.T) {
	for name, want := range map[string]int{"revoked": 50173, "rotate-keys": 50013, "expired": 500133} {
		later := 2 * time.Minute
		if name == "expired" {
			later = 6 * time.Minute
		}
		now := time.Now()
		s := newServer(t, Config{Now: func() time.Time { return now }})
		if err := s.Scenario(name); err != nil {
			t.Fatal(err)
		}
		form := exchange(s, signIn(t, s, "alice", ContosoWebClient, "", apiExecute))
		if _, body := post(t, s, with(form, "scope", searchDefault+" offline_access"), nil); aadsts(body) != 0 {
			t.Errorf("%s: at once: %v", name, body)
		}
		now = now.Add(later)
		if _, body := post(t, s, form, nil); aadsts(body) != want {
			t.Errorf("%s: later: got %v, want AADSTS%d", name, body, want)
		}
		if _, body := post(t, s, exchange(s, signIn(t, s, "alice", ContosoWebClient, "", apiExecute)), nil); aadsts(body) != 0 {
			t.Errorf("%s: signed in again: %v", name, body)
		}
	}
}

func TestRefreshTokensOfAShortLife(t *testing.T) {
	now := time.Now()
	s := newServer(t, Config{Now: func() time.Time { return now }})
	if err := s.Scenario("expired"); err != nil {
		t.Fatal(err)
	}
	_, body := post(t, s, with(exchange(s, signIn(t, s, "alice", ContosoWebClient, "", apiExecute)), "scope", searchDefault+" offline_access"), nil)
	form := with(without(exchange(s, ""), "assertion", "requested_token_use", "scope"), "grant_type", grantRefresh, "refresh_token", claimSet(body).text("refresh_token"))
	now = now.Add(5 * time.Minute)
	if _, body = post(t, s, form, nil); aadsts(body) != 0 {
		t.Errorf("after five minutes: %v", body)
	}
	now = now.Add(2 * time.Minute)
	if _, body = post(t, s, form, nil); aadsts(body) != 700082 {
		t.Errorf("after seven minutes: %v", body)
	}
}

func TestStaleSignIn(t *testing.T) {
	s := newServer(t, Config{})
	if err := s.SetPolicies(Policies{Rules: []Rule{{Resources: []string{searchURI}, Require: requireFresh, Seconds: 600}}}); err != nil {
		t.Fatal(err)
	}
	assertion := signIn(t, s, "alice", ContosoWebClient, "", apiExecute)
	if err := s.Advance(11 * time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, body := post(t, s, exchange(s, assertion), nil); aadsts(body) != 70043 || body["claims"] == nil {
		t.Errorf("got %v, want AADSTS70043 with claims", body)
	}
}

func TestAuthenticationContexts(t *testing.T) {
	s := newServer(t, Config{})
	const c1 = `{"access_token":{"acrs":{"essential":true,"values":["c1"]}}}`
	form := with(exchange(s, signIn(t, s, "alice", ContosoWebClient, "", apiExecute)), "claims", c1)
	if _, body := post(t, s, form, nil); aadsts(body) != 50076 || body["claims"] != c1 {
		t.Errorf("got %v, want AADSTS50076 with the same claims", body)
	}
	_, body := post(t, s, with(form, "assertion", signIn(t, s, "alice", ContosoWebClient, c1, apiExecute)), nil)
	if _, claims := claimsOf(t, claimSet(body).text("access_token")); len(claims.texts("acrs")) != 1 {
		t.Errorf("acrs is not carried on: %v", claims)
	}
	// MSAL for Node always asks for something in the id_token: no challenge.
	if _, body := post(t, s, with(form, "claims", `{"id_token":{"signin_state":{"essential":false},"login_hint":null}}`), nil); aadsts(body) != 0 {
		t.Errorf("claims of the id_token: %v", body)
	}
}

func TestConsentIsGiven(t *testing.T) {
	s := newServer(t, Config{})
	alice, adele := s.dir.FindPerson("alice"), s.dir.FindPerson("adele")
	api, search := s.dir.Application(client(ContosoAPI)), s.dir.Application(client(entra.SearchAppID))
	missing := func(person string) int {
		_, body := post(t, s, exchange(s, signIn(t, s, person, ContosoWebClient, "", apiExecute)), nil)
		return aadsts(body)
	}
	if err := s.Scenario("consent"); err != nil {
		t.Fatal(err)
	}
	if err := s.giveConsent(api, search, alice, true, []string{".default"}); err != nil { // she is no administrator: for herself
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{0, 65001}, []int{missing("alice"), missing("bob")}); diff != "" {
		t.Errorf("after alice's consent: %s", diff)
	}
	if err := s.giveConsent(api, search, adele, true, []string{".default"}); err != nil {
		t.Fatal(err)
	}
	if got := missing("bob"); got != 0 {
		t.Errorf("after an administrator's consent: AADSTS%d", got)
	}
}

func TestResourceModes(t *testing.T) {
	s := newServer(t, Config{})
	form := exchange(s, signIn(t, s, "alice", ContosoWebClient, "", apiExecute))
	for _, test := range []struct {
		mode     ResourceMode
		resource string
		aadsts   int
	}{
		{ResourceEnforced, "https://search.azure.com", 0},
		{ResourceEnforced, "https://search.azure.com/", 9010010},
		{ResourceEnforced, "https://SEARCH.azure.com", 9010010},
		{ResourceEnforced, entra.SearchAppID, 9010010},
		{ResourceIgnored, "https://elsewhere.example", 0},
		{ResourceRejected, "https://search.azure.com", 901002},
	} {
		if err := s.SetPolicies(Policies{Resource: test.mode}); err != nil {
			t.Fatal(err)
		}
		if _, body := post(t, s, with(form, "resource", test.resource), nil); aadsts(body) != test.aadsts {
			t.Errorf("%s %s: got %v, want AADSTS%d", test.mode, test.resource, body, test.aadsts)
		}
	}
}

func TestPoliciesOfAFile(t *testing.T) {
	const file = `
# what the administrator of contoso.example demands
rules:
  - name: MFA for search
    resources: ["https://search.azure.com"]
    require: mfa
consent_missing:
  - {client: mcp-server, resource: https://graph.microsoft.com}
revoked: [bob]
access_token_seconds: 600
`
	p, err := ReadPolicies(strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	want := Policies{
		Rules:          []Rule{{Name: "MFA for search", Resources: []string{"https://search.azure.com"}, Require: "mfa"}},
		ConsentMissing: []ConsentGap{{Client: "mcp-server", Resource: "https://graph.microsoft.com"}},
		Revoked:        []string{"bob"}, AccessTokenSeconds: 600,
	}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"ruels: []", "rules: 1", "rules: [", "\x00"} {
		if _, err := ReadPolicies(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestPoliciesReportAllMistakes(t *testing.T) {
	s := newServer(t, Config{})
	err := s.SetPolicies(Policies{
		Rules:          []Rule{{Name: "r1", People: []string{"mallory"}, Require: "magic", ID: "x"}, {Name: "r2", Require: requireFresh}},
		ConsentMissing: []ConsentGap{{Client: "nothing", Resource: searchURI}}, Resource: "sometimes", AccessTokenSeconds: -1,
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{"mallory", "magic", `"x"`, "r2", "nothing", "sometimes", "access_token_seconds"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not speak of %s:\n%v", part, err)
		}
	}
	if _, err := s.SignIn("alice", ContosoWebClient, "", apiExecute); err != nil {
		t.Errorf("bad policies changed something: %v", err)
	}
}
