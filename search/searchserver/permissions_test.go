package searchserver_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/onbehalf/onbehalf/search/searchengine"
	"github.com/onbehalf/onbehalf/search/searchserver"
)

const userHeader = "x-ms-query-source-authorization"

// Everybody sees exactly what the ACLs allow; who asks for everything sees it only with the right to.
func TestWhoSeesWhat(t *testing.T) {
	s := startACL(t, nil)
	token := func(oid string) string { return s.sign(t, s.person(oid)) }
	v2 := s.person(alice)
	v2["iss"], v2["aud"] = s.home+"/"+tenant+"/v2.0", "880da380-985e-4198-81b9-e05b1cc53158"
	app := func(id string) string { return "Bearer " + s.sign(t, s.app(id)) }
	for _, test := range []struct {
		desc    string
		headers []string
		want    string
	}{
		{"alice", []string{userHeader, token(alice)}, "1 2 3"},
		{"alice, v2 token", []string{userHeader, s.sign(t, v2)}, "1 2 3"},
		{"alice, written as Bearer", []string{userHeader, "Bearer " + token(alice)}, "1 2 3"},
		{"alice in both headers", []string{"Authorization", "Bearer " + token(alice), userHeader, token(alice)}, "1 2 3"},
		{"bob", []string{userHeader, token(bob)}, "1 5"},
		{"bob through the query key", []string{"api-key", s.QueryKey().Reveal(), userHeader, token(bob)}, "1 5"},
		{"bob through an application", []string{"Authorization", app(readerApp), userHeader, token(bob)}, "1 5"},
		{"nobody", nil, "1"},
		{"nobody, through alice's role", []string{"Authorization", "Bearer " + token(alice)}, "1"},
		{"elevated", []string{"x-ms-enable-elevated-read", "true"}, "1 2 3 4 5 6"},
		{"elevated by role", []string{"Authorization", app(writerApp), "x-ms-enable-elevated-read", "true"}, "1 2 3 4 5 6"},
		{"elevated beside a user", []string{"x-ms-enable-elevated-read", "true", userHeader, token(bob)}, "1 2 3 4 5 6"},
		{"not elevated", []string{"x-ms-enable-elevated-read", "false", userHeader, token(bob)}, "1 5"},
	} {
		if keys := s.search(t, byID, test.headers...).keys(t); keys != test.want {
			t.Errorf("%s sees %q, want %q", test.desc, keys, test.want)
		}
		counted := s.search(t, `{"count":true,"top":0}`, test.headers...)
		var page struct {
			Count int `json:"@odata.count"`
		}
		if err := json.Unmarshal([]byte(counted.body), &page); err != nil || page.Count != len(strings.Fields(test.want)) {
			t.Errorf("%s: count %d of %s, want %q", test.desc, page.Count, counted.body, test.want)
		}
		for _, key := range []string{"1", "2", "3", "4", "5", "6", "7"} {
			want := http.StatusNotFound
			if strings.Contains(test.want, key) {
				want = http.StatusOK
			}
			looked := s.do(t, "GET", "/indexes/acl/docs/"+key, "", test.headers...)
			if looked.status != want || want == http.StatusNotFound && looked.body != "" {
				t.Errorf("%s: lookup of %s: HTTP %d %q, want %d", test.desc, key, looked.status, looked.body, want)
			}
		}
	}
}

// A token that is not perfect is an error, on a search and on a lookup; the public documents are no answer to it.
func TestBadUserTokensAreRefused(t *testing.T) {
	s := startACL(t, nil)
	with := func(change func(map[string]any)) string {
		claims := s.person(alice)
		change(claims)
		return s.sign(t, claims)
	}
	good := with(func(map[string]any) {})
	other := newIssuer(t)
	other.rotate()
	other.kid = "k1" // another key under the same name
	parts := strings.Split(good, ".")
	for _, test := range []struct {
		desc, token, says string
	}{
		{"Graph's", with(func(c map[string]any) { c["aud"] = "https://graph.microsoft.com" }), "Audience claim is invalid in the JWT token."},
		{"the API's own", with(func(c map[string]any) { c["aud"] = "api://x" }), "Audience claim is invalid in the JWT token."},
		{"two audiences", with(func(c map[string]any) { c["aud"] = []string{"https://search.azure.com", "api://x"} }), "Audience"},
		{"no audience", with(func(c map[string]any) { delete(c, "aud") }), "Audience"},
		{"expired", with(func(c map[string]any) { c["exp"] = time.Now().Unix() - 1 }), "expired"},
		{"without an end", with(func(c map[string]any) { delete(c, "exp") }), "expired"},
		{"not yet", with(func(c map[string]any) { c["nbf"] = time.Now().Unix() + 3600 }), "not yet valid"},
		{"another tenant", with(func(c map[string]any) { c["tid"] = alice }), "Issuer"},
		{"another issuer", with(func(c map[string]any) { c["iss"] = "https://evil.example/" }), "Issuer"},
		{"no person", with(func(c map[string]any) { delete(c, "oid") }), "not that of a person"},
		{"malformed person", with(func(c map[string]any) { c["oid"] = "all" }), "not that of a person"},
		{"an application", s.sign(t, s.app(writerApp)), "not that of a person"},
		{"an application that hides it", with(func(c map[string]any) { delete(c, "scp") }), "not that of a person"},
		{"one byte changed", parts[0] + "." + parts[1] + "x." + parts[2], ""},
		{"signature of something else", parts[0] + "." + parts[1] + "." + strings.Split(with(func(c map[string]any) { c["x"] = 1 }), ".")[2], "Signature"},
		{"another key", other.sign(t, s.person(alice)), "Signature"},
		{"unknown key", s.signWith(t, map[string]any{"alg": "RS256", "kid": "nobody's"}, s.person(alice)), "Signature"},
		{"no key id", s.signWith(t, map[string]any{"alg": "RS256"}, s.person(alice)), "Signature"},
		{"alg none", s.signWith(t, map[string]any{"alg": "none", "kid": "k1"}, s.person(alice)), "algorithm"},
		{"alg HS256", s.signWith(t, map[string]any{"alg": "HS256", "kid": "k1"}, s.person(alice)), "algorithm"},
		{"critical extension", s.signWith(t, map[string]any{"alg": "RS256", "kid": "k1", "crit": []string{"b64"}, "b64": false}, s.person(alice)), "algorithm"},
		{"no signature", parts[0] + "." + parts[1] + ".", ""},
		{"a GUID, as in the specification's example", alice, "malformed"},
		{"huge", strings.Repeat("a", 40<<10), "malformed"},
		{"blank", " ", "malformed"},
	} {
		answers := []got{
			s.search(t, byID, userHeader, test.token),
			s.do(t, "GET", "/indexes/acl/docs?search=*", "", userHeader, test.token),
			s.do(t, "GET", "/indexes/acl/docs/1", "", userHeader, test.token),
			s.search(t, byID, "Authorization", "Bearer "+test.token),
		}
		for i, answer := range answers {
			wrongPlace := i == 3 && strings.Contains(test.says, "not that of a person") // as the application's own token it may do
			if answer.status != http.StatusUnauthorized && !wrongPlace || strings.Contains(answer.body, `"value"`) && !wrongPlace {
				t.Errorf("%s, request %d: HTTP %d %s, want 401", test.desc, i, answer.status, answer.body)
			}
			if i < 3 && !strings.Contains(answer.body, test.says) {
				t.Errorf("%s, request %d: %s, want the words %q", test.desc, i, answer.body, test.says)
			}
		}
	}
	empty := s.do(t, "POST", "/indexes/acl/docs/search", byID)
	if empty.keys(t) != "1" {
		t.Errorf("without a token: %s", empty.body)
	}
}

// Graph down, or the tenant's keys: an error, never the documents that are left.
func TestOutagesAreNotPartialResults(t *testing.T) {
	s := startACL(t, func(c *searchserver.Config) { c.GroupsLife = -1 })
	token := s.sign(t, s.person(alice))
	s.groupsDown.Store(true)
	if answer := s.search(t, byID, userHeader, token); answer.status != http.StatusServiceUnavailable || strings.Contains(answer.body, "value\"") {
		t.Errorf("Graph down: HTTP %d %s, want 503", answer.status, answer.body)
	}
	s.groupsDown.Store(false)
	if keys := s.search(t, byID, userHeader, token).keys(t); keys != "1 2 3" {
		t.Errorf("Graph up again: %q", keys)
	}
	if !strings.Contains(s.log.String(), "Graph is down") {
		t.Errorf("the log does not say why: %s", s.log)
	}

	s = startACL(t, nil)
	s.down.Store(true)
	if answer := s.search(t, byID, userHeader, token); answer.status != http.StatusServiceUnavailable {
		t.Errorf("keys away: HTTP %d %s, want 503", answer.status, answer.body)
	}
}

func TestKeysRotate(t *testing.T) {
	s := startACL(t, nil)
	old := s.sign(t, s.person(alice))
	if keys := s.search(t, byID, userHeader, old).keys(t); keys != "1 2 3" {
		t.Fatalf("before: %q", keys)
	}
	s.rotate()
	if keys := s.search(t, byID, userHeader, s.sign(t, s.person(alice))).keys(t); keys != "1 2 3" {
		t.Errorf("a token of the new key: %q", keys)
	}
	if answer := s.search(t, byID, userHeader, old); answer.status != http.StatusUnauthorized {
		t.Errorf("a token of the old key: HTTP %d, want 401", answer.status)
	}
	before := s.fetches.Load()
	for range 50 {
		s.search(t, byID, userHeader, s.signWith(t, map[string]any{"alg": "RS256", "kid": "unknown"}, s.person(alice)))
	}
	if n := s.fetches.Load() - before; n > 12 {
		t.Errorf("50 tokens with unknown keys made %d fetches", n)
	}
}

func TestGroupsAreRememberedForAWhile(t *testing.T) {
	s := startACL(t, nil)
	token := s.sign(t, s.person(alice))
	for range 5 {
		s.search(t, byID, userHeader, token)
	}
	if n := s.asked.Load(); n != 1 {
		t.Errorf("the groups were asked for %d times, want once", n)
	}
	s.do(t, "POST", "/_local/reset", "{}")
	s.search(t, byID, userHeader, token)
	if n := s.asked.Load(); n != 2 {
		t.Errorf("after a reset: %d times, want twice", n)
	}
}

func TestWithoutATenantNoUserIsBelieved(t *testing.T) {
	s := startACL(t, func(c *searchserver.Config) { c.Authority, c.Tenant = "", "" })
	if answer := s.search(t, byID, userHeader, s.sign(t, s.person(alice))); answer.status != http.StatusUnauthorized {
		t.Errorf("HTTP %d %s, want 401", answer.status, answer.body)
	}
	if keys := s.search(t, byID).keys(t); keys != "1" {
		t.Errorf("public: %q", keys)
	}
}

func TestBehaviourBeforeNovember2025(t *testing.T) {
	s := startACL(t, func(c *searchserver.Config) {
		engine, err := searchengine.Open(searchengine.Config{LegacyPermissions: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = engine.Close() })
		c.Engine = engine
	})
	if keys := s.search(t, byID).keys(t); keys != "1 2 3 4 5 6" {
		t.Errorf("without a user: %q, want everything", keys)
	}
	if keys := s.search(t, byID, userHeader, s.sign(t, s.person(bob))).keys(t); keys != "1 5" {
		t.Errorf("bob: %q", keys)
	}
}

// A version in general availability knows nothing of permissions: they hold all the same, and the log warns.
func TestGAVersionsDoNotLiftPermissions(t *testing.T) {
	s := startACL(t, nil)
	for _, version := range []string{"2020-06-30", "2024-07-01", "2026-04-01"} {
		path := "/indexes/acl/docs/search?api-version=" + version
		if keys := s.do(t, "POST", path, byID).keys(t); keys != "1" {
			t.Errorf("%s without a user: %q", version, keys)
		}
		if keys := s.do(t, "POST", path, byID, userHeader, s.sign(t, s.person(alice))).keys(t); keys != "1 2 3" {
			t.Errorf("%s as alice: %q", version, keys)
		}
		if answer := s.do(t, "POST", path, byID, "x-ms-enable-elevated-read", "true"); answer.status != http.StatusBadRequest {
			t.Errorf("%s elevated: HTTP %d, want 400", version, answer.status)
		}
		if !strings.Contains(s.log.String(), "apiVersion="+version) {
			t.Errorf("%s: no warning in %s", version, s.log)
		}
		if answer := s.do(t, "PUT", "/indexes/new?api-version="+version, strings.Replace(aclIndex, `"acl"`, `"new"`, 1)); answer.status != http.StatusBadRequest || !strings.Contains(answer.body, "ermissionFilter") {
			t.Errorf("%s: definition: HTTP %d %s, want 400 that names the property", version, answer.status, answer.body)
		}
	}
}
