package searchtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/onbehalf/onbehalf/search"
)

// contextWithout keeps the values of a context that has ended.
func contextWithout(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }

const aclIndex = `{"permissionFilterOption":"enabled","fields":[
	{"name":"id","type":"Edm.String","key":true,"searchable":false,"sortable":true,"filterable":true},
	{"name":"name","type":"Edm.String","searchable":true,"facetable":true,"filterable":true},
	{"name":"oid","type":"Collection(Edm.String)","permissionFilter":"userIds","filterable":true,"searchable":false,"facetable":false,"retrievable":false},
	{"name":"group","type":"Collection(Edm.String)","permissionFilter":"groupIds","filterable":true,"searchable":false,"facetable":false,"retrievable":false},
	{"name":"scope","type":"Edm.String","permissionFilter":"rbacScope","filterable":true,"searchable":false,"facetable":false,"retrievable":false}]}`

// aclRow is one line of the service's truth table, and who sees such a document.
//
// https://learn.microsoft.com/azure/search/search-index-access-control-lists-and-rbac-push-api
type aclRow struct {
	fields             string // JSON members besides id and name
	alice, bob, public bool
}

func aclTable(h *Harness) []aclRow {
	a, b, g := h.Alice.Object, h.Bob.Object, h.Alice.Group
	rows := []aclRow{
		{`"oid":["none"],"group":[]`, false, false, false},
		{`"oid":["none"],"group":["` + g + `"]`, true, false, false},
		{`"oid":["all"],"group":["none"]`, true, true, true},
		{`"oid":["all"],"group":["` + g + `"],"scope":"/elsewhere"`, true, true, true},
		{`"oid":["none"],"group":["all"]`, true, true, true},
		{`"oid":["` + a + `","` + b + `"],"group":["none"]`, true, true, false},
		{`"oid":["` + b + `"],"group":["` + g + `"]`, true, true, false},
		{`"oid":["` + b + `"],"group":[]`, false, true, false},
		{`"oid":["` + a + `"],"group":[]`, true, false, false},
		{`"oid":[],"group":[]`, false, false, false},
		{`"oid":null,"group":null,"scope":null`, false, false, false},
		{`"oid":["` + g + `"],"group":["` + a + `"]`, false, false, false}, // ids in the wrong field
		{`"oid":["none"],"group":["none"],"scope":"/elsewhere"`, false, false, false},
	}
	if h.Bob.Scope != "" {
		rows = append(rows, aclRow{`"oid":["none"],"group":["none"],"scope":"` + h.Bob.Scope + `"`, false, true, false})
	}
	return rows
}

type viewer struct {
	name string
	user search.User
	sees func(aclRow) bool
}

func viewers(h *Harness) []viewer {
	all := []viewer{
		{"alice", h.Alice.User, func(r aclRow) bool { return r.alice }},
		{"bob", h.Bob.User, func(r aclRow) bool { return r.bob }},
		{"the public", search.DangerouslyPublicOnly(), func(r aclRow) bool { return r.public }},
	}
	if h.Elevated != nil {
		all = append(all, viewer{"elevated", h.Elevated, func(aclRow) bool { return true }})
	}
	return all
}

// permissions: everybody sees what the table says, in hits, count, facets, lookups, and after every change.
func permissions(t *testing.T, h *Harness) { //nolint:thelper // a test of the suite
	name := h.define(t, "acl", aclIndex)
	rows := aclTable(h)
	var batch []string
	for i, row := range rows {
		batch = append(batch, fmt.Sprintf(`{"id":"%02d","name":"document %02d",%s}`, i, i, row.fields))
	}
	h.write(t, name, search.Upload, batch...)
	index := h.Service.Index(name)
	for _, v := range viewers(h) {
		var want []string
		for i, row := range rows {
			id := fmt.Sprintf("%02d", i)
			document, err := index.Lookup(t.Context(), v.user, id)
			if !v.sees(row) {
				if !errors.Is(err, search.ErrNotFound) || document != nil {
					t.Errorf("%s looks %s up: %s, %v; want ErrNotFound", v.name, row.fields, document, err)
				}
				continue
			}
			want = append(want, id)
			if err != nil || field(t, document, "oid") != "(absent)" {
				t.Errorf("%s looks %s up: %s, %v", v.name, row.fields, document, err)
			}
		}
		for _, q := range []search.Query{
			{},
			{Search: "document"},
			{Filter: "id ne 'x' or true", Search: "document"},
			{Filter: "name ne 'x'"},
			{Search: "doc*"},
			{Filter: "oid/any(x: x eq 'none') or not oid/any(x: x eq 'none')"},
		} {
			q.OrderBy, q.Count, q.Facets = []string{"id"}, true, []string{"name,count:100"}
			result, err := index.Search(t.Context(), v.user, &q)
			if err != nil {
				t.Errorf("%s: %+v: %v", v.name, q, err)
				continue
			}
			if got := keys(t, result.Hits); got != strings.Join(want, " ") {
				t.Errorf("%s, query %q, filter %q: sees %q, want %q", v.name, q.Search, q.Filter, got, want)
			}
			if result.Count == nil || *result.Count != int64(len(want)) || len(result.Facets["name"]) != len(want) {
				t.Errorf("%s: count %v and %d facet values, want %d of each", v.name, result.Count, len(result.Facets["name"]), len(want))
			}
		}
	}
	changedPermissions(t, h, name)
	t.Run("paged", func(t *testing.T) { pagedPermissions(t, h) })
	t.Run("users that are none", func(t *testing.T) {
		for _, u := range []search.User{nil, stranger{}} {
			if result, err := index.Search(t.Context(), u, nil); err == nil {
				t.Errorf("user %#v: %d hits, want an error", u, len(result.Hits))
			}
			if _, err := index.Lookup(t.Context(), u, "02"); err == nil {
				t.Errorf("user %#v: a document, want an error", u)
			}
		}
	})
}

// stranger is a kind of user that nobody knows.
type stranger struct{}

func (stranger) SeesAs() string { return "elevated" }

// changedPermissions: a change of permissions holds from its acknowledgement on.
func changedPermissions(t *testing.T, h *Harness, name string) {
	t.Helper()
	see := func(want bool, what string) {
		t.Helper()
		result, err := h.Service.Index(name).Search(t.Context(), h.Bob.User, &search.Query{Filter: "id eq '08'"})
		if err != nil || (len(result.Hits) == 1) != want {
			t.Errorf("%s: bob sees %+v, %v; want %v", what, result, err, want)
		}
	}
	see(false, "before")
	h.write(t, name, search.Merge, `{"id":"08","oid":["`+h.Bob.Object+`"]}`)
	see(true, "granted")
	h.write(t, name, search.Merge, `{"id":"08","oid":["`+h.Alice.Object+`"]}`)
	see(false, "taken away")
	h.write(t, name, search.Delete, `{"id":"08"}`)
	h.write(t, name, search.Upload, `{"id":"08","name":"document 08","oid":["`+h.Bob.Object+`"]}`)
	see(true, "deleted and uploaded anew")
}

// pagedPermissions: pages hold only what is seen, without gaps.
func pagedPermissions(t *testing.T, h *Harness) { //nolint:thelper // a test of the suite
	name := h.define(t, "aclpages", aclIndex)
	var batch []string
	for i := range 360 {
		reader := []string{h.Alice.Object, h.Bob.Object, "none"}[i%3]
		batch = append(batch, fmt.Sprintf(`{"id":"%03d","oid":["%s"]}`, i, reader))
	}
	h.write(t, name, search.Upload, batch...)
	seen, pages := 0, 0
	for q := (&search.Query{OrderBy: []string{"id"}}); q != nil; pages++ {
		result, err := h.Service.Index(name).Search(t.Context(), h.Bob.User, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, hit := range result.Hits {
			if id := field(t, hit.Document, "id"); id != fmt.Sprintf("%03d", seen*3+1) {
				t.Fatalf("document %d is %s", seen, id)
			}
			seen++
		}
		q = result.Next
	}
	if seen != 120 || pages != 3 {
		t.Errorf("%d documents on %d pages, want 120 on 3", seen, pages)
	}
}
