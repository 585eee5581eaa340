package searchengine_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/search"
	"github.com/onbehalf/onbehalf/search/searchengine"
)

func action(kind search.ActionKind, doc string) search.Action {
	return search.Action{Kind: kind, Document: search.Document(doc)}
}

func TestStatuses(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, aclIndex)
	got, err := e.Write(t.Context(), "acl", []search.Action{
		action("", `{"id":"1","name":"one"}`),
		action(search.Upload, `{"id":"1","scope":"s"}`),
		action(search.Merge, `{"id":"1","name":"uno"}`),
		action(search.Merge, `{"id":"2","name":"two"}`),
		action(search.MergeOrUpload, `{"id":"3","name":"three"}`),
		action(search.MergeOrUpload, `{"id":"3","name":null,"scope":"x"}`),
		action(search.Delete, `{"id":"4"}`),
		action(search.Delete, `{"id":"1"}`),
		action(search.Upload, `{"id":"5","@search.action":"upload"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []search.Status{
		{Key: "1", OK: true, Code: 201},
		{Key: "1", OK: true, Code: 200},
		{Key: "1", OK: true, Code: 200},
		{Key: "2", Code: 404, Message: "Document not found."},
		{Key: "3", OK: true, Code: 201},
		{Key: "3", OK: true, Code: 200},
		{Key: "4", OK: true, Code: 200},
		{Key: "1", OK: true, Code: 200},
		{Key: "5", OK: true, Code: 201},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	doc, err := e.Index("acl").Lookup(t.Context(), searchengine.Elevated(), "3")
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"id":"3","name":null,"userIds":[],"groupIds":[],"scope":"x"}`; string(doc) != want {
		t.Errorf("got %s; want %s", doc, want)
	}
	if n, err := e.Count(t.Context(), "acl"); n != 2 || err != nil {
		t.Errorf("Count: %d, %v; want 2", n, err)
	}
}

func TestSearchText(t *testing.T) {
	e := open(t, searchengine.Config{})
	define(t, e, `{"name":"docs","fields":[{"name":"id","type":"Edm.String","key":true},{"name":"text","type":"Edm.String"},{"name":"n","type":"Edm.Int32"}]}`)
	upload(t, e, "docs",
		`{"id":"a","text":"The quick brown fox","n":3}`,
		`{"id":"b","text":"The quick quick dog","n":1}`,
		`{"id":"c","text":"A slow fox and a slow dog","n":2}`,
		`{"id":"d","n":null}`)
	x, u := e.Index("docs"), person(t, u1)
	top := 2
	for _, tt := range []struct {
		desc string
		q    search.Query
		want string
	}{
		{"everything, by key", search.Query{}, "a b c d"},
		{"star", search.Query{Search: "*"}, "a b c d"},
		{"one term, by score", search.Query{Search: "quick"}, "b a"},
		{"any", search.Query{Search: "quick dog"}, "b a c"},
		{"all", search.Query{Search: "quick dog", SearchMode: "all"}, "b"},
		{"ordered, null first", search.Query{OrderBy: []string{"n"}}, "d b c a"},
		{"ordered, null last", search.Query{OrderBy: []string{"n desc"}}, "a c b d"},
		{"filtered", search.Query{Filter: "n ge 2 or n eq null"}, "a c d"},
		{"a page", search.Query{Top: &top, Skip: 1}, "b c"},
	} {
		if got := keys(t, x, u, &tt.q); got != tt.want {
			t.Errorf("%s: got %s; want %s", tt.desc, got, tt.want)
		}
	}
}
