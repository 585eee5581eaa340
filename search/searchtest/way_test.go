package searchtest_test

import (
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchclient"
	"github.com/onbehalf/onbehalf/search/searchtest"
)

func withIndex(t *testing.T) *searchtest.Service {
	t.Helper()
	s := searchtest.Start(t, nil)
	definition := &search.Definition{Name: "docs", PermissionFilterOption: search.PermissionsEnabled, Fields: []search.Field{
		{Name: "id", Type: "Edm.String", Key: true, Sortable: new(true)},
		{Name: "oid", Type: "Collection(Edm.String)", PermissionFilter: search.UserIDs, Filterable: new(true), Retrievable: new(false)},
		{Name: "group", Type: "Collection(Edm.String)", PermissionFilter: search.GroupIDs, Filterable: new(true), Retrievable: new(false)},
	}}
	client := s.SearchClient()
	if _, err := client.Put(t.Context(), definition, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write(t.Context(), "docs", []search.Action{
		{Document: []byte(`{"id":"1","oid":["all"]}`)},
		{Document: []byte(`{"id":"2","oid":["` + entraserver.Alice + `"]}`)},
		{Document: []byte(`{"id":"3","group":["` + entraserver.AllStaff + `"]}`)}, // alice is in it through engineering
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

// A refusal travels from the service to the caller with all that helps to mend it.
func TestRefusalsKeepTheirMeaning(t *testing.T) {
	s := withIndex(t)
	index := s.SearchClient().Index("docs")
	const claims = `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`
	s.QueueError(searchtest.Fault{Endpoint: "docs.search", Status: 401, Claims: claims})
	_, err := index.Search(t.Context(), s.As("alice"), nil)
	refused, ok := errors.AsType[*search.Error](err)
	if !ok || !errors.Is(err, search.ErrUnauthorized) || refused.Claims != claims || refused.RequestID == "" {
		t.Errorf("claims challenge: %+v", err)
	}
	s.QueueError(searchtest.Fault{Endpoint: "docs.search", Status: 429, RetryAfter: 90, Error: "Busy", Description: "later"})
	_, err = index.Search(t.Context(), s.As("alice"), nil)
	if refused, ok = errors.AsType[*search.Error](err); !ok || refused.RetryAfter != 90*time.Second || refused.Code != "Busy" || refused.Message != "later" {
		t.Errorf("throttled: %+v", err)
	}
	s.Server.Reset()
	s.QueueError(searchtest.Fault{Endpoint: "docs.search", Status: 503, RetryAfter: 1})
	if result, err := index.Search(t.Context(), s.As("alice"), &search.Query{OrderBy: []string{"id"}}); err != nil || len(result.Hits) != 3 {
		t.Errorf("away for a moment: %+v, %v; want alice's three documents", result, err)
	}
	if n := s.Count("docs.search"); n != 2 {
		t.Errorf("%d requests, want the refused one and its repetition", n)
	}
}

// Tokens that the client cannot see through are refused by the service, each in its own words, and the hop says so.
func TestTokensOfTheLocalEntra(t *testing.T) {
	s := withIndex(t)
	index := s.SearchClient().Index("docs")
	sign := func(header, claims map[string]any, key string) search.User {
		all := map[string]any{"aud": "https://search.azure.com", "scp": "user_impersonation"}
		maps.Copy(all, claims)
		token := s.Entra.SignWith(entraserver.SignRequest{User: "alice", Header: header, Claims: all, Key: key})
		return search.ByToken{Token: identity.Token{Value: token}}
	}
	if result, err := index.Search(t.Context(), sign(nil, nil, ""), nil); err != nil || len(result.Hits) != 3 {
		t.Fatalf("good token: %+v, %v", result, err)
	}
	past := time.Now().Add(-time.Minute).Unix()
	for desc, user := range map[string]search.User{
		"expired":        sign(nil, map[string]any{"exp": past}, ""),
		"unknown key":    sign(nil, nil, "unknown"),
		"no signature":   sign(map[string]any{"alg": "none"}, nil, "none"),
		"other issuer":   sign(nil, map[string]any{"iss": "https://sts.windows.net/x/"}, ""),
		"other tenant":   sign(nil, map[string]any{"tid": entraserver.Alice}, ""),
		"an application": sign(nil, map[string]any{"idtyp": "app"}, ""),
		"nobody":         sign(nil, map[string]any{"oid": nil}, ""),
	} {
		ctx, call := chain.Begin(t.Context())
		result, err := index.Search(ctx, user, nil)
		if _, early := errors.AsType[*searchclient.TokenError](err); result != nil || !errors.Is(err, search.ErrUnauthorized) && !early {
			t.Errorf("%s: %+v, %v; want ErrUnauthorized", desc, result, err)
		}
		hops, _ := call.Hops()
		want := []chain.Hop{{Station: chain.Search, Decision: chain.Refused, Name: "docs", Audience: "https://search.azure.com"}}
		if diff := cmp.Diff(want, hops, cmpopts.IgnoreFields(chain.Hop{}, "Start", "Took", "Status", "RequestID", "Reason")); diff != "" {
			t.Errorf("%s: hops (-want +got):\n%s", desc, diff)
		}
	}
}

// Who is taken out of a group loses its documents once the service has forgotten who was in it.
func TestGroupsChange(t *testing.T) {
	s := withIndex(t)
	index, query := s.SearchClient().Index("docs"), &search.Query{OrderBy: []string{"id"}}
	see := func(want int) {
		t.Helper()
		s.Server.Reset()
		if result, err := index.Search(t.Context(), s.As("alice"), query); err != nil || len(result.Hits) != want {
			t.Errorf("alice sees %+v, %v; want %d documents", result, err, want)
		}
	}
	see(3)
	directory := s.Entra.Server.Directory()
	group, err := identity.ParseObjectID(entraserver.Engineering)
	if err != nil {
		t.Fatal(err)
	}
	if err := directory.RemoveMember(group, s.Token("alice").Object); err != nil {
		t.Fatal(err)
	}
	see(2)
	if err := directory.AddMember(group, s.Token("alice").Object); err != nil {
		t.Fatal(err)
	}
	see(3)
}
