package searchengine_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine"
)

const aclIndex = `{"name":"acl","permissionFilterOption":"enabled","fields":[
	{"name":"id","type":"Edm.String","key":true},
	{"name":"name","type":"Edm.String"},
	{"name":"userIds","type":"Collection(Edm.String)","permissionFilter":"userIds","searchable":false},
	{"name":"groupIds","type":"Collection(Edm.String)","permissionFilter":"groupIds","searchable":false},
	{"name":"scope","type":"Edm.String","permissionFilter":"rbacScope","searchable":false}]}`

// The truth table of the service's documentation, and what it leaves open.
//
// https://learn.microsoft.com/azure/search/search-index-access-control-lists-and-rbac-push-api
func TestPermissions(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, aclIndex)
	upload(t, e, "acl",
		`{"id":"1","name":"none and empty","userIds":["none"],"groupIds":[]}`,
		`{"id":"2","name":"none, empty, scope","userIds":["none"],"groupIds":[],"scope":"/scope1"}`,
		`{"id":"3","name":"none, groups","userIds":["none"],"groupIds":["`+g1+`","`+g2+`"]}`,
		`{"id":"4","name":"all, none","userIds":["all"],"groupIds":["none"]}`,
		`{"id":"5","name":"all, groups, scope","userIds":["all"],"groupIds":["`+g1+`","`+g2+`"],"scope":"/scope1"}`,
		`{"id":"6","name":"users, group","userIds":["`+u1+`","`+u2+`"],"groupIds":["`+g1+`"]}`,
		`{"id":"7","name":"users, empty","userIds":["`+u1+`","`+u2+`"],"groupIds":[]}`,
		`{"id":"8","name":"nothing at all"}`,
		`{"id":"9","name":"all groups","groupIds":["all"]}`,
		`{"id":"10","name":"a group among the users","userIds":["`+g1+`"]}`,
		`{"id":"11","name":"empty strings","userIds":[""],"groupIds":[""],"scope":""}`,
	)
	withScope := person(t, u3)
	withScope.Scopes = []string{"/scope1"}
	for _, tt := range []struct {
		desc string
		user search.User
		want string
	}{
		{"nobody in particular", search.DangerouslyPublicOnly(), "4 5 9"},
		{"a person named in documents", person(t, u1), "4 5 6 7 9"},
		{"a person named nowhere", person(t, u3), "4 5 9"},
		{"a member of a group", person(t, u3, g1), "3 4 5 6 9"},
		{"a member of another group", person(t, u3, g2), "3 4 5 9"},
		{"a member of two", person(t, u3, g1, g2), "3 4 5 6 9"},
		{"a holder of a role on the scope", withScope, "2 4 5 9"},
		{"groups that are called like the words", person(t, u3, "none", "all", ""), "4 5 9"},
		{"elevated", searchengine.Elevated(), "1 10 11 2 3 4 5 6 7 8 9"},
	} {
		t.Run(tt.desc, func(t *testing.T) {
			x := e.Index("acl")
			for range 2 { // the second time from the cache
				r, err := x.Search(t.Context(), tt.user, &search.Query{Count: true})
				if err != nil {
					t.Fatal(err)
				}
				if got := keysOf(t, r); got != tt.want {
					t.Errorf("got %s; want %s", got, tt.want)
				}
				if got, want := *r.Count, int64(len(strings.Fields(tt.want))); got != want {
					t.Errorf("count %d; want %d", got, want)
				}
			}
			for key := range strings.FieldsSeq("1 2 3 4 5 6 7 8 9 10 11") {
				_, err := x.Lookup(t.Context(), tt.user, key)
				visible := err == nil
				if want := strings.Contains(" "+tt.want+" ", " "+key+" "); visible != want {
					t.Errorf("Lookup(%s): visible %v; want %v", key, visible, want)
				}
				if err != nil && !errors.Is(err, search.ErrNotFound) {
					t.Errorf("Lookup(%s): %v; want not found", key, err)
				}
			}
		})
	}
}

type stranger struct{}

func (stranger) SeesAs() string { return "stranger" }

func TestUnknownUsersAreRefused(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, aclIndex)
	for _, u := range []search.User{nil, stranger{}, search.ByPrincipals{}, search.ByToken{}} {
		if r, err := e.Index("acl").Search(t.Context(), u, nil); err == nil {
			t.Errorf("%T: got %+v; want an error", u, r)
		}
		if _, err := e.Index("acl").Lookup(t.Context(), u, "1"); err == nil || errors.Is(err, search.ErrNotFound) {
			t.Errorf("%T: Lookup: %v; want an error that is not 'not found'", u, err)
		}
	}
}

func TestAbsentPersonBeforeNovember2025(t *testing.T) {
	e := open(t, searchengine.Config{LegacyPermissions: true})
	define(t, e, aclIndex)
	upload(t, e, "acl", `{"id":"1","userIds":["`+u1+`"]}`)
	if got := keys(t, e.Index("acl"), search.DangerouslyPublicOnly(), nil); got != "1" {
		t.Errorf("nobody in particular sees %q; want 1", got)
	}
	if got := keys(t, e.Index("acl"), person(t, u2), nil); got != "" {
		t.Errorf("another person sees %q; want nothing", got)
	}
}

func TestPermissionsFollowWrites(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, aclIndex)
	x, u := e.Index("acl"), person(t, u1, g1)
	upload(t, e, "acl", `{"id":"1","userIds":["`+u1+`"]}`, `{"id":"2","userIds":["`+u2+`"]}`)
	for _, step := range []struct{ desc, doc, want string }{
		{"at first", `{"id":"3","userIds":["none"]}`, "1"},
		{"given", `{"id":"2","userIds":["` + u1 + `"]}`, "1 2"},
		{"by a group that no document named before", `{"id":"4","groupIds":["` + g1 + `"]}`, "1 2 4"},
		{"taken", `{"id":"1","userIds":["` + u2 + `"]}`, "2 4"},
	} {
		upload(t, e, "acl", step.doc)
		if got := keys(t, x, u, nil); got != step.want {
			t.Errorf("%s: got %q; want %q", step.desc, got, step.want)
		}
	}
}

// An index has at most five role scopes; those of deleted documents do not count.
func TestScopesOfAnIndex(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, aclIndex)
	var batch []search.Action
	for _, scope := range []string{"1", "2", "3", "4", "5", "1", "6"} {
		batch = append(batch, action("", `{"id":"`+scope+`","scope":"`+scope+`"}`))
	}
	batch = append(batch, action("", `{"id":"7"}`), action(search.Merge, `{"id":"7","scope":"6"}`))
	statuses, err := e.Write(t.Context(), "acl", batch)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range statuses {
		if want := i != 6 && i != 8; s.OK != want {
			t.Errorf("action %d: %+v; want success: %v", i, s, want)
		}
	}
	if _, err := e.Write(t.Context(), "acl", []search.Action{action(search.Delete, `{"id":"1"}`)}); err != nil {
		t.Fatal(err)
	}
	upload(t, e, "acl", `{"id":"6","scope":"6"}`)
}

// The option of an index turns permissions on and off; only the word turns them off.
func TestPermissionOption(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, aclIndex)
	upload(t, e, "acl", `{"id":"1","userIds":["none"]}`)
	x, u := e.Index("acl"), person(t, u1)
	if got := keys(t, x, u, nil); got != "" {
		t.Errorf("enforced: got %q; want nothing", got)
	}
	_, err := e.Put(t.Context(), definition(t, strings.Replace(aclIndex, `"permissionFilterOption":"enabled",`, "", 1)), "")
	if !errors.Is(err, search.ErrBadRequest) {
		t.Errorf("leaving the option out: %v; want a bad request", err)
	}
	_, err = e.Put(t.Context(), definition(t, strings.ReplaceAll(aclIndex, `"permissionFilter":"userIds",`, "")), "")
	if !errors.Is(err, search.ErrBadRequest) {
		t.Errorf("leaving a permissionFilter out: %v; want a bad request", err)
	}
	define(t, e, strings.Replace(aclIndex, `"enabled"`, `"disabled"`, 1))
	if got := keys(t, x, u, nil); got != "1" {
		t.Errorf("disabled: got %q; want 1", got)
	}
	define(t, e, aclIndex)
	if got := keys(t, x, u, nil); got != "" {
		t.Errorf("enforced again: got %q; want nothing", got)
	}
}
